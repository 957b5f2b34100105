"""Herding against random on ten seeds: chapter 3's last stage, by the function of its own cell.

    python book/tools/selection.py   # leaves cilkit/results/digits-selection: 40 s a seed

The notebook's cells run up to the one that defines `last_stage`, with the seed changed, so what is
stored is what the page's cell computes. Records that are there already stay as they are.
"""

import argparse
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from itertools import product
from pathlib import Path
from typing import Any

from claims import SHOWN, code_of

from cilkit.experiment import describe
from cilkit.runs.records import Record

BOOK = Path(__file__).parents[1]
CHAPTER = BOOK / "03_exemplars.ipynb"
KEPT = BOOK.parent / "cilkit" / "results" / "digits-selection"
SEEDS, BUDGETS, CHOICES = range(30, 40), (20, 40, 80, 200), ("herding", "random")


def cells_up_to(name: str) -> list[str]:
    """Return the code of the chapter's cells, down to the one that defines a function."""
    found = []
    for code, claims in code_of(CHAPTER):
        if not claims:
            found.append(code)
        if f"def {name}(" in code:
            return found
    raise SystemExit(f"no cell of {CHAPTER.name} defines {name}")


def chapter(seed: int) -> dict[str, Any]:
    """Return what the chapter's cells have defined when `last_stage` is there, for this seed."""
    cells, names = cells_up_to("last_stage"), {}
    if "".join(cells).count(SHOWN) != 1:
        raise SystemExit(f"{CHAPTER.name} must say {SHOWN!r} once before last_stage")
    with redirect_stdout(StringIO()):
        for code in cells:
            exec(code.replace(SHOWN, f"seed={seed}"), names)
    return names


def records_of(names: dict[str, Any], budget: int, choice: str) -> list[Record]:
    """Train the last stage with this memory; return its records."""
    stage = names["last_stage"](budget, choice)
    changed = replace(names["config"], budget=budget, selection=choice)
    run = describe(changed, names["scenario"])
    command = f"book/{CHAPTER.name}: last_stage({budget}, {choice!r})"
    return [replace(run, machine=run.machine | {"command": command}), stage]


def store(out: Path, seed: int) -> None:
    """Write the records that are still missing of one seed."""
    folders = {
        (budget, choice): out / f"{choice}-{budget}-seed{seed}"
        for budget, choice in product(BUDGETS, CHOICES)
    }
    missing = {key: f for key, f in folders.items() if not (f / "records.jsonl").exists()}
    names = chapter(seed) if missing else {}
    for (budget, choice), folder in missing.items():
        lines = [record.line + "\n" for record in records_of(names, budget, choice)]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "records.jsonl").write_text("".join(lines), encoding="utf-8")
        print(folder.name, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=KEPT)
    parser.add_argument("--seeds", type=int, nargs="+", default=[*SEEDS])
    given = parser.parse_args()
    for seed in given.seeds:
        store(given.out, seed)
