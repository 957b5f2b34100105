"""Ours beside other toolkits: the pages show what was measured."""

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
RECORD = json.loads((ROOT / "cilkit" / "results" / "toolkits.json").read_text())
PAGES = [ROOT / "tests" / "benchmarks" / "README.md", ROOT / "book" / "toolbox.md"]
SHOWN = 20  # percent of CIFAR-100
WORDS = {
    "cilkit as it comes": "**cilkit, `wa`, as it comes**",
    "cilkit float32, channels last": "cilkit, `wa`, float32, channels last |",
    "cilkit float32": "cilkit, `wa`, float32 |",
}


def run_of(toolkit: str, percent: int = SHOWN) -> dict[str, Any]:
    *_, last = (r for r in RECORD["runs"] if (r["toolkit"], r["percent"]) == (toolkit, percent))
    return last


def seconds_per_1000_passes(run: dict[str, Any]) -> float:
    """Return what a forward pass takes; an image trained on goes back, too, which counts as two."""
    passes = 3 * run["trained"] + run["looked_at"]
    return float(1000 * run["cpu_seconds_from_first_image"] / passes)


TOOLKITS = [run["toolkit"] for run in RECORD["runs"] if run["percent"] == SHOWN]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
@pytest.mark.parametrize("toolkit", sorted({*TOOLKITS}))
def test_a_toolkits_row_is_what_was_measured(toolkit: str, page: Path) -> None:
    run, per = run_of(toolkit), seconds_per_1000_passes(run_of(toolkit))
    ratio = seconds_per_1000_passes(run_of("PyCIL")) / per
    start = f"| {WORDS.get(toolkit, toolkit)}"
    [row] = [line for line in page.read_text("utf-8").splitlines() if line.startswith(start)]
    numbers = f"| {run['cpu_seconds']:.0f} | {per:.2f} | {ratio:.2f} | {run['peak_mib']} |"
    assert row.endswith(numbers)


def test_the_readmes_sentences_say_what_was_measured() -> None:
    says = " ".join(PAGES[0].read_text("utf-8").split())
    half = {run["toolkit"]: run for run in RECORD["runs"] if run["percent"] == SHOWN / 2}
    ours, plainly, theirs = (
        seconds_per_1000_passes(half[name])
        for name in ("cilkit as it comes", "cilkit float32", "PyCIL")
    )
    ratios = f"{theirs / ours:.2f} times ours as it comes, and {theirs / plainly:.2f} times ours"
    assert f"At half the size PyCIL takes {ratios} in float32" in says
    twice, once = (
        half[f"cilkit as it comes{more}"]["cpu_seconds"] for more in (", tested twice", "")
    )
    assert f"{twice:.0f} in place of {once:.0f} CPU s at half the size" in says
    for toolkit, (all_lines, core) in RECORD["lines_that_ran"].items():
        assert f"{toolkit} {all_lines} and {core}" in says


def test_in_float32_all_toolkits_take_about_the_same() -> None:
    slowest, quickest = (
        extreme(seconds_per_1000_passes(run_of(toolkit)) for toolkit in TOOLKITS if plain(toolkit))
        for extreme in (max, min)
    )
    assert slowest / quickest < 1.12


def plain(toolkit: str) -> bool:
    return not toolkit.startswith("cilkit") or toolkit == "cilkit float32"


@pytest.mark.parametrize("toolkit", sorted({*RECORD["toolkits"]} - {"cilkit"}))
def test_the_toolkit_was_measured_at_the_commit_that_its_card_names(toolkit: str) -> None:
    card = PAGES[1].read_text("utf-8").split(f":::{{grid-item-card}} {toolkit}\n")[1]
    assert f"`{RECORD['toolkits'][toolkit]['commit']}`" in card.split("\n:::\n")[0]
