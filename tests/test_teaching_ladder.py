"""The ladder shows the stored runs' numbers, one repair more at each step."""

import json

import pytest

from cilkit.metrics import spread
from cilkit.teaching import stored
from cilkit.teaching.chapters.ladder import RUNGS, ladder
from cilkit.teaching.stored import RESULTS

WITH_LADDER = [path.parent.name for path in sorted(RESULTS.glob("*/summary.json"))]


@pytest.mark.parametrize("name", WITH_LADDER)
def test_each_step_says_what_the_stored_summary_says(name: str) -> None:
    summary = json.loads((RESULTS / name / "summary.json").read_text())
    frames = ladder(stored(name), name).frames
    for method, frame in zip(RUNGS, frames, strict=True):
        of_method = summary[method]
        assert f"last {spread(of_method['last'])}, average {spread(of_method['average'])}" in (
            frame.says
        )


def test_each_curve_is_named_where_it_ends() -> None:
    words = ("no repair", "exemplars", "teacher", "alignment")
    for step, frame in enumerate(ladder(stored("digits"), "digits").frames):
        assert [f">{word}<" in frame.marks for word in words] == [i <= step for i in range(4)]


def test_each_step_draws_a_curve_more() -> None:
    frames = ladder(stored("digits"), "digits").frames
    assert [frame.marks.count("<polyline") for frame in frames] == [1, 2, 3, 4]
