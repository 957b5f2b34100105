"""How far another machine moves the digits' numbers: the same runs, computed in other ways.

    PYTHONPATH=tests python -m benchmarks.machines --out runs/machines

Older processors are played by telling PyTorch, oneDNN and MKL to leave newer instructions alone.
The table is kept in cilkit/results/machines.json; book/troubleshooting.md states what it says.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from cilkit.runs.provenance import machine, versions

SEEDS = range(30, 40)
KEPT = Path(__file__).parents[2] / "cilkit" / "results" / "machines.json"
COMPARE = ["-m", "cilkit", "compare", "--preset", "digits", "--resume"]
COMPARE += ["--methods", "replay", "replay-kd", "wa", "--seeds", *map(str, SEEDS)]
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]


def only(torch: str, onednn: str, mkl: str) -> dict[str, str]:
    """Return the environment that holds the three libraries to these instructions."""
    return {"ATEN_CPU_CAPABILITY": torch, "ONEDNN_MAX_CPU_ISA": onednn, "MKL_CBWR": mkl}


# What is set in the environment, what comes before the program, and its further options.
WAYS: dict[str, tuple[dict[str, str], list[str], list[str]]] = {
    "here": ({}, [], []),
    "AVX2": (only("avx2", "AVX2", "AVX2"), [], []),
    "SSE4.1": (only("default", "SSE41", "COMPATIBLE"), [], []),
    "two threads": ({}, [], ["--threads", "2"]),
    "two processes": ({"OMP_NUM_THREADS": "1"}, TORCHRUN, []),
}


def last_accuracies(way: str, out: Path) -> dict[str, list[float]]:
    """Run the three methods on all seeds in this way; return each one's last accuracies."""
    environment, before, options = WAYS[way]
    folder = out / way.replace(" ", "-").lower()
    command = [sys.executable, *before, *COMPARE, *options, "--out", str(folder)]
    subprocess.run(command, env=os.environ | environment, check=True, stdout=subprocess.DEVNULL)
    summary = json.loads((folder / "summary.json").read_text())
    return {method: found["last"] for method, found in summary.items()}


def main() -> None:
    """Run all ways, and keep the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where the runs are kept")
    out = parser.parse_args().out
    ways = {way: last_accuracies(way, out) for way in WAYS}
    made = {"machine": machine(), "versions": versions()}
    KEPT.write_text(json.dumps({"last": ways, "made": made}, indent=1) + "\n")


if __name__ == "__main__":
    main()
