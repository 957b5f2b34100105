"""What methods reach and take, drawn: marks where the numbers say, names that hide nothing."""

import re
from itertools import combinations

import pytest

from cilkit.show.beside import Box, places_beside
from cilkit.teaching.chapters.costs import HEIGHT, WIDTH, accuracy_over_costs

LAST = {"joint": [97.0, 98.0], "wa": [88.0, 90.0], "finetune": [20.0, 20.0]}
COSTS = {"cost (GFLOP)": {"joint": 10.0, "wa": 5.0, "finetune": 1.0}}
NUMBER = r"(-?[\d.]+)"


def svg() -> str:
    return accuracy_over_costs(LAST, COSTS)._repr_html_()


def dots(html: str) -> list[tuple[float, float]]:
    found = re.findall(rf'<circle class="" cx="{NUMBER}" cy="{NUMBER}"', html)
    return [(float(x), float(y)) for x, y in found]


def heights(html: str) -> dict[str, float]:
    """Return where the words beside the axis are, on the line that they stand for."""
    found = re.findall(rf'y="{NUMBER}" text-anchor="end">(\d+)<', html)
    return {name: float(y) - 4 for y, name in found}


def test_a_mark_lies_as_high_as_its_mean_and_as_far_as_the_logarithm_of_its_cost() -> None:
    (joint, top), (wa, middle), (finetune, foot) = dots(svg())
    level = heights(svg())
    scale = (level["100"] - level["0"]) / 100
    assert [top, middle, foot] == pytest.approx(
        [level["0"] + scale * mean for mean in (97.5, 89, 20)], abs=0.2
    )
    assert (joint - wa) / (joint - finetune) == pytest.approx(0.30103, abs=0.002)


def test_a_whisker_reaches_the_standard_deviation_to_both_sides() -> None:
    whiskers = re.findall(rf'<path class="axis" d="M{NUMBER} {NUMBER}V{NUMBER}', svg())
    level = heights(svg())
    lengths = [float(foot) - float(top) for _, top, foot in whiskers]
    point = (level["0"] - level["100"]) / 100
    assert lengths == pytest.approx([2 * 0.5**0.5 * point, 2 * 2**0.5 * point, 0], abs=0.2)


def test_there_is_a_panel_for_each_cost_with_words_for_who_cannot_see_it() -> None:
    html = accuracy_over_costs(LAST, COSTS | {"kept (MB)": COSTS["cost (GFLOP)"]})._repr_html_()
    assert html.count("<svg") == html.count('role="img"') == html.count("lies more: ") == 2
    assert "kept (MB)</text>" in html


def test_every_name_is_written_inside_the_picture() -> None:
    found = re.findall(rf'<text x="{NUMBER}" y="{NUMBER}" text-anchor="middle">([a-z]+)<', svg())
    assert {name for *_, name in found} == {*LAST}
    assert all(0 < float(x) < WIDTH and 0 < float(y) < HEIGHT for x, y, _ in found)


@pytest.mark.parametrize("gap", [0, 3, 9, 40])
def test_texts_beside_marks_hide_no_mark_and_no_other_text(gap: int) -> None:
    marks = [Box(100 + gap * i, 150, 108 + gap * i, 158) for i in range(12)]
    places = places_beside(marks, [(50, 12)] * 12, Box(0, 0, 640, 320))
    assert not any(one.meets(other) for one, other in combinations(places, 2))
    assert not any(place.meets(mark) for place in places for mark in marks)


def test_a_text_stands_to_the_right_of_a_mark_that_is_alone() -> None:
    [place] = places_beside([Box(100, 100, 108, 108)], [(50, 12)], Box(0, 0, 300, 300))
    assert place == Box(112, 98, 162, 110)


def test_a_text_that_would_leave_the_room_stands_to_the_left() -> None:
    [place] = places_beside([Box(280, 100, 288, 108)], [(50, 12)], Box(0, 0, 300, 300))
    assert place == Box(226, 98, 276, 110)


def test_a_text_without_a_line_is_nearest_to_its_own_mark() -> None:
    """To the right of the first mark there is room, but beside the second one."""
    first, second = Box(100, 100, 108, 108), Box(163, 100, 171, 108)
    place, _ = places_beside([first, second], [(48, 12)] * 2, Box(0, 0, 300, 300))
    assert place.right < first.left
