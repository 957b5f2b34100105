"""What a run keeps of each of its stages, and what the models of that time say."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from shutil import copytree, rmtree
from typing import Any

import pytest
import torch
from conftest import TINY, tiny
from doors import DOORS, config_of, looked_at
from PIL import Image
from quick import Broken, broken_at

from cilkit import METHODS, Config, DataSet, InputError, build, learn, load, run
from cilkit.cli import main
from cilkit.comparison import compare
from cilkit.data.store import picture_of
from cilkit.runs import checkpoint
from cilkit.runs.checkpoint import STAGES, stage_file
from cilkit.runs.records import Record, StageRecord
from cilkit.trained.extending import extend, in_range
from cilkit.trained.looking_back import draw_by_stage, look_back

QUICK = replace(TINY, backbone="mlp", threads=1)
Contents = dict[str, Any]


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of three stages, to be read only."""
    out = tmp_path_factory.mktemp("kept") / "run"
    run(QUICK, out, dataset=tiny(), keep_stages=True)
    return out


def contents(folder: Path) -> Contents:
    """Return all that a folder's stages hold, but for the hour and the machine."""
    found = {path.name: checkpoint.load(path) for path in sorted((folder / STAGES).iterdir())}
    return {
        name: ({k: v.tolist() for k, v in one.tensors.items()}, one.numbers, one.records)
        for name, one in found.items()
    }


@pytest.mark.usefixtures("all_methods")
@pytest.mark.parametrize("method", [*METHODS, *DOORS])
def test_the_model_of_each_stage_answers_as_it_did_then_to_the_bit(
    method: str, tmp_path: Path
) -> None:
    """By its rule: a nearest-mean method answers by the means of that time."""
    config = config_of(method)
    run(config, tmp_path / "run", dataset=tiny(), keep_stages=True)
    learner, scenario = build(config, tiny())
    for record in learn(learner, scenario):
        if isinstance(record, StageRecord):
            test = scenario.stages[record.stage].test
            model = load(tmp_path / "run", stage=record.stage + 1)
            assert torch.equal(model.scores(test.images()), looked_at(learner, test))
            assert model.class_names == tuple("abcdef"[: record.n_seen])


def test_a_stage_leaves_what_answers_and_no_more(kept: Path) -> None:
    """Neither exemplars nor a teacher: wa has both."""
    for found in map(checkpoint.load, (kept / STAGES).iterdir()):
        assert {name.split(".")[0] for name in found.tensors} == {"model"}
        assert len(found.records) == 2


@pytest.mark.parametrize("place", range(2, 11))
def test_a_run_that_was_broken_off_and_resumed_has_kept_the_same(
    place: int, kept: Path, tmp_path: Path
) -> None:
    with pytest.raises(Broken):
        run(QUICK, tmp_path / "run", [broken_at(place)], dataset=tiny(), keep_stages=True)
    run(QUICK, tmp_path / "run", dataset=tiny(), keep_stages=True, resume=True)
    assert contents(tmp_path / "run") == contents(kept)


@pytest.mark.parametrize("function", ["keep", "save"])
def test_a_disk_that_is_full_at_a_stages_end_costs_no_stage(
    function: str, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever file is the one that finds no room: what a stage left, or the checkpoint."""
    write: Callable[..., None] = getattr(checkpoint, function)

    def full(folder: Path, *what: Any) -> None:
        if stage_file(folder, 1).exists() and not stage_file(folder, 2).exists():
            (folder / "full").touch()
            raise OSError(28, "No space left on device", str(folder))
        write(folder, *what)

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(checkpoint, function, full)
        run(QUICK, tmp_path / "run", dataset=tiny(), keep_stages=True)
    run(QUICK, tmp_path / "run", dataset=tiny(), keep_stages=True, resume=True)
    assert contents(tmp_path / "run") == contents(kept)


def test_what_stages_have_left_may_be_deleted(kept: Path, tmp_path: Path) -> None:
    folder = copytree(kept, tmp_path / "run")
    rmtree(folder / STAGES)
    run(QUICK, folder, dataset=tiny(), resume=True)
    pixels = tiny().test.images()
    expected = load(kept, stage=3).scores(pixels)
    assert torch.equal(load(folder).scores(pixels), expected)
    assert torch.equal(load(folder, stage=3).scores(pixels), expected)


def test_a_run_that_goes_on_answers_for_the_stages_it_has_finished(
    kept: Path, tmp_path: Path
) -> None:
    def stop(record: Record) -> None:
        if isinstance(record, StageRecord) and record.stage == 1:
            raise Broken

    with pytest.raises(Broken):
        run(QUICK, tmp_path / "run", [stop], dataset=tiny(), keep_stages=True)
    pixels = tiny().test.images()
    then, at_the_end = (load(folder, stage=2) for folder in (tmp_path / "run", kept))
    assert torch.equal(then.scores(pixels), at_the_end.scores(pixels))


@pytest.mark.parametrize("keeps", [True, False])
def test_an_extension_takes_over_what_the_run_has_kept_or_keeps_from_its_beginning_on(
    keeps: bool, tmp_path: Path
) -> None:
    def only(labels: Sequence[int]) -> DataSet:
        parts = (tiny().train, tiny().test)
        train, test = (in_range(part, labels[0], labels[-1] + 1) for part in parts)
        shifted = [replace(part, labels=part.labels - labels[0]) for part in (train, test)]
        names = tuple("abcdef"[label] for label in labels)
        return DataSet("some", shifted[0], shifted[1], names, tiny().mean, tiny().std)

    run(QUICK, tmp_path / "old", dataset=only(range(4)), keep_stages=keeps)
    extend(tmp_path / "old", tmp_path / "new", dataset=only(range(4, 6)), keep_stages=True)
    there = {int(path.stem[-1]) for path in (tmp_path / "new" / STAGES).iterdir()}
    assert there == ({1, 2, 3} if keeps else {2, 3})
    pixels = tiny().test.images()
    before, after = load(tmp_path / "old"), load(tmp_path / "new", stage=2)
    assert torch.equal(before.scores(pixels), after.scores(pixels))
    assert before.class_names == after.class_names


def test_a_comparison_keeps_the_stages_of_every_run(tmp_path: Path) -> None:
    config = Config(base=5, increment=5, epochs=1, threads=1)
    compare(config, ["finetune", "lwf"], [0], tmp_path, keep_stages=True)
    first = [load(tmp_path / f"{name}-seed0", stage=1) for name in ("finetune", "lwf")]
    pixels = torch.zeros(2, 1, 8, 8).byte()
    assert torch.equal(first[0].scores(pixels), first[1].scores(pixels))
    assert len(list(tmp_path.glob("*/stages/stage*.safetensors"))) == 4


# Refused


@pytest.mark.parametrize(
    ("stage", "sentence"),
    [
        (1, "did not keep what the network was after stage 1; a run with --keep-stages does"),
        (4, "has no stage 4; it has 1 to 3"),
        (0, "has no stage 0; it has 1 to 3"),
        ("two", "stage is 'two'; it must be a whole number, from 1"),
        (True, "stage is True; it must be a whole number, from 1"),
    ],
)
def test_a_stage_that_was_not_kept_is_refused_in_one_sentence(
    stage: Any, sentence: str, kept: Path, tmp_path: Path
) -> None:
    folder = copytree(kept, tmp_path / "run")
    rmtree(folder / STAGES)
    with pytest.raises(InputError, match=sentence):
        load(folder, stage=stage)


def test_a_stage_that_is_damaged_is_named_and_the_run_goes_on(kept: Path, tmp_path: Path) -> None:
    folder = copytree(kept, tmp_path / "run")
    file = stage_file(folder, 2)
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(InputError, match=r"stage2\.safetensors' is damaged"):
        load(folder, stage=2)
    run(QUICK, folder, dataset=tiny(), keep_stages=True, resume=True)


def test_predict_asks_the_model_of_a_stage(
    of_pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ask = ["predict", str(of_pictures / "run"), str(of_pictures / "black.png"), "--top", "10"]
    assert main([*ask, "--stage", "1"]) == 0
    words = capsys.readouterr().out.split("\t")
    assert sorted(words[1::2]) == [*"01234"]


# Looking back


def test_looking_back_says_what_the_model_of_each_stage_says(kept: Path) -> None:
    image = tiny().test.images()[7]
    found = look_back(kept, image)
    assert [*found.shares] == [1, 2, 3]
    for stage, shares in found.shares.items():
        assert shares == load(kept, stage=stage).scores(image[None]).softmax(1)[0].tolist()
    assert found.class_names == tuple("abcdef")
    assert torch.equal(found.pixels, image)
    assert found.are_probabilities


def test_shares_of_a_rule_of_its_own_are_no_probabilities(tmp_path: Path) -> None:
    run(replace(QUICK, method="means"), tmp_path / "run", dataset=tiny(), keep_stages=True)
    assert not look_back(tmp_path / "run", tiny().test.images()[0]).are_probabilities


def test_the_stages_that_were_not_kept_are_left_out(kept: Path, tmp_path: Path) -> None:
    folder = copytree(kept, tmp_path / "run")
    stage_file(folder, 1).unlink()
    stage_file(folder, 3).unlink()
    assert [*look_back(folder, tiny().test.images()[0]).shares] == [2, 3]


def test_where_no_stage_was_kept_it_is_said_how_to_keep_them(kept: Path, tmp_path: Path) -> None:
    folder = copytree(kept, tmp_path / "run")
    rmtree(folder / STAGES)
    with pytest.raises(InputError, match="a run with --keep-stages does"):
        look_back(folder, tiny().test.images()[0])


def test_where_the_last_stage_alone_was_kept_it_is_said_too(kept: Path, tmp_path: Path) -> None:
    folder = copytree(kept, tmp_path / "run")
    for stage in (1, 2):
        stage_file(folder, stage).unlink()
    with pytest.raises(InputError, match="a run with --keep-stages does"):
        look_back(folder, tiny().test.images()[0])


def test_a_picture_that_is_refused_leaves_no_empty_folder(kept: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="2 images are given"):
        draw_by_stage(kept, tiny().test.images()[:2], tmp_path / "pictures" / "two.png")
    assert not [*tmp_path.iterdir()]


def test_one_image_is_looked_back_at_not_two(kept: Path) -> None:
    with pytest.raises(InputError, match="2 images are given; name the one"):
        look_back(kept, tiny().test.images()[:2])


@pytest.fixture(scope="module")
def of_pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run on the digits, and a black image."""
    folder = tmp_path_factory.mktemp("pictures")
    words = ["--base", "5", "--increment", "5", "--epochs", "1", "--out", str(folder / "run")]
    assert main(["run", *words, "--keep-stages"]) == 0
    picture_of(torch.zeros(1, 1, 8, 8).byte(), 0).save(folder / "black.png")
    return folder


def test_predict_draws_what_each_stage_says(
    of_pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(of_pictures / "run"), str(of_pictures / "black.png")]
    file = tmp_path / "stages.png"
    assert main(["predict", *words, "--by-stage", str(file)]) == 0
    assert capsys.readouterr().out == f"drew {file}\n"
    with Image.open(file) as image:
        assert image.width == 1050


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("run black.png --by-stage black.png", "'black.png' exists already"),
        ("run black.png --by-stage out.jpg", "unknown ending '.jpg'; known: .png"),
        ("run black.png black.png --by-stage out.png", "2 images are given"),
        ("run --by-stage out.png", "images is empty"),
        ("run black.png --by-stage out.png --stage 1", "leave --stage, --top and --json out"),
        ("run black.png --stage 3", "has no stage 3; it has 1 to 2"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_one_sentence(
    words: str,
    sentence: str,
    of_pictures: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(of_pictures)
    assert main(["predict", *words.split()]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert sentence in line
    assert sorted(path.name for path in of_pictures.iterdir()) == ["black.png", "run"]


def test_a_foreign_folder_called_stages_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / STAGES).mkdir()
    with pytest.raises(InputError, match="holds a run already; name another folder"):
        run(QUICK, tmp_path, dataset=tiny(), keep_stages=True)
