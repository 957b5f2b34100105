"""The figures of forgetting show the numbers of their matrices."""

import re
from dataclasses import replace
from itertools import islice

import pytest

from cilkit import PRESETS, StageRecord, build, learn
from cilkit.metrics import accuracy_matrix
from cilkit.runs.records import read_records
from cilkit.teaching.chapters.forgetting import bars_by_step, old_against_new, taken_for
from cilkit.teaching.stored import RESULTS

ALL_RIGHT = [[4, 0], [0, 4]]
ALL_NEW = [[0, 4], [0, 4]]
HALF = [[2, 2], [1, 3]]


@pytest.fixture(scope="module")
def records():
    return read_records(RESULTS / "digits" / "finetune-seed30")


def percentages(frame):
    """Return the numbers of a table, row by row, without the names of its ten columns."""
    numbers = re.findall(r'"middle"[^>]*>(\d+)</text>', frame.marks)
    return [int(number) for number in numbers[10:]]


def test_each_row_of_the_table_is_all_images_of_the_class(records):
    for label, frame in enumerate(taken_for(records).frames):
        stages_seen = 5 - label // 2
        assert sum(percentages(frame)) == pytest.approx(100 * stages_seen, abs=stages_seen)


def test_the_share_taken_for_itself_is_the_accuracy(records):
    [frame, *_] = taken_for(records).frames
    assert percentages(frame)[0] == accuracy_matrix(records)[0, 0] == 100


def test_a_step_says_the_accuracy_on_old_and_on_new_classes():
    figure = bars_by_step(["before", "after"], [ALL_RIGHT, ALL_NEW], 1, "title", "step")
    says = [frame.says for frame in figure.frames]
    assert says == ["old classes 100.0 %, new 100.0 %", "old classes 0.0 %, new 100.0 %"]


def test_where_nothing_is_old_a_step_says_what_the_colours_are():
    groups = ("the first", "the second")
    figure = bars_by_step(["now"], [ALL_NEW], 1, "title", "step", groups=groups)
    assert figure.frames[0].says == "the first 0.0 %, the second 100.0 %"


def test_old_and_new_classes_have_their_colours():
    figure = bars_by_step(["before"], [ALL_RIGHT], 1, "title", "step")
    assert re.findall(r'class="(\w+)"', figure.frames[0].marks) == ["old", "new"]


def test_a_learning_rate_ten_times_as_high_is_one_step_to_the_right():
    figure = old_against_new([0.001, 0.01, 0.1], [ALL_RIGHT, HALF, ALL_NEW], 1, "title")
    across = [float(re.findall(r'cx="([\d.]+)"', f.marks)[0]) for f in figure.frames]
    assert across[2] - across[1] == pytest.approx(across[1] - across[0], abs=0.2)
    assert figure.frames[1].says == "old 50.0 %, new 75.0 %, all 62.5 %"


@pytest.fixture(scope="module")
def prototypes():
    """The first two digits' prototypes, before and after a stage of fine-tuning without decay."""
    config = replace(PRESETS["digits"], method="finetune", epochs=2, weight_decay=0.0)
    learner, scenario = build(config)
    ends = (record for record in learn(learner, scenario) if isinstance(record, StageRecord))
    return [learner.model.classifier.weight[:2].detach().clone() for _ in islice(ends, 2)]


def test_as_chapter_2_says_each_number_of_an_old_prototype_falls_or_stays(prototypes):
    before, after = prototypes
    assert (after <= before).all()
    assert (after < before - 0.01).any()


def test_as_chapter_2_says_an_old_prototype_pushed_below_zero_gets_longer(prototypes):
    before, after = prototypes
    assert (after < 0).sum() > (before < 0).sum()
    assert (after.norm(dim=1) > 1.1 * before.norm(dim=1)).all()
