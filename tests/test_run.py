"""A run as a whole: it learns, it can be stopped and resumed anywhere, it never overwrites."""

import errno
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from hashlib import sha256
from importlib.machinery import ModuleSpec
from itertools import islice
from pathlib import Path
from shutil import copytree
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Finished
from drawn import grow
from numpy.typing import NDArray
from quick import QUICK, Broken, broken_at

from cilkit import METHODS, Config, InputError, build, learn, read_records, run
from cilkit.data.datasets import build_dataset
from cilkit.data.samples import DataSet
from cilkit.metrics import stage_accuracy
from cilkit.runs.checkpoint import NEWEST, find, load, save
from cilkit.runs.folder import rewrite
from cilkit.runs.provenance import checksum, command, describe, traits
from cilkit.runs.records import (
    EpochRecord,
    Record,
    RunRecord,
    StageRecord,
    run_record,
    stage_records,
)

KINDS = [RunRecord] + 3 * [EpochRecord, EpochRecord, StageRecord]


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load(folder / "checkpoint.safetensors").tensors


def test_a_run_yields_a_record_for_each_epoch_and_stage(
    finished: Finished,
) -> None:
    assert [type(record) for record in finished[1]] == KINDS


def test_the_file_of_records_holds_what_was_yielded(
    finished: Finished,
) -> None:
    """The tutorial printed its results, and lost them."""
    assert read_records(finished[0]) == finished[1]


def test_the_same_seed_gives_the_same_records(finished: Finished) -> None:
    assert run(QUICK) == finished[1]


def test_the_learner_comes_with_the_records(tmp_path: Path) -> None:
    trained = run(QUICK, tmp_path / "run").learner.model.state_dict()
    saved = weights(tmp_path / "run")
    assert trained.keys() == {name[6:] for name in saved if name.startswith("model.")}
    assert all(torch.equal(saved[f"model.{name}"], one) for name, one in trained.items())


def test_another_seed_gives_other_records(finished: Finished) -> None:
    learner, scenario = build(replace(QUICK, seed=1))
    assert next(learn(learner, scenario)) != finished[1][1]


@pytest.mark.parametrize("records", range(1, len(KINDS) + 1))
def test_a_resumed_run_equals_the_uninterrupted_one(
    records: int, finished: Finished, tmp_path: Path
) -> None:
    """Stop after the first epoch, between the last epoch and the alignment, after a stage, ..."""
    with pytest.raises(Broken):
        run(QUICK, tmp_path, [broken_at(records)])
    shown: list[Record] = []
    assert run(QUICK, tmp_path, [shown.append], resume=True) == finished[1]
    assert shown == finished[1]
    assert read_records(tmp_path) == finished[1]
    expected = weights(finished[0])
    assert all(torch.equal(tensor, expected[name]) for name, tensor in weights(tmp_path).items())


def test_a_run_without_resume_never_overwrites_another(
    finished: Finished,
) -> None:
    before = (finished[0] / "records.jsonl").read_bytes()
    with pytest.raises(InputError, match="holds a run already"):
        run(QUICK, finished[0])
    assert (finished[0] / "records.jsonl").read_bytes() == before


def test_a_run_of_other_settings_is_not_resumed(finished: Finished) -> None:
    with pytest.raises(InputError, match=r"lr is 0\.05 there, 0\.1 here"):
        run(replace(QUICK, lr=0.1), finished[0], resume=True)


def older(folder: Path, source: Path) -> None:
    """Copy a run as a version wrote it that did not know `head_init` yet."""
    copytree(source, folder, dirs_exist_ok=True)
    found = find(folder)
    assert found is not None
    first = run_record(found.records)
    known = {name: value for name, value in first.config.items() if name != "head_init"}
    found.records[0] = replace(first, config=known)
    save(folder, found)


def test_a_run_that_is_older_than_a_setting_goes_on_with_its_default(
    finished: Finished, tmp_path: Path
) -> None:
    older(tmp_path, finished[0])
    assert run(QUICK, tmp_path, resume=True)[1:] == finished[1][1:]


def test_a_run_that_is_older_than_a_setting_does_not_go_on_with_another_value(
    finished: Finished, tmp_path: Path
) -> None:
    older(tmp_path, finished[0])
    with pytest.raises(InputError, match="head_init is 'torch' there, 'pycil' here"):
        run(replace(QUICK, head_init="pycil"), tmp_path, resume=True)


def test_a_run_without_its_checkpoint_is_not_begun_again(
    finished: Finished, tmp_path: Path
) -> None:
    records = (finished[0] / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(records)
    with pytest.raises(InputError, match="holds finished stages, and no checkpoint"):
        run(replace(QUICK, seed=7), tmp_path, resume=True)
    assert (tmp_path / "records.jsonl").read_bytes() == records


def darker(dataset: DataSet) -> DataSet:
    return replace(dataset, mean=tuple(value / 2 for value in dataset.mean))


def renamed(dataset: DataSet) -> DataSet:
    return replace(dataset, class_names=tuple(f"no {name}" for name in dataset.class_names))


@pytest.mark.parametrize(
    ("change", "what"), [(darker, "mean differ"), (renamed, "class_names differ")]
)
def test_a_run_is_not_resumed_with_other_data(
    change: Callable[[DataSet], DataSet],
    what: str,
    finished: Finished,
    tmp_path: Path,
) -> None:
    copytree(finished[0], tmp_path, dirs_exist_ok=True)
    other = change(build_dataset(QUICK))
    with pytest.raises(InputError, match=f"started with other data: {what}"):
        run(QUICK, tmp_path, resume=True, dataset=other)


# Four images that a label or a pixel tells apart, and their like in files.
IMAGES = np.random.default_rng(0).integers(0, 256, (8, 8, 8)).astype(np.uint8)
SMALL = replace(QUICK, base=0, increment=2, budget=4, epochs=1, batch_size=4, augment="none")


def small(
    train: NDArray[np.uint8] = IMAGES,
    labels: Sequence[int] = (0, 1, 2, 3, 0, 1, 2, 3),
    test: NDArray[np.uint8] = IMAGES,
    test_labels: Sequence[int] = (0, 1, 2, 3, 0, 1, 2, 3),
) -> DataSet:
    return DataSet.of(train, labels, test, test_labels)


def exchanged(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Exchange two pixels of one image: mean and deviation stay as they are."""
    other = images.copy()
    other[5, 0, :2] = images[5, 0, 1::-1]
    return other


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"labels": (1, 0, 2, 3, 0, 1, 2, 3)}, "checksum of training images differ"),
        ({"train": exchanged(IMAGES)}, "checksum of training images differ"),
        ({"test_labels": (1, 0, 2, 3, 0, 1, 2, 3)}, "checksum of test images differ"),
        ({"test": exchanged(IMAGES)}, "checksum of test images differ"),
    ],
)
def test_a_label_or_a_pixel_that_has_changed_is_noticed_on_resume(
    other: dict[str, Any], what: str, tmp_path: Path
) -> None:
    run(SMALL, tmp_path, dataset=small())
    assert run(SMALL, tmp_path, resume=True, dataset=small()) == read_records(tmp_path)
    with pytest.raises(InputError, match=f"started with other data: {what}; give the same data"):
        run(SMALL, tmp_path, resume=True, dataset=small(**other))


def test_a_folder_may_move_and_a_file_of_another_length_is_noticed(
    tmp_path: Path,
) -> None:
    tree = grow(tmp_path / "tree", ("cat", "dog"), {"train": 3, "val": 2})
    folder = replace(SMALL, dataset="folder", data_path=tree, image_size=16)
    run(folder, tmp_path / "run")
    moved = replace(folder, data_path=tree.rename(tmp_path / "elsewhere"))
    run(moved, tmp_path / "run", resume=True)
    with (moved.data_path / "val" / "cat" / "val0.jpg").open("ab") as file:
        file.write(b"a byte that changes no pixel")
    with pytest.raises(InputError, match="other data: checksum of test images differ"):
        run(moved, tmp_path / "run", resume=True)


def test_a_run_that_was_begun_before_there_were_checksums_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without(dataset: DataSet) -> dict[str, Any]:
        return {k: v for k, v in traits(dataset).items() if not k.startswith("checksum")}

    with monkeypatch.context() as earlier:
        earlier.setattr("cilkit.runs.provenance.traits", without)
        records = run(SMALL, tmp_path, dataset=small())
    assert run(SMALL, tmp_path, resume=True, dataset=small()) == records
    with pytest.raises(InputError, match="other data: training images, mean, deviation differ"):
        run(SMALL, tmp_path, resume=True, dataset=small(IMAGES[:7], (0, 1, 2, 3, 0, 1, 2)))


def test_a_checksum_is_that_of_the_bytes_on_any_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Named, so that a record of one machine can be read on another; 16 of its 64 letters."""
    pixels, numbers = IMAGES.tobytes(), b"".join(n.to_bytes(8, "little") for n in (0, 1, 2, 3) * 2)
    shapes = b"images torch.uint8 (8, 1, 8, 8)", b"labels torch.int64 (8,)"
    expected = sha256(shapes[0] + pixels + shapes[1] + numbers).hexdigest()[:16]
    dataset = small()
    assert checksum(dataset.train) == expected == traits(dataset)["checksum of training images"]
    monkeypatch.setattr("sys.byteorder", "big")
    labels = torch.from_numpy(
        dataset.train.labels.numpy().byteswap()
    )  # as they lie in memory there
    assert checksum(replace(dataset.train, labels=labels)) == expected


def test_settings_of_numpy_are_the_same_settings_on_resume(
    finished: Finished, tmp_path: Path
) -> None:
    numbers: dict[str, Any] = {"seed": np.int64(0), "epochs": np.float32(2), "lr": np.float32(0.05)}
    out = copytree(finished[0], tmp_path / "run")
    assert run(replace(QUICK, **numbers), out, resume=True) == finished[1]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epochs": "3"}, "epochs is '3'; it must be a whole number"),
        ({"budget": 40.5}, r"budget is 40\.5; it must be a whole number"),
        ({"seed": True}, "seed is True; it must be a whole number"),
        ({"lr": None}, "lr is None; it must be a number"),
        ({"nesterov": "no"}, "nesterov is 'no'; it must be True or False"),
        ({"milestones": (1.5,)}, r"milestones is \(1\.5,\); it must be a list of whole numbers"),
        ({"threads": "all"}, "threads is 'all'; it must be a whole number or None"),
        ({"kd_weight": "half"}, "kd_weight is 'half'; it must be 'dynamic' or a number"),
        ({"kd_mix": "sum"}, "kd_mix is 'sum'; it must be one of: convex, additive"),
    ],
)
def test_a_setting_of_another_kind_is_refused(settings: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        Config(**settings)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"epochs": 3, "warmup": 3}, "warmup is 3 epochs, and a stage has 3"),
        ({"epochs": 9, "base_epochs": 2, "warmup": 5}, "warmup is 5 epochs, and a stage has 2"),
        ({"align_bias": True}, "align_bias needs a bias"),
        ({"random_erasing": 0.1}, "color_jitter and random_erasing are timm's"),
        ({"color_jitter": 0.1}, "color_jitter and random_erasing are timm's"),
        ({"augment": "timm", "color_jitter": 0.1}, "timm ignores color_jitter beside a policy"),
        ({"nesterov": True, "momentum": 0}, "nesterov needs a momentum"),
    ],
)
def test_a_setting_that_would_change_nothing_is_refused(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        Config(**settings)


@pytest.mark.parametrize("content", [b"\xff\n", b"5\n", b"", b'{"kind": "run"}\n'])
def test_a_file_that_holds_no_records_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").write_bytes(content)
    with pytest.raises(InputError, match=r"records\.jsonl' does not"):
        read_records(tmp_path)


Lines = list[str]


def again(lines: Lines) -> Lines:
    return [*lines[:3], lines[2], *lines[3:]]


def backwards(lines: Lines) -> Lines:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def stage_again(lines: Lines) -> Lines:
    return [*lines[:4], lines[3], *lines[4:]]


def two_runs(lines: Lines) -> Lines:
    return [*lines, *lines]


def later_beginning(lines: Lines) -> Lines:
    return [lines[1], lines[0], *lines[2:]]


@pytest.mark.parametrize(
    ("disorder", "sentence"),
    [
        (again, "stage 1, epoch 2 comes after stage 1, epoch 2"),
        (backwards, "stage 1, epoch 1 comes after stage 1, epoch 2"),
        (stage_again, "the end of stage 1 comes after the end of stage 1"),
        (two_runs, "its beginning comes after the end of stage 3"),
        (later_beginning, "does not begin as the records of a run do"),
    ],
)
def test_records_that_two_processes_have_written_are_refused(
    disorder: Callable[[Lines], Lines],
    sentence: str,
    finished: Finished,
    tmp_path: Path,
) -> None:
    lines = (finished[0] / "records.jsonl").read_text().splitlines()
    (tmp_path / "records.jsonl").write_text("\n".join(disorder(lines)) + "\n")
    with pytest.raises(InputError, match=sentence):
        read_records(tmp_path)


@pytest.mark.parametrize("end", [b"", b'{"kind"', '{"kind": "é'.encode()[:-1], bytes(9)])
def test_a_last_line_that_a_power_cut_has_cut_short_is_left_out_with_a_warning(
    end: bytes, finished: Finished, tmp_path: Path
) -> None:
    content = (finished[0] / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(content + end)
    with pytest.warns(UserWarning, match="cut short") if end else nullcontext():
        assert read_records(tmp_path) == finished[1]


def test_a_last_line_that_lacks_nothing_but_its_end_counts(
    finished: Finished, tmp_path: Path
) -> None:
    content = (finished[0] / "records.jsonl").read_bytes()
    (tmp_path / "records.jsonl").write_bytes(content.removesuffix(b"\n"))
    assert read_records(tmp_path) == finished[1]


def test_a_name_may_hold_what_some_take_for_the_end_of_a_line(
    finished: Finished, tmp_path: Path
) -> None:
    first, *others = finished[1]
    assert isinstance(first, RunRecord)
    odd = replace(first, class_names=["a\u2028b", "c\x85d\ne"])
    rewrite(tmp_path, [odd, *others])
    assert read_records(tmp_path) == [odd, *others]


def test_a_run_that_a_power_cut_has_left_nothing_of_begins_anew(
    finished: Finished, tmp_path: Path
) -> None:
    (tmp_path / "records.jsonl").write_bytes(bytes(99))
    assert run(QUICK, tmp_path, resume=True) == finished[1]


def test_records_of_other_settings_are_not_begun_anew(tmp_path: Path) -> None:
    """Not even if no stage of them is finished."""
    learner, scenario = build(replace(QUICK, lr=0.1))
    rewrite(tmp_path, [describe(learner.config, scenario), next(learn(learner, scenario))])
    with pytest.raises(InputError, match=r"lr is 0\.1 there, 0\.05 here"):
        run(QUICK, tmp_path, resume=True)


def test_a_path_may_be_a_text(finished: Finished, tmp_path: Path) -> None:
    out: Any = str(tmp_path / "run")
    assert run(QUICK, out) == finished[1]
    assert read_records(out) == finished[1]


@pytest.mark.parametrize("method", ["finetune", "lwf", "joint"])
def test_a_method_without_exemplars_may_have_any_budget(method: str) -> None:
    build(replace(QUICK, method=method, budget=1))


def test_a_run_may_be_resumed_on_another_machine(finished: Finished, tmp_path: Path) -> None:
    elsewhere = replace(QUICK, threads=2, data_path=Path("elsewhere"))
    out = copytree(finished[0], tmp_path / "run")
    assert run(elsewhere, out, resume=True) == finished[1]


def test_a_damaged_checkpoint_is_refused(finished: Finished, tmp_path: Path) -> None:
    content = bytearray((finished[0] / "checkpoint.safetensors").read_bytes())
    content[-100] ^= 1
    (tmp_path / "checkpoint.safetensors").write_bytes(content)
    with pytest.raises(InputError, match="damaged"):
        load(tmp_path / "checkpoint.safetensors")


def test_a_checkpoint_is_written_whole_or_not_at_all(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = load(finished[0] / NEWEST)
    save(tmp_path, whole)

    def torn(descriptor: int) -> None:
        os.truncate(descriptor, 4)
        raise OSError(errno.ENOSPC, "disk full")

    monkeypatch.setattr(os, "fsync", torn)
    with pytest.raises(OSError, match="disk full"):
        save(tmp_path, replace(whole, numbers=whole.numbers | {"stage": 1}))
    found = find(tmp_path)
    assert found is not None
    assert found.numbers == whole.numbers


def test_nothing_happens_before_the_first_record_is_asked_for() -> None:
    learner, scenario = build(QUICK)
    learn(learner, scenario)
    assert learner.model.classifier.n_classes == 0


def test_gradients_are_enabled_whenever_the_caller_has_control() -> None:
    learner, scenario = build(QUICK)
    assert all(torch.is_grad_enabled() for _ in islice(learn(learner, scenario), 4))


def test_the_class_order_and_its_names_are_stored(
    finished: Finished,
) -> None:
    record = json.loads((finished[0] / "records.jsonl").read_text().splitlines()[0])
    assert record["class_names"] == [str(label) for label in record["class_order"]]


def test_gamma_and_every_norm_before_and_after_are_recorded(
    finished: Finished,
) -> None:
    last = stage_records(finished[1])[-1]
    scaled = [last.facts["gamma"] * norm for norm in last.before.norms[last.n_old :]]
    assert last.after.norms[: last.n_old] == last.before.norms[: last.n_old]
    assert last.after.norms[last.n_old :] == pytest.approx(scaled, rel=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_keeps_within_its_budget(method: str) -> None:
    last = stage_records(run(replace(QUICK, method=method)))[-1]
    assert last.exemplars <= QUICK.budget
    assert 0 <= stage_accuracy(last) <= 100


def test_bf16_channels_last_and_timm_augmentation_run_to_the_end() -> None:
    config = replace(
        QUICK, precision="bf16", channels_last=True, augment="timm", epochs=1, base=8, increment=2
    )
    assert len(stage_records(run(config))) == 2


def test_joint_training_remembers_and_fine_tuning_forgets() -> None:
    config = replace(QUICK, epochs=10, base=5, increment=5)
    joint, finetune = (
        stage_accuracy(stage_records(run(replace(config, method=method)))[-1])
        for method in ("joint", "finetune")
    )
    assert joint > finetune + 30


@pytest.mark.parametrize(
    ("module", "file", "expected"),
    [
        (None, "bin/cilkit", "cilkit run --seed 1"),
        ("cilkit.__main__", "cilkit/__main__.py", "cilkit run --seed 1"),
        ("benchmarks.recipe", "benchmarks/recipe.py", "python -m benchmarks.recipe run --seed 1"),
        (None, "/somewhere/mine.py", "python mine.py run --seed 1"),
    ],
)
def test_a_record_names_the_command_that_made_it(
    module: str | None, file: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = ModuleType("__main__")
    started.__spec__ = ModuleSpec(module, None) if module else None
    monkeypatch.setitem(sys.modules, "__main__", started)
    monkeypatch.setattr(sys, "argv", [file, "run", "--seed", "1"])
    assert command() == expected
