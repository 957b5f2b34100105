"""More classes for a run that has ended: as if it had had them all from the start."""

import errno
from dataclasses import replace
from itertools import count
from pathlib import Path
from shutil import copytree
from typing import Any

import doors
import numpy as np
import pytest
import torch
from conftest import TINY, tiny
from drawn import grow
from quick import Broken, broken_at

from cilkit import METHODS, Config, DataSet, InputError, Samples, load, read_records, run
from cilkit.cli import main
from cilkit.data.datasets import build_dataset
from cilkit.metrics import summarise, table
from cilkit.runs.checkpoint import Checkpoint, find
from cilkit.runs.outputs import KEPT
from cilkit.runs.records import Record, run_record, stage_records
from cilkit.trained.extending import extend

# Six classes a to f; the run knows four of them, and the others sort in between.
ORDER = (5, 2, 0, 3, 1, 4)
OLD, NEW = ORDER[:4], ORDER[4:]
METHODS_TO_EXTEND = [name for name in [*METHODS, *doors.DOORS] if name != "joint"]
Contents = dict[str, bytes]


def some(whole: DataSet, labels: tuple[int, ...]) -> DataSet:
    """Return a part of the classes, by name, with the statistics of the whole."""
    labels = tuple(sorted(labels))

    def chosen(samples: Samples) -> Samples:
        positions = torch.isin(samples.labels, torch.tensor(labels)).nonzero().flatten()
        part = samples.take(positions)
        return replace(part, labels=torch.searchsorted(torch.tensor(labels), part.labels))

    names = tuple(whole.class_names[label] for label in labels)
    train, test = chosen(whole.train), chosen(whole.test)
    return replace(whole, train=train, test=test, class_names=names)


def order_in(labels: tuple[int, ...]) -> tuple[int, ...]:
    """Return the order in which these classes come, by their place among themselves."""
    return tuple(sorted(labels).index(label) for label in labels)


def newest(folder: Path) -> Checkpoint:
    found = find(folder)
    assert found is not None
    return found


def contents(folder: Path) -> Contents:
    """Return all files, and the folders, whose names end in a slash."""
    there = {path: str(path.relative_to(folder)) for path in folder.rglob("*")}
    return {
        f"{name}/" if path.is_dir() else name: b"" if path.is_dir() else path.read_bytes()
        for path, name in there.items()
    }


def end(folder: Path, *without: str) -> dict[str, Any]:
    """Return all that a run has come to: its state, and the records of its stages."""
    found = newest(folder)
    tensors = {k: v.tolist() for k, v in found.tensors.items() if k not in without}
    return {"tensors": tensors, "numbers": found.numbers, "stages": stages(found.records)}


def stages(records: list[Record]) -> list[Any]:
    return [replace(record, seconds=0.0) for record in stage_records(records)]


@pytest.mark.usefixtures("all_methods")
@pytest.mark.parametrize("increment", [1, 2])
@pytest.mark.parametrize("method", METHODS_TO_EXTEND)
def test_it_ends_equal_to_a_run_that_had_all_classes_from_the_start(
    method: str, increment: int, tmp_path: Path
) -> None:
    config = doors.config_of(method)
    base, steps = (4, increment) if increment == 1 else (0, 2)
    whole = replace(config, base=base, increment=steps)
    run(replace(whole, class_order=ORDER), tmp_path / "whole", dataset=tiny())
    old = replace(whole, class_order=order_in(OLD))
    run(old, tmp_path / "old", dataset=some(tiny(), OLD))
    added = some(replace(tiny(), mean=(0.1, 0.1, 0.1)), NEW)
    extend(tmp_path / "old", tmp_path / "new", dataset=added, settings={"increment": increment})
    assert record_of(tmp_path / "new").data["not tested"] == [*"fcad"]  # they came from a notebook
    assert untested(end(tmp_path / "new")) == untested(end(tmp_path / "whole"))


def untested(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out what a test says."""
    return found | {"stages": [(s.n_seen, s.facts, s.fingerprint) for s in found["stages"]]}


def record_of(folder: Path) -> Any:
    return run_record(read_records(folder))


CLASSES = ("bee", "cat", "eel", "fox")
ADDED = ("ant", "dog")


def of_files(root: Path, **changes: Any) -> Config:
    settings: dict[str, Any] = {"dataset": "folder", "data_path": root, "augment": "none"}
    settings |= {"image_size": 16, "increment": 2, "budget": 9, "epochs": 1, "batch_size": 5}
    return Config(**(settings | {"lr": 0.02, "threads": 1, "backbone": "mlp"} | changes))


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders: old, new and all, the classes of each; and the run on the old ones, with copies."""
    root = tmp_path_factory.mktemp("given")
    for part, number in {"train": 6, "val": 3}.items():
        grow(root / "all", sorted(CLASSES + ADDED), {part: number})
        for name in CLASSES + ADDED:
            place = root / ("old" if name in CLASSES else "new")
            copytree(root / "all" / part / name, place / part / name)
    run(of_files(root / "old"), root / "run", keep_pixels=True)
    return root


@pytest.fixture(scope="module")
def whole(given: Path) -> Path:
    """The run that had all classes from the start, in that order, with the old statistics."""
    statistics = build_dataset(of_files(given / "old"))
    config = of_files(given / "all", class_order=(1, 2, 4, 5, 0, 3))
    dataset = replace(build_dataset(config), mean=statistics.mean, std=statistics.std)
    run(config, given / "whole", dataset=dataset)
    return given / "whole"


def new(given: Path) -> dict[str, Path]:
    """Return the settings that name the folder of new classes alone."""
    return {"data_path": given / "new"}


PATHS = ("memory.paths", "memory.ends")


def without_marks(found: dict[str, Any]) -> dict[str, Any]:
    """Leave out the fingerprints, in which paths are."""
    return found | {"stages": [replace(stage, fingerprint="") for stage in found["stages"]]}


def test_a_folder_of_new_classes_alone_will_do_and_old_ones_are_tested_where_they_were(
    given: Path, whole: Path, tmp_path: Path
) -> None:
    before = contents(given / "run")
    extend(given / "run", tmp_path / "out", settings=new(given))
    there, here = (without_marks(end(folder, *PATHS)) for folder in (whole, tmp_path / "out"))
    assert here == there
    record = record_of(tmp_path / "out")
    assert record.class_names == [*CLASSES, *ADDED]
    assert record.config["increment"] == record.classes_per_stage == [2, 2, 2]
    assert record_of(tmp_path / "out").data["not tested"] == []
    assert contents(given / "run") == before


def test_a_folder_that_has_grown_will_do_where_known_classes_are_only_tested(
    given: Path, whole: Path, tmp_path: Path
) -> None:
    words = ["--data-path", str(given / "all"), "--test-known", "--out", str(tmp_path / "out")]
    assert main(["extend", str(given / "run"), *words]) == 0
    there, here = (without_marks(end(folder, *PATHS)) for folder in (whole, tmp_path / "out"))
    assert here == there
    assert (tmp_path / "out" / "accuracy.png").exists()


def moved_away(given: Path, monkeypatch: pytest.MonkeyPatch, **choices: Any) -> None:
    """Leave `run` in the current folder, and take away the images that it has seen."""
    copytree(given / "old", "old")
    run(of_files(Path("old")), Path("run"), **choices)
    Path("old").rename("elsewhere")


def test_old_images_may_be_gone_if_copies_were_kept(
    given: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    moved_away(given, monkeypatch, keep_pixels=True)
    records = extend("run", "out", settings=new(given))
    assert record_of(Path("out")).data["not tested"] == [*CLASSES]
    assert summarise({"wa": [records]})["wa"]["not tested"] == [*CLASSES]
    there, here = (end(folder, *PATHS)["tensors"] for folder in (whole, Path("out")))
    assert here == there
    assert table({"wa": [records]}).startswith("4 classes not tested\n")
    assert stage_records(records)[-1].after.confusion[0] == [0] * 6


def test_without_copies_the_missing_files_are_named_before_anything_starts(
    given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    moved_away(given, monkeypatch)
    with pytest.raises(InputError, match=r"8 exemplars .*old/train/bee/.*by --old-data where"):
        extend("run", "out", settings=new(given))
    assert not Path("out").exists()


def test_old_images_may_have_moved(
    given: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    moved_away(given, monkeypatch)
    extend("run", "out", settings=new(given), old_data="elsewhere")
    there, here = (without_marks(end(folder, *PATHS)) for folder in (whole, Path("out")))
    assert here == there


def test_a_list_says_of_each_new_stage_how_many_classes_it_brings(
    given: Path, tmp_path: Path
) -> None:
    third = grow(tmp_path / "third", ["ant", "cow", "dog"], {"train": 6, "val": 3})
    words = [str(given / "run"), "--data-path", str(third), "--out", str(tmp_path / "out")]
    assert main(["extend", *words, "--increment", "2", "1"]) == 0
    assert record_of(tmp_path / "out").classes_per_stage == [2, 2, 2, 1]


@pytest.mark.parametrize("flat", [True, False])
def test_a_flat_folder_is_split_as_that_of_the_run_was(flat: bool, tmp_path: Path) -> None:
    old = grow(tmp_path / "old", ["."], {"bee": 5, "cat": 5})
    run(of_files(old, test_share=0.4, increment=1), tmp_path / "run")
    counts = {"ant": 5} if flat else {"train": 3, "val": 1}
    new = grow(tmp_path / "new", ["."] if flat else ["ant"], counts)
    extend(tmp_path / "run", tmp_path / "out", settings={"data_path": new})
    records = read_records(tmp_path / "out")
    assert sum(stage_records(records)[-1].after.confusion[2]) == (2 if flat else 1)
    assert run_record(records).config["test_share"] == (0.4 if flat else 0.0)


def test_an_extended_run_is_extended_like_any_other(given: Path, tmp_path: Path) -> None:
    extend(given / "run", tmp_path / "second", settings=new(given), keep_pixels=True)
    third = grow(tmp_path / "third", ["cow"], {"train": 6, "val": 3})
    extend(tmp_path / "second", tmp_path / "out", settings={"data_path": third})
    model = load(tmp_path / "out")
    assert model.class_names == (*CLASSES, *ADDED, "cow")
    assert len(model.predict(third / "val" / "cow" / "val0.jpg")[0]) == 7
    assert record_of(tmp_path / "out").data["not tested"] == [*CLASSES]  # dog and ant are at hand


# Interrupted


@pytest.mark.parametrize("place", [5, 6, 7])
def test_what_was_broken_off_goes_on_as_if_nothing_had_happened(
    place: int, given: Path, tmp_path: Path
) -> None:
    """Before the first step, after the new stage's epoch, and after its end."""
    expected = extend(given / "run", tmp_path / "whole", settings=new(given))
    with pytest.raises(Broken):
        extend(given / "run", tmp_path / "out", [broken_at(place)], settings=new(given))
    assert len(expected) == 7
    records = extend(given / "run", tmp_path / "out", settings=new(given), resume=True)
    assert records == expected
    assert end(tmp_path / "out") == end(tmp_path / "whole")


def test_it_does_not_go_on_from_another_run(given: Path, tmp_path: Path) -> None:
    run(of_files(given / "old", seed=1), tmp_path / "other")
    extend(given / "run", tmp_path / "out", settings=new(given))
    before = contents(tmp_path / "out")
    with pytest.raises(InputError, match="seed is 0 there, 1 here"):
        extend(tmp_path / "other", tmp_path / "out", settings=new(given), resume=True)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize("number", [1, 3])
def test_copies_are_kept_all_or_none(
    number: int, given: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = count(1)

    def copyfile(source: str, target: Path) -> None:
        if next(copied) == number:
            raise OSError(errno.ENOSPC, "No space left on device", str(target))
        target.write_bytes(b"half")

    monkeypatch.setattr("shutil.copyfile", copyfile)
    with pytest.raises(OSError, match="No space left"):
        run(of_files(given / "old"), tmp_path / "run", keep_pixels=True)
    assert not [*tmp_path.glob(f"run/{KEPT}*")]
    monkeypatch.undo()
    run(of_files(given / "old"), tmp_path / "run", keep_pixels=True, resume=True)
    assert contents(tmp_path / "run" / KEPT) == contents(given / "run" / KEPT)


# Refused


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return the sentence that the command is refused with."""
    assert main(["extend", *map(str, words)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("nowhere --data-path new --out out", "no run in 'nowhere'"),
        ("run --data-path all --out out", "all holds bee, cat, eel, fox, which the run knows"),
        ("run --data-path old --out out --test-known", "holds no class that the run does not know"),
        ("run --data-path nowhere --out out", "no folder 'nowhere'"),
        ("run --data-path new --out run", "'run' holds a run already"),
        ("run --data-path new --out run --resume", "holds a run of other settings"),
        ("run --data-path new --out out --increment 3", "do not fit the 2 classes of new"),
        ("run --data-path new --out out --increment 0", "increment is 0; it must lie between"),
        ("run --data-path new --out out --budget 5", "too few for 6 classes"),
        ("run --data-path new --out out --dataset foldr", "unknown data set 'foldr'"),
        ("run --data-path new --out out --device tpu", "device 'tpu' cannot be used here"),
        ("run --data-path data.npz --dataset npz --out out", "the run's exemplars are files"),
        ("run --data-path twice --out out", "'twice/train' has two folders"),
        ("run --data-path spoilt --out out", "note.jpg' is no image"),
        ("digits --data-path new --out out", "digits, the run's data set, comes with cilkit, from"),
    ],
)
def test_bad_input_gets_one_sentence_and_leaves_nothing(
    words: str,
    sentence: str,
    given: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run(Config(increment=5, epochs=1, backbone="mlp"), tmp_path / "digits")
    for name in ("old", "new", "all", "run"):
        (tmp_path / name).symlink_to(given / name)
    grow(tmp_path / "twice", ["caf\u00e9", "cafe\u0301"], {"train": 1, "val": 1})
    grow(tmp_path / "spoilt", ["ant"], {"train": 5, "val": 1})
    (tmp_path / "spoilt" / "train" / "ant" / "note.jpg").write_text("no image")
    pixels, labels = torch.zeros(4, 16, 16, 3).byte().numpy(), [0, 0, 1, 1]
    both = {"train_images": pixels, "train_labels": labels}
    np.savez(tmp_path / "data.npz", **both, test_images=pixels, test_labels=labels)
    monkeypatch.chdir(tmp_path)
    before = contents(tmp_path)
    assert sentence in refused(capsys, *words.split())
    assert contents(tmp_path) == before


def test_joint_training_cannot_be_extended(tmp_path: Path) -> None:
    config = replace(TINY, method="joint", backbone="mlp", threads=1)
    run(config, tmp_path / "old", dataset=some(tiny(), OLD))
    with pytest.raises(InputError, match="joint training needs all images"):
        extend(tmp_path / "old", tmp_path / "out", dataset=some(tiny(), NEW))


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    run(replace(TINY, backbone="mlp"), tmp_path / "old", dataset=some(tiny(), OLD))
    pixels = torch.zeros(2, 9, 9, 3).byte()
    other = DataSet.of(pixels, [0, 1], pixels, [0, 1], ["x", "y"])
    with pytest.raises(InputError, match=r"arrays are 3 × 9 × 9 .*of the run are 3 × 8 × 8"):
        extend(tmp_path / "old", tmp_path / "out", dataset=other)


def test_classes_of_one_name_cannot_be_told_apart(tmp_path: Path) -> None:
    run(replace(TINY, backbone="mlp"), tmp_path / "old", dataset=some(tiny(), OLD))
    twice = replace(some(tiny(), NEW), class_names=("x", "x"))
    with pytest.raises(InputError, match="tiny has two classes 'x'"):
        extend(tmp_path / "old", tmp_path / "out", dataset=twice)
