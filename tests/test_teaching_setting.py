"""The figures of the setting show what each stage has, and no more."""

import re

import pytest
import torch

from cilkit import Config, DataSet, build_scenario
from cilkit.teaching.chapters.setting import (
    classes_dealt,
    first_of_each,
    images_at_hand,
    questions_by_stage,
)


@pytest.fixture(scope="module")
def scenario():
    """Six classes of two images, each a shade of its own, in three stages."""
    labels = torch.arange(6).repeat_interleave(2)
    images = (40 * labels)[:, None, None, None].expand(-1, 1, 4, 4).byte()
    return build_scenario(DataSet.of(images, labels, images, labels), Config(class_order=7))


def test_one_image_stands_for_each_class_in_the_order_of_arrival(scenario):
    chosen = first_of_each(scenario.stages[-1].test)
    assert chosen.labels.tolist() == list(range(6))
    assert (chosen.images()[:, 0, 0, 0] / 40).tolist() == list(scenario.class_order)


def at_hand(scenario, **changes):
    figure = images_at_hand(scenario)
    return figure.draw(**figure.start() | changes)


def test_a_stage_trains_on_its_own_classes_and_is_tested_on_all_it_has_seen(scenario):
    for stage in (1, 2, 3):
        [marks] = at_hand(scenario, stage=stage).marks
        old, new = (marks.count(f'class="line {name}"') for name in ("old", "new"))
        assert (old, new) == (2 * stage - 2, 4)  # tested; trained on and tested
        assert marks.count("faint") == 12 - old - new


def test_exemplars_of_old_classes_are_the_budget_in_equal_shares(scenario):
    shown = at_hand(scenario, stage=3, budget=11)
    assert shown.says == (
        "stage 3 of 3: train on 4, 5 and 2 of each of 0, 1, 2, 3; be tested on 0, 1, 2, 3, 4, 5"
    )
    assert shown.marks[0].count(">×2<") == 4


def test_the_images_are_those_of_the_original_labels_whatever_the_scenarios_order(scenario):
    figure = images_at_hand(scenario)
    shades = [file for row in figure.data["files"] for file in row]
    assert len(set(shades)) == 6
    assert shades[:6] == shades[6:]
    assert figure.data["names"] == list("012345")


def test_each_image_stands_above_the_name_of_its_class(scenario):
    [marks] = at_hand(scenario, order="3").marks
    files = images_at_hand(scenario).data["files"][1]
    lower = re.findall(r'href="([^"]+)"[^>]*/>(?:</g>)?<text[^>]*>(\d)<', marks)[1::2]
    assert sorted(name for _, name in lower) == list("012345")
    assert all(file == files[int(name)] for file, name in lower)


def test_stages_that_do_not_fit_are_answered_in_the_packages_words(scenario):
    shown = at_hand(scenario, base=5, increment=3)
    assert shown.says.startswith("base 5 and increment 3 do not fit the 6 classes")


def test_the_order_of_a_hundred_classes_is_the_one_of_the_seed():
    shown = classes_dealt().draw(base=50, increment=10, seed=1993)
    assert shown.says.startswith("B50-10, seed 1993: 6 stages. The first brings 68, 56, 78, 8, 23")
    labels = re.findall(r">(\d+)<", shown.marks[0])
    assert [int(label) for label in labels[:1]] == [68]


@pytest.fixture(scope="module")
def questions():
    """Two questions after two stages; nothing is old in the first."""
    answers = [[[torch.nan, 100], [torch.nan, 100]], [[50, 25], [0, 75]]]
    return questions_by_stage(answers, [[50, 50], [25, 50]], ["a", "b"])


def heights(frame, name):
    """Return how high the bars of a class are, in pixels."""
    [path] = re.findall(rf'<path class="{name}" d="([^"]+)"', frame.marks)
    return [float(foot) - float(top) for foot, top in re.findall(r"M\S+ (\S+?)V(\S+?)H", path)]


def test_a_bar_is_as_high_as_the_share_of_right_answers(questions):
    first, second = questions.frames
    [full, _] = heights(first, "new")
    assert heights(second, "new") == pytest.approx([full / 4, 3 * full / 4], abs=0.1)
    assert heights(second, "old") == pytest.approx([full / 2, 0], abs=0.1)


def test_where_nothing_is_old_there_is_no_bar_and_no_number_for_it(questions):
    first, _ = questions.frames
    assert heights(first, "old") == [0, 0]
    assert first.says == "a new 100.0 %, chance 50.0 %; b new 100.0 %, chance 50.0 %"


def test_a_line_across_both_bars_of_a_question_marks_chance(questions):
    first, second = questions.frames
    [full, _] = heights(first, "new")
    lines = re.findall(r'points="(\S+),(\S+) (\S+),(\S+)"', second.marks)
    foot = float(re.findall(r"M\S+ (\S+?)V", second.marks)[0])
    assert [foot - float(y) for _, y, _, _ in lines] == pytest.approx([full / 4, full / 2], abs=0.1)
    bars = [float(x) for x in re.findall(r"[MH]([\d.]+)", second.marks)]
    left, right = (float(lines[0][i]) for i in (0, 2))
    assert left < min(bars) and right > sorted(bars)[3]  # old and new of the first question


def test_a_stage_says_old_new_and_chance_of_each_question(questions):
    says = questions.frames[1].says
    assert says == "a old 50.0 %, new 25.0 %, chance 25.0 %; b old 0.0 %, new 75.0 %, chance 50.0 %"
