"""What somebody sees who imports cilkit and looks around."""

import pydoc
import re
from pathlib import Path
from types import FunctionType, ModuleType

import pytest

import cilkit
from cilkit import figures
from cilkit.show.live import LivePlot

PAGE = (Path(__file__).parent.parent / "book" / "api.md").read_text(encoding="utf-8")
TASKS = PAGE.split("## What there is for what")[1].split("##")[0]
FUNCTIONS = "build run compare learn load look_back extend export features_of predict table"


@pytest.mark.parametrize("name", FUNCTIONS.split())
def test_where_a_function_is_expected_there_is_one(name: str) -> None:
    assert isinstance(getattr(cilkit, name), FunctionType)


def test_what_draws_is_there_when_it_is_asked_for() -> None:
    assert isinstance(figures, ModuleType) and callable(figures.accuracy_per_stage)
    assert cilkit.LivePlot is LivePlot


def test_looking_around_shows_the_public_names_and_no_others() -> None:
    assert dir(cilkit) == sorted(cilkit.__all__)


def test_a_name_that_is_not_there_is_refused_as_everywhere() -> None:
    with pytest.raises(AttributeError, match="module 'cilkit' has no attribute 'wa'"):
        assert cilkit.wa
    assert not hasattr(cilkit, "__path_of_nothing__")


def test_the_reference_lists_each_public_name_by_what_one_wants_to_do() -> None:
    named = re.findall(r"`(\w+)`", TASKS)
    assert sorted({*named} - {"cilkit"}) == sorted(cilkit.__all__)


def test_help_says_what_a_record_is() -> None:
    text = pydoc.render_doc(cilkit.Record, renderer=pydoc.plaintext)
    assert "What happened in a run, as a line of its `records.jsonl`." in text
    for kind in ("RunRecord", "EpochRecord", "StageRecord", "ResumeRecord"):
        assert kind in text
        assert issubclass(getattr(cilkit, kind), cilkit.Record)
