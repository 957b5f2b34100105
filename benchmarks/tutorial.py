"""The whole program against the tutorial's way of working, each as two gloo processes on the CPU.

Same data set, network, epochs, memory, batches, learning rate and losses; `tutorial_way.py` says
what the peer does. By itself, `python -m benchmarks.tutorial --help` offers other settings, such as
`--epochs 15 --rounds 1 --seeds 0 1 2` for a run that is long enough to learn.
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

from benchmarks.harness import Row, Timing, cpu_time, interleaved, less_time, print_table
from cilkit.config import Config
from cilkit.datasets import build_dataset
from cilkit.metrics import stage_accuracy
from cilkit.records import read_records, stage_records

# Short, and mostly training all the same: starting up costs each program some 20 s of CPU time.
SETTINGS = {
    "dataset": "glyphs",
    "data-path": "data",
    "backbone": "resnet20",
    "base": "50",
    "increment": "25",
    "class-order": "1993",
    "padding": "4",
    "auto-augment": Config.auto_augment,
    "budget": "500",
    "batch-size": "128",
    "epochs": "2",
    "lr": "0.1",
    "momentum": "0.9",
    "weight-decay": "5e-4",
    "workers": "10",  # the tutorial's own number
}
# What the tutorial does without options: CE + T^2 KD / 2, and heads with a bias.
LIKE_TUTORIAL = "--preset digits --method wa --kd-weight 0.5 --kd-mix additive --kd-t-squared"
LIKE_TUTORIAL += " --head-bias --threads 1 --device cpu"
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
# What each of ours adds; what it is called in the table; the goal.
OURS = {
    "timm": ("--augment timm", "the tutorial's workers", 2.0),
    "timm-0": ("--augment timm --channels-last --workers 0", "no workers, channels_last", 2.0),
    "batched": (
        "--augment randaugment --bf16 --channels-last --workers 0",
        "batched augmentation, bf16, channels_last",
        4.0,
    ),
}


@dataclass
class Comparison:
    """The programs with one choice of settings, and the accuracies that they have reached."""

    settings: dict[str, str]
    accuracies: dict[str, list[float]] = field(default_factory=dict)

    def contenders(self, seed: int) -> dict[str, Callable[[], None]]:
        """Return what can be called to run each program once."""
        ours = {name: lambda name=name: self.run_ours(name, seed) for name in OURS}
        return {"tutorial": lambda: self.run_tutorial(seed)} | ours

    def options(self, seed: int) -> list[str]:
        """Return the settings as both programs take them."""
        values = self.settings | {"seed": str(seed)}
        return [word for name, value in values.items() for word in (f"--{name}", value)]

    def run_tutorial(self, seed: int) -> None:
        """Run the peer; note its last accuracy."""
        command = [*TORCHRUN, "-m", "benchmarks.tutorial_way", *self.options(seed)]
        line = printed(command).strip().splitlines()[-1]
        self.note("tutorial", json.loads(line)["accuracy"][-1])

    def run_ours(self, name: str, seed: int) -> None:
        """Run cilkit; note its last accuracy."""
        with TemporaryDirectory() as folder:
            command = [*TORCHRUN, "-m", "cilkit", "run", *LIKE_TUTORIAL.split()]
            printed([*command, *self.options(seed), *OURS[name][0].split(), "--out", folder])
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


def rows_of(times: dict[str, Timing], accuracies: dict[str, list[float]]) -> list[Row]:
    """Return two rows for each way of running ours: its time, and what it has learned."""
    rows, theirs = [], accuracies["tutorial"]
    for name, (_, words, goal) in OURS.items():
        own = accuracies[name]
        title = f"the tutorial's work: {words}"
        rows.append(less_time(title, times[name], times["tutorial"], goal))
        title = f"  its last accuracy in {len(own)} runs"
        rows.append(Row(title, told(own), told(theirs), mean(own) / mean(theirs)))
    return rows


def told(accuracies: list[float]) -> str:
    """Return the mean, and the deviation where there is one."""
    spread = f" ± {stdev(accuracies):.1f}" if len(accuracies) > 1 else ""
    return f"{mean(accuracies):.1f}{spread} %"


def compare(settings: dict[str, str], rounds: int, seeds: list[int]) -> list[Row]:
    """Run all programs `rounds` times with each seed, interleaved; return the rows."""
    build_dataset(Config(dataset=settings["dataset"], data_path=Path(settings["data-path"])))
    comparison, queues = Comparison(settings), list[dict[str, Callable[[], None]]]()
    for seed in seeds:
        queues += [comparison.contenders(seed)] * rounds
    turns = {name: iter([queue[name] for queue in queues]) for name in queues[0]}
    calls = {name: lambda turn=turn: next(turn)() for name, turn in turns.items()}
    times = interleaved(calls, rounds=len(queues), warm_up=0)
    return rows_of(times, comparison.accuracies)


def main(rounds: int = 3) -> list[Row]:
    """Measure with the short settings, which tell times and not accuracies."""
    return compare(SETTINGS, rounds, [0])


def alone() -> None:
    """Measure with settings from the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tutorial", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often with each seed")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    for name, value in SETTINGS.items():
        parser.add_argument(f"--{name}", default=value)
    given = vars(parser.parse_args())
    settings = {name: given[name.replace("-", "_")] for name in SETTINGS}
    print_table(compare(settings, given["rounds"], given["seeds"]))


if __name__ == "__main__":
    alone()
