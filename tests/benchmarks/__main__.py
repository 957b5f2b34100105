"""Run the benchmarks and print one table: `make bench`, of some: `make bench NAMES="step herding"`.

Each module of this folder that has a `main` is one benchmark; it returns its rows of the table.
"""

import argparse
import importlib
import json
import sys
from dataclasses import asdict
from pathlib import Path

import torch

from benchmarks.harness import Row, print_table, provenance
from cilkit.config import as_path

NAMES = ("pipeline", "herding", "step", "overheads", "growth", "laboratory", "tutorial")
DRAWS = ("growth",)  # these leave a figure in the folder too


def main() -> None:
    """Run what is asked for, or all; one thread, unless a benchmark is about threads."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NAMES)}; default: all")
    parser.add_argument("--out", type=as_path, help="a folder for the rows as benchmarks.json")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    torch.set_num_threads(1)
    rows = []
    for name in arguments.names or NAMES:
        print(f"{name} …", file=sys.stderr, flush=True)
        benchmark = importlib.import_module(f"benchmarks.{name}")
        rows += benchmark.main(arguments.out) if name in DRAWS else benchmark.main()
    print_table(rows)
    if arguments.out:
        write_json(arguments.out, rows)


def write_json(folder: Path, rows: list[Row]) -> None:
    """Write the rows, and what they were measured with, to `benchmarks.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    content = {"rows": [asdict(row) for row in rows], "provenance": provenance().splitlines()}
    text = json.dumps(content, indent=1, ensure_ascii=False)
    (folder / "benchmarks.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
