"""After the training: a model that comes from the run's folder alone."""

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from shutil import copytree
from typing import Any

import doors
import numpy as np
import pytest
import torch
from conftest import Finished, tiny
from drawn import grow, settings_for
from PIL import Image

from cilkit import METHODS, Config, InputError, build, learn, load, run
from cilkit.cli import main
from cilkit.data.datasets import build_dataset
from cilkit.data.images import BadImage, Unreadable
from cilkit.runs.checkpoint import NEWEST, Checkpoint, find, save
from cilkit.runs.records import StageRecord

CLASSES = ("cat", "dog", "eel", "fox")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grow(tmp_path_factory.mktemp("tree"), CLASSES, {"train": 6, "val": 3})


of_files = partial(settings_for, crop_pct=0.9)


@pytest.fixture(scope="module")
def seen(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on files."""
    out = tmp_path_factory.mktemp("seen") / "run"
    run(of_files(tree), out)
    return out


@pytest.mark.usefixtures("all_methods")
@pytest.mark.parametrize("method", [*METHODS, *doors.DOORS])
def test_a_loaded_model_answers_as_the_training_process_did_to_the_bit(
    method: str, tmp_path: Path
) -> None:
    """With its rule: a nearest-mean method answers by the nearest mean."""
    config = doors.config_of(method)
    record = run(config, tmp_path / "run", dataset=tiny())[-1]
    learner, scenario = build(config, tiny())
    list(learn(learner, scenario))
    test = scenario.stages[-1].test
    scores = load(tmp_path / "run").scores(test.images())
    assert torch.equal(scores, doors.looked_at(learner, test))
    pairs = (test.labels * 6 + scores.argmax(1)).bincount(minlength=36).view(6, 6)
    assert isinstance(record, StageRecord)
    assert pairs.tolist() == record.after.confusion


def test_a_loaded_model_needs_no_data_set(
    seen: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copytree(seen, tmp_path / "moved")
    learner, scenario = build(of_files(tree))
    list(learn(learner, scenario))
    expected = doors.looked_at(learner, scenario.stages[-1].test)
    paths = sorted(tree.glob("val/*/*"))
    monkeypatch.setattr("cilkit.experiment.build_dataset", lambda config: 1 / 0)
    model = load(folder)
    answers = model.predict(paths)
    assert model.class_names == CLASSES
    for answer, row in zip(answers, expected.softmax(1), strict=True):
        assert sorted(answer) == sorted(zip(CLASSES, row.tolist(), strict=True))
        assert [share for _, share in answer] == sorted(row.tolist(), reverse=True)


def test_paths_and_pillows_images_are_the_same_to_a_model(seen: Path, tree: Path) -> None:
    model = load(seen)
    paths = [str(path) for path in sorted(tree.glob("val/*/*"))[:3]]
    expected = model.predict(paths)
    pictures = [Image.open(path) for path in paths]
    assert model.predict(pictures) == expected
    assert model.predict(paths[0]) == model.predict([Path(paths[0])])
    assert model.predict(paths, top=1) == [answer[:1] for answer in expected]


def test_an_array_may_be_one_image_or_many(finished: Finished) -> None:
    model = load(finished[0])
    images = build_dataset(Config()).test.images()[:5]  # (5, 1, 8, 8)
    expected = model.predict(images)
    floats = images[:, 0].numpy() / 255
    assert model.predict(floats) == model.predict(images.permute(0, 2, 3, 1)) == expected
    names = [answer[0].name for answer in expected]
    assert [model.predict(one)[0][0].name for one in images] == names
    assert model.predict(list(images)) == expected


def test_a_file_is_made_grey_where_the_model_is(finished: Finished, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "grey.png")
    model = load(finished[0])
    assert model.predict(tmp_path / "grey.png") == model.predict(pixels)


def test_an_image_of_another_size_is_refused(finished: Finished) -> None:
    with pytest.raises(InputError, match=r"images are 1 × 9 × 8 .* looks at 1 × 8 × 8"):
        load(finished[0]).predict(np.zeros((9, 8), np.uint8))


def test_files_that_are_no_images_are_named(seen: Path, tmp_path: Path) -> None:
    (tmp_path / "note.png").write_text("no image")
    model = load(seen)
    with pytest.raises(BadImage, match=r"note\.png' is no image"):
        model.predict(tmp_path / "note.png")
    with pytest.raises(Unreadable, match="nowhere' cannot be read: No such file"):
        model.predict("nowhere")


# Folders that hold no such run


def newest(folder: Path) -> Checkpoint:
    found = find(folder)
    assert found is not None
    return found


def altered(folder: Path, **changes: Any) -> None:
    """Write other settings into a run's checkpoint."""
    found = newest(folder)
    first, *others = found.records
    config = {**vars(first)["config"], **changes}
    save(folder, replace(found, records=[replace(first, config=config), *others]))  # type: ignore[type-var]


def unfinished(folder: Path) -> None:
    found = newest(folder)
    save(folder, replace(found, numbers=found.numbers | {"stage": 1}))


def without_statistics(folder: Path) -> None:
    found = newest(folder)
    numbers = {name: value for name, value in found.numbers.items() if name != "images"}
    save(folder, replace(found, numbers=numbers))


def damaged(folder: Path) -> None:
    content = (folder / NEWEST).read_bytes()
    (folder / NEWEST).write_bytes(content[:-100])


SPOILT: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda folder: (folder / NEWEST).unlink(), "no run in .* it lacks checkpoint"),
    "unfinished": (unfinished, "has finished 1 of its 2 stages; go on with it by --resume"),
    "newer": (lambda folder: altered(folder, hue=3), "another version .*settings hue are unknown"),
    "strange": (lambda folder: altered(folder, method="mine"), "unknown method 'mine'; known: "),
    "older": (without_statistics, "made by an earlier version"),
    "damaged": (damaged, "is damaged"),
    "misfit": (lambda folder: altered(folder, backbone="mlp"), "does not fit these settings"),
}


@pytest.mark.parametrize("spoil", SPOILT)
def test_a_folder_that_cannot_be_used_is_refused_and_left_as_it_is(
    spoil: str, seen: Path, tmp_path: Path
) -> None:
    folder = copytree(seen, tmp_path / "run")
    (folder / "checkpoint.previous.safetensors").unlink()
    function, sentence = SPOILT[spoil]
    function(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match=sentence):
        load(folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_of_several_runs_is_told_apart(seen: Path, tmp_path: Path) -> None:
    copytree(seen, tmp_path / "wa-seed0")
    with pytest.raises(InputError, match=r"name one of them, such as .*wa-seed0"):
        load(tmp_path)


def test_a_finished_run_of_an_earlier_version_gets_what_it_lacks_by_resuming(
    seen: Path, tree: Path, tmp_path: Path
) -> None:
    folder = copytree(seen, tmp_path / "run")
    whole = newest(folder)
    without_statistics(folder)
    run(of_files(tree), folder, resume=True)
    assert newest(folder).numbers == whole.numbers
    path = sorted(tree.glob("val/*/*"))[0]
    assert load(folder).predict(path) == load(seen).predict(path)


# The command


Said = tuple[int, str, str]


@pytest.fixture
def predict(seen: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Said]:
    """Return a function that asks the run of files; it returns status, output and errors."""

    def ask(*words: object) -> Said:
        status = main(["predict", str(seen), *map(str, words)])
        return status, *capsys.readouterr()

    return ask


def test_predict_says_path_class_and_percent(
    predict: Callable[..., Said], seen: Path, tree: Path
) -> None:
    path = tree / "val" / "eel" / "val0.jpg"
    [(first, second, *_)] = load(seen).predict(path)
    percent = [f"{100 * answer.probability:.1f}" for answer in (first, second)]
    line = f"{path}\t{first.name}\t{percent[0]}"
    assert predict(path) == (0, f"{line}\n", "")
    assert predict(path, "--top", 2) == (0, f"{line}\t{second.name}\t{percent[1]}\n", "")


def test_predict_walks_folders_and_leaves_out_what_is_no_image_by_its_name(
    predict: Callable[..., Said], tree: Path, tmp_path: Path
) -> None:
    folder = copytree(tree / "val", tmp_path / "val")
    (folder / "notes.txt").write_text("mine")
    status, output, errors = predict(folder)
    paths = [line.split("\t")[0] for line in output.splitlines()]
    assert (status, errors) == (0, "")
    assert paths == [str(path) for path in sorted(folder.glob("*/*"))]


def test_predict_names_the_files_it_cannot_read_and_answers_for_the_rest(
    predict: Callable[..., Said], tree: Path, tmp_path: Path
) -> None:
    (tmp_path / "note.png").write_text("no image")
    status, output, errors = predict(tmp_path, tmp_path / "gone.png", tree / "val" / "cat")
    assert status == 1
    assert len(output.splitlines()) == 3
    assert [line.split("' ")[1] for line in errors.splitlines()] == [
        "is no image of a known format (JPEG, PNG, GIF, BMP, TIFF, WEBP, PPM)",
        "cannot be read: No such file or directory",
    ]


def test_predict_writes_json_a_line_each(
    predict: Callable[..., Said], seen: Path, tree: Path, tmp_path: Path
) -> None:
    path = tree / "val" / "cat" / "val0.jpg"
    status, output, _ = predict(tmp_path / "gone.png", path, "--json", "--top", 9)
    gone, there = map(json.loads, output.splitlines())
    assert status == 1
    assert "No such file" in gone["error"]
    [answers] = load(seen).predict(path)
    assert there == {"path": str(path), "classes": [answer._asdict() for answer in answers]}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["nowhere", "a.png"], "no run in 'nowhere'"),
        (["RUN"], "name at least one image"),
        (["RUN", "a.png", "--top", "0"], "top is 0; ask for one class or more"),
        (["RUN", "a.png", "--device", "tpu"], "device 'tpu' cannot be used here"),
    ],
)
def test_predict_refuses_in_one_sentence(
    words: list[str], sentence: str, seen: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["predict", *(str(seen) if word == "RUN" else word for word in words)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("cilkit: error: ")
    assert sentence in line
