"""A number in prose comes from a stored record."""

import json
from pathlib import Path

import pytest
from test_readability import CORE, PACKAGE, code_lines

from cilkit import read_records
from cilkit.compare import spread, summarise
from cilkit.records import run_record

ROOT = Path(__file__).parent.parent
DIGITS = ROOT / "results" / "digits"
README = (ROOT / "README.md").read_text(encoding="utf-8")
METHODS = ("finetune", "replay", "replay-kd", "wa")


@pytest.mark.parametrize("method", METHODS)
def test_the_readmes_table_shows_the_stored_summary(method: str) -> None:
    stored = json.loads((DIGITS / "summary.json").read_text())[method]
    row = f"| {method} | {spread(stored['last'])} | {spread(stored['average'])} |"
    assert row in README


def test_the_stored_summary_is_that_of_the_stored_records() -> None:
    runs = {
        method: [read_records(DIGITS / f"{method}-seed{seed}") for seed in (0, 1, 2)]
        for method in METHODS
    }
    assert summarise(runs) == json.loads((DIGITS / "summary.json").read_text())


def test_the_ladder_of_methods_stands_as_the_readme_tells_it() -> None:
    stored = json.loads((DIGITS / "summary.json").read_text())
    means = [sum(stored[method]["last"]) / 3 for method in METHODS]
    assert means == sorted(means)
    assert means[0] <= 25
    assert means[-1] >= 88


def test_the_stored_records_were_made_by_the_readmes_command() -> None:
    record = run_record(read_records(DIGITS / "wa-seed0"))
    assert record.machine["command"].startswith("cilkit compare --preset digits --seeds 0 1 2")


def test_the_readme_states_the_size_of_the_core() -> None:
    lines = sum(code_lines(PACKAGE / name) for name in CORE)
    assert f"The method, the loop and the formulas are {lines} lines" in README
