"""Exercises in code: right answers are right, and each usual mistake is told what it is."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cilkit import distillation_loss, metrics
from cilkit.errors import InputError
from cilkit.methods import Replay
from cilkit.teaching import check
from cilkit.teaching.exercises import EXERCISES

BOOK = Path(__file__).parent.parent / "book"
CHAPTERS = sorted(BOOK.glob("[01]*.ipynb"))
NAMES = {"np": np, "torch": torch, "F": F, "distillation_loss": distillation_loss}
NAMES |= {"metrics": metrics, "Replay": Replay, "check": check}
MISTAKES = [
    pytest.param(name, says, id=f"{name}: {says}")
    for name, exercise in EXERCISES.items()
    for says in exercise.mistakes
]


@pytest.mark.parametrize("name", EXERCISES)
def test_the_right_answer_is_right(name: str) -> None:
    assert check(name, EXERCISES[name].right).right


@pytest.mark.parametrize(("name", "says"), MISTAKES)
def test_a_usual_mistake_is_told_where_it_differs_and_what_it_is(name: str, says: str) -> None:
    found = check(name, EXERCISES[name].mistakes[says])
    assert re.fullmatch(r"Not yet\. .+ in place of .+\. " + re.escape(says), repr(found))


def verdicts(path: Path, tags: set[str]) -> list[bool]:
    """Run a notebook's cells with these tags alone; return whether each check finds all right."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    names: dict[str, Any] = dict(NAMES)
    found = []
    for source in ("".join(c["source"]) for c in cells if tags & {*c["metadata"].get("tags", [])}):
        exec(source, names)
        if call := re.search(r'^(?:assert )?(check\(".+\))', source, re.MULTILINE):
            found.append(eval(call[1], names).right)
    return found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapters_solutions_are_right(path: Path) -> None:
    found = verdicts(path, {"solution"})
    assert found == [True] * len(found)
    assert found


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_what_a_chapter_gives_is_not_the_solution_yet(path: Path) -> None:
    found = verdicts(path, {"exercise", "check"})
    assert found == [False] * len(found)
    assert found


def test_an_answer_that_nobody_foresaw_is_told_the_first_difference() -> None:
    found = check("gamma", lambda weight, n_old: torch.tensor(1.0))
    assert repr(found).endswith("new ones (8, 6) and (0, 0.5): 1 in place of 0.381.")


def test_an_answer_without_a_return_is_told_so() -> None:
    assert "None. Is there a `return`?" in repr(check("herd", lambda features, m: None))


def test_a_result_in_place_of_a_function_is_told_so() -> None:
    found: Any = 0.5
    assert repr(check("gamma", found)) == "Not yet. Give the function itself; this is 0.5."


def test_an_answer_of_another_shape_is_shown_beside_the_right_one() -> None:
    found = check("gradient", lambda logits, label: logits[:2])
    assert "[2, -1] in place of [-0.2144, 0.03911, 0.1753]" in repr(found)


def test_an_error_in_an_answer_is_told_with_its_first_line() -> None:
    found = check("grow", lambda layer, m: nn.Linear("three", 4))
    assert repr(found).startswith("Not yet. The number of rows: TypeError, ")


def test_what_an_answer_draws_leaves_the_readers_random_numbers_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    check("grow", EXERCISES["grow"].right)
    assert torch.equal(torch.rand(3), wanted)


def test_an_exercise_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"unknown exercise 'gama'; known: arrival, .*'gamma'"):
        check("gama", len)
