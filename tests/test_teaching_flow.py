"""The figure of one stage shows the package's own lines, and the run's own numbers."""

from pathlib import Path

import pytest

import cilkit
from cilkit import PRESETS, build
from cilkit.metrics import accuracy
from cilkit.runs.records import Record, stage_records
from cilkit.teaching import stored
from cilkit.teaching.chapters.flow import STEPS, Step, code, drawing, one_stage

PACKAGE = Path(cilkit.__file__).parent


@pytest.fixture(scope="module")
def records() -> list[Record]:
    return list(stored("digits")["wa"][0])


@pytest.fixture(scope="module")
def stage() -> cilkit.Stage:
    return build(PRESETS["digits"])[1].stages[2]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.at)
def test_every_line_of_code_stands_in_the_file_that_is_named(step: Step) -> None:
    name = step.owner.__module__.removeprefix("cilkit.").replace(".", "/")
    file = (PACKAGE / f"{name}.py").read_text(encoding="utf-8")
    assert all(line in file for line in code(step.owner, step.lines))
    assert step.owner.__module__ in drawing(step, {})


def test_a_line_that_has_left_the_package_is_missed() -> None:
    with pytest.raises(StopIteration):
        code(cilkit.learn, ["no line begins like this"])


def test_the_numbers_are_those_of_the_run(records: list[Record], stage: cilkit.Stage) -> None:
    figure, record = one_stage(records, stage), stage_records(records)[2]
    says = {frame.at.split(". ")[1]: frame.says for frame in figure.frames}
    assert f"{accuracy(record.before.confusion):.1f} %" in says["a test"]
    assert f"{accuracy(record.after.confusion):.1f} %" in says["the test that counts"]
    assert f"{record.facts['gamma']:.2f}" in says["end: align"]
    assert "4 × 20" in figure.frames[0].marks  # exemplars, of a budget of 80
    assert "6 × 13" in figure.frames[-1].marks
