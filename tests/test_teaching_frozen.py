"""Chapter 10's figure shows what the records say."""

import json
import re
from dataclasses import replace

import pytest
from claims import BOOK
from features import CLASSES, COUNTS, FEW
from test_notebooks import prose

from cilkit import PRESETS, build
from cilkit.data.scenario import class_order
from cilkit.metrics import stage_accuracy, summary
from cilkit.runs.records import run_record, stage_records
from cilkit.show.layout import Runs
from cilkit.teaching import stored
from cilkit.teaching.chapters.frozen import accuracy_by_method
from cilkit.teaching.chapters.side_by_side import WIDTH

SHOWN = ("finetune", "wa")
METHODS = ("finetune", "wa", "fetril", "means", "ridge")


@pytest.mark.parametrize("name", ["photographs", "glyphs"])
def test_the_chapter_s_features_are_of_20_classes_with_as_many_images_each(name: str) -> None:
    config = replace(PRESETS["features"], base=0, increment=4, data_path=FEW / f"{name}.npz")
    dataset = build(replace(config, class_order="natural"))[1].dataset
    assert class_order(1993, 100)[:20] == CLASSES
    for part, each in COUNTS.items():
        samples = getattr(dataset, part)
        assert samples.labels.bincount().tolist() == [each] * 20
        assert tuple(samples.images().shape[1:]) == (1, 1, 1280)


def test_the_chapter_states_what_its_files_hold() -> None:
    page = " ".join(prose(BOOK / "10_pretrained.ipynb").split())
    overlap = json.loads((FEW / "overlap.json").read_text(encoding="utf-8"))
    learned, tested = COUNTS.values()
    assert f"{learned} images of each to learn from and {tested} to be tested on" in page
    assert f"it does not sit in {len(overlap['classes'])} names" in page
    assert "1280 numbers" in page
    assert PRESETS["features"].budget == 5 * PRESETS["glyphs-b50-10"].budget == 2000
    assert "keeps 2000 exemplars here, five times as many" in page


@pytest.mark.parametrize("method", METHODS)
def test_the_stored_records_on_frozen_features_were_made_by_the_preset(method: str) -> None:
    for name in ("pretrained-cifar100", "pretrained-glyphs"):
        for records in stored(name)[method]:
            made = run_record(records)
            preset = replace(PRESETS["features"], method=method, seed=made.config["seed"])
            assert preset.differences(made.config | {"dataset": "npz"}) == []
            assert not made.versions["commit"].endswith("+")


@pytest.fixture(scope="module")
def runs() -> dict[str, Runs]:
    one, other = ({m: [stored("digits")[m][seed]] for m in SHOWN} for seed in (0, 1))
    return {"here": one, "there": other}


def test_a_frame_says_what_its_method_reached_on_each_data_set(runs: dict[str, Runs]) -> None:
    for frame, method in zip(accuracy_by_method(runs).frames, SHOWN, strict=True):
        shown = [float(number) for number in re.findall(r"([\d.]+) %", frame.says)]
        wanted = [summary(of_data[method][0])["last"] for of_data in runs.values()]
        assert (frame.at, shown) == (method, pytest.approx(wanted, abs=0.05))


def test_a_dot_is_as_high_as_the_accuracy_after_its_stage(runs: dict[str, Runs]) -> None:
    marks = accuracy_by_method(runs).frames[1].marks
    heights = [float(y) for y in re.findall(r'<circle class="" cx="\S+" cy="(\S+)"', marks)]
    wanted = [
        260 - 44 - stage_accuracy(stage) / 100 * (260 - 44 - 28)
        for of_data in runs.values()
        for stage in stage_records(of_data["wa"][0])
    ]
    assert heights == pytest.approx(wanted, abs=0.05)


def test_other_methods_are_faint(runs: dict[str, Runs]) -> None:
    for frame in accuracy_by_method(runs).frames:
        assert frame.marks.count('class="line faint"') == frame.marks.count('class="line "') == 2


def test_panels_of_data_sets_stand_beside_each_other(runs: dict[str, Runs]) -> None:
    figure = accuracy_by_method(runs)
    for drawing in (figure.backdrop, figure.frames[0].marks):
        assert re.findall(r"translate\((\d+)\)", drawing) == ["0", str(WIDTH)]
