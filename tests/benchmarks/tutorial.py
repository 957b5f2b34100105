"""The whole program against the tutorial's way of working, each as two gloo processes on the CPU.

Same data set, network, epochs, memory, batches, learning rate and losses; `tutorial_way.py` says
what the peer does. Two settings. "digits" is few images of ten classes, trained long enough to
learn: there, starting workers anew for each pass is most of the peer's time. "glyphs" is many
images and a short time: there, both mostly compute, and its accuracies mean nothing. By itself
it takes other options and seeds:

    PYTHONPATH=tests python -m benchmarks.tutorial digits --seeds 0 1 2
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import numpy as np
import torch.nn.functional as F

from benchmarks.harness import Row, Timing, cpu_time, interleaved, less_time, print_table
from cilkit.config import Config
from cilkit.data.datasets import build_dataset
from cilkit.metrics import stage_accuracy
from cilkit.runs.records import read_records, stage_records

COMMON = {
    "backbone": "resnet20",
    "class-order": "1993",
    "padding": "4",
    "auto-augment": Config.auto_augment,
    "momentum": "0.9",
    "weight-decay": "5e-4",
    "workers": "10",  # the tutorial's own number
}
SETTINGS = {
    "digits": COMMON
    | {"dataset": "npz", "base": "2", "increment": "2", "budget": "200"}
    | {"batch-size": "64", "epochs": "10", "lr": "0.05"},
    "glyphs": COMMON
    | {"dataset": "glyphs", "base": "50", "increment": "25", "budget": "500"}
    | {"batch-size": "128", "epochs": "2", "lr": "0.1"},
}
# What the tutorial does without options: CE + T^2 KD / 2, and heads with a bias.
LIKE_TUTORIAL = "--preset digits --method wa --kd-weight 0.5 --kd-mix additive --kd-t-squared"
LIKE_TUTORIAL += " --head-bias --threads 1 --device cpu"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# What each program adds, what it is called in the table, and the goal. RandAugment in batches is
# the same policy, with a draw of its own for each image.
FASTER = {
    "peer-0": ("--workers 0", "the peer itself without workers", None),
    "timm": ("--augment timm", "timm's transform, float32", 2.0),
    "batched": ("--augment randaugment", "RandAugment in batches, float32", 2.0),
    "bf16": ("--augment randaugment --precision bf16", "RandAugment in batches, bf16", 4.0),
}


@dataclass
class Comparison:
    """The programs with one choice of settings, and the accuracies that they have reached."""

    settings: dict[str, str]
    accuracies: dict[str, list[float]] = field(default_factory=dict)

    def contenders(self, seeds: list[int]) -> dict[str, Callable[[], None]]:
        """Return what runs each program once: each call takes the next seed."""

        def with_next(run: Callable[..., None], *words: str) -> Callable[[], None]:
            coming = iter(seeds)
            return lambda: run(*words, next(coming))

        ours = {name: with_next(self.run_ours, name) for name in FASTER if name != "peer-0"}
        peers = {name: with_next(self.run_tutorial, name) for name in ("peer", "peer-0")}
        return peers | ours

    def options(self, seed: int) -> list[str]:
        """Return the settings as both programs take them."""
        values = self.settings | {"seed": str(seed)}
        return [word for name, value in values.items() for word in (f"--{name}", value)]

    def run_tutorial(self, name: str, seed: int) -> None:
        """Run the peer; note its last accuracy."""
        command = [*TORCHRUN, "-m", "benchmarks.tutorial_way", *self.options(seed)]
        added = FASTER[name][0].split() if name in FASTER else []
        line = printed([*command, *added]).strip().splitlines()[-1]
        self.note(name, json.loads(line)["accuracy"][-1])

    def run_ours(self, name: str, seed: int) -> None:
        """Run cilkit, as one would on a machine of two cores; note its last accuracy."""
        with TemporaryDirectory() as folder:
            command = [*TORCHRUN, "-m", "cilkit", "run", *LIKE_TUTORIAL.split()]
            command += [*self.options(seed), "--workers", "0", "--channels-last", "True"]
            printed([*command, *FASTER[name][0].split(), "--out", folder])
            last = stage_records(read_records(Path(folder)))[-1]
        self.note(name, stage_accuracy(last))

    def note(self, name: str, accuracy: float) -> None:
        """Remember an accuracy."""
        self.accuracies.setdefault(name, []).append(round(accuracy, 2))
        print(f": {name}, {accuracy:.1f} % at the end", file=sys.stderr, flush=True)


def printed(command: list[str]) -> str:
    """Return what a command prints, and say how long it took; raise with its words if it fails."""
    wall, cpu = perf_counter(), cpu_time()
    result = subprocess.run(command, capture_output=True, text=True)
    times = f"{perf_counter() - wall:.1f} s wall, {cpu_time() - cpu:.1f} s CPU"
    print(f"  {times}", end="", file=sys.stderr)
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}\n{result.stderr[-3000:]}")
    return result.stdout


def rows_of(name: str, times: dict[str, Timing], accuracies: dict[str, list[float]]) -> list[Row]:
    """Return two rows for each faster way: its time, and what it has learned."""
    rows, theirs = [], accuracies["peer"]
    for way, (_, words, goal) in FASTER.items():
        own = accuracies[way]
        rows.append(less_time(f"{name}: {words}", times[way], times["peer"], goal))
        title = f"  its last accuracy, {len(own)} seeds"
        rows.append(Row(title, told(own), told(theirs), mean(own) / mean(theirs)))
    return rows


def told(accuracies: list[float]) -> str:
    """Return the mean, and the deviation where there is one."""
    spread = f" ± {stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{mean(accuracies):.1f}{spread} %"


def compare(name: str, settings: dict[str, str], seeds: list[int]) -> list[Row]:
    """Run all programs once with each seed, interleaved; return the rows."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "digits.npz"
        if settings["dataset"] == "npz":
            write_digits(path)
        comparison = Comparison({"data-path": str(path)} | settings)
        build_dataset(Config(dataset=settings["dataset"], data_path=path))  # fonts are drawn once
        contenders = comparison.contenders(seeds)
        times = interleaved(contenders, rounds=len(seeds), warm_up=0)
    return rows_of(name, times, comparison.accuracies)


def write_digits(path: Path) -> None:
    """Write scikit-learn's digits as colour images of 32x32, the size that the tutorial reads."""
    digits, arrays = build_dataset(Config(dataset="digits")), dict[str, Any]()
    for part, samples in (("train", digits.train), ("test", digits.test)):
        large = F.interpolate(samples.images().float(), size=(32, 32), mode="bilinear")
        arrays[f"{part}_images"] = large.round().byte().expand(-1, 3, -1, -1).numpy()
        arrays[f"{part}_labels"] = samples.labels.numpy()
    np.savez(path, **arrays)


def main() -> list[Row]:
    """Measure both settings; only the one that learns needs three seeds."""
    seeds = {"digits": [0, 1, 2], "glyphs": [0]}
    return [row for name, those in seeds.items() for row in compare(name, SETTINGS[name], those)]


def alone() -> None:
    """Measure one setting, with options from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tutorial", description=__doc__)
    parser.add_argument("setting", choices=SETTINGS)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    for name in SETTINGS["digits"]:
        parser.add_argument(f"--{name}")
    given = vars(parser.parse_args())
    setting, seeds = given.pop("setting"), given.pop("seeds")
    changed = {name.replace("_", "-"): value for name, value in given.items() if value}
    print_table(compare(setting, SETTINGS[setting] | changed, seeds))


if __name__ == "__main__":
    alone()
