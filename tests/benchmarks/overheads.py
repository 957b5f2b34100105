"""What surrounds the training: the import, checkpoints, records, figures, memory.

An epoch is one of CIFAR-100's B50-10 protocol after the first stage: 5000 new images and 2000
exemplars in batches of 128, ResNet-32 in bf16 without a teacher. It is the shortest epoch that the
protocol has, and so the hardest to stay below; its time is that of a step, measured in the same
rounds, times their number.
"""

import contextlib
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from math import ceil
from pathlib import Path

import numpy as np
import torch

from benchmarks.harness import Row, Timing, interleaved, per, seconds
from benchmarks.step import BATCH, FORMATS, learner_of, step
from cilkit import DataSet, EpochRecord, Learner, Samples, build
from cilkit.data.loader import Loader
from cilkit.experiment import Observer, save
from cilkit.runs.folder import append
from cilkit.show.console import Console
from cilkit.show.observers import Csv
from cilkit.show.save import plot

FAST = FORMATS["bf16 channels_last"]
STEPS = ceil((10 * 500 + 2000) / BATCH)
IMAGES = 50_000
RUN = Path(__file__).parents[2] / "cilkit/results/digits/wa-seed30"  # a finished run, to be drawn


def main() -> list[Row]:
    """Measure the import in fresh processes, the rest in this one."""
    return [importing(), *beside_an_epoch(), peak_memory()]


def importing(rounds: int = 7) -> Row:
    """Return the seconds that `import cilkit` takes after `import torch`: under 0.3."""
    times = interleaved(
        {"ours": python("import torch, cilkit"), "torch": python("import torch")}, rounds
    )
    ours, torch_alone = times["ours"], times["torch"]
    beyond = ours.cpu - torch_alone.cpu
    by_wall = ours.wall - torch_alone.wall
    name = "import cilkit beyond torch, seconds"
    return Row(name, seconds(ours.cpu), seconds(torch_alone.cpu), beyond, 0.3, "<=", by_wall)


def python(code: str) -> Callable[[], str]:
    """Return a run of `code` in a process of its own, which gives what it printed."""
    command = [sys.executable, "-c", code]
    return lambda: subprocess.run(command, capture_output=True, text=True, check=True).stdout


def beside_an_epoch(rounds: int = 5) -> list[Row]:
    """Return the shares: a checkpoint under 5 % of an epoch, the rest under 1 %.

    The figures are drawn once, after all epochs: they are set against 60 of these, as many as the
    short preset has after its first stage.
    """
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        out, some = Path(folder), np.zeros((10, 32, 32, 3), np.uint8)
        dataset = DataSet.of(some, range(10), some, range(10))
        contenders: dict[str, Callable[[], object]] = {
            "step": step(FAST),
            "checkpoint": partial(save, out, full_learner(), dataset, []),
            "watching": watching(out),
            "figures": partial(plot, [RUN], out),
        }
        times = interleaved(contenders, rounds)
    epoch = per(times["step"], 1 / STEPS)
    return [
        part("a checkpoint, % of an epoch", times["checkpoint"], epoch, 5),
        part("records, tables and progress, % of an epoch", times["watching"], epoch, 1),
        part("all figures, % of 60 epochs", times["figures"], per(epoch, 1 / 60), 1),
    ]


def part(name: str, ours: Timing, whole: Timing, goal: float) -> Row:
    """Return the row that says how many percent of `whole` something takes."""
    share, by_wall = 100 * ours.cpu / whole.cpu, 100 * ours.wall / whole.wall
    return Row(name, seconds(ours.cpu), seconds(whole.cpu), share, goal, "<=", by_wall)


def full_learner() -> Learner:
    """Return a learner with 2000 exemplars, a teacher and an optimizer that has stepped."""
    learner = learner_of(FAST)
    labels = torch.arange(2000) % 10
    images = torch.randint(256, (2000, 3, 32, 32), dtype=torch.uint8)
    learner.memory.by_class = [
        Samples.of(images, labels).take((labels == label).nonzero().flatten())
        for label in range(10)
    ]
    learner.teacher = learner.model.frozen_copy()
    for parameter in learner.model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    learner.progress.take_step(0.01)
    return learner


def watching(out: Path) -> Callable[[], None]:
    """Return what the program does with the record of an epoch."""
    record = EpochRecord(1, 1, 170, 0.1, {"ce": 1.0, "kd": 0.5}, 50.0, [1.0] * 100)
    observers: list[Observer] = [Console(), Csv(out), partial(append, out)]

    def passing() -> None:
        for observe in observers:
            observe(record)

    return passing


def peak_memory() -> Row:
    """Return how many times the data set's size the program's peak grows by it.

    Whoever gives arrays holds them once; as (N, H, W, C) they are copied to (N, C, H, W), and for a
    moment copied again to count their mean and deviation.
    """
    few, many = (1024 * int(python(PEAK.format(count=count))()) for count in (100, IMAGES))
    size = IMAGES * 3 * 32 * 32
    texts = f"{(many - few) / 1e6:.0f} MB", f"{size / 1e6:.0f} MB"
    return Row("peak memory that 50,000 images take, by their size", *texts, (many - few) / size)


def first_batch(count: int) -> None:
    """Come from `count` images in an array to the first batch of the second of two stages."""
    pixels = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 3), np.uint8)
    labels = np.arange(count) % 100
    dataset = DataSet.of(pixels, labels, pixels[:100], labels[:100])
    del pixels
    config = replace(FAST, base=50, increment=50)
    learner, scenario = build(config, dataset)
    for stage in scenario.stages:
        learner.grow(stage)
        loader = Loader(learner.samples(stage), dataset, config, learner.model.device)
        next(loader.epoch(stage.index, 0))


# In a process of its own: the largest memory it ever had, in KiB, once a small data set has made it
# import all that it needs. Linux alone tells this; its answer to `getrusage` would count the memory
# of the process that has started this one.
PEAK = """
from benchmarks.overheads import first_batch
first_batch(100)
first_batch({count})
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""
