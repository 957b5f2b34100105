"""How cost grows: with the stages, the classes, the exemplars and the processes.

The network is one layer and the images have 8 x 8 pixels, so that what is measured is the program
around the network. A cost that grows like n^a is a straight line of slope a where both axes are
logarithmic. The slope over the three largest sizes is set against what the mathematics asks: 1 for
a cost in proportion, 2 where a table of n x n is made. Below the sizes where it bites, a cost is
flatter than that. `growth.png` shows the lines.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from unittest.mock import patch

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import nn

from benchmarks.harness import Row, Timing, interleaved, seconds
from cilkit import DataSet, Learner, Scenario, build, learn, run, summary
from cilkit.backbones import BACKBONES
from cilkit.data.loader import Loader
from cilkit.data.scenario import build_scenario
from cilkit.experiment import save
from cilkit.inference import examine
from cilkit.loop import train_epoch
from cilkit.machine.processes import is_main, processes, total
from cilkit.methods.wa import WA
from cilkit.runs.folder import rewrite
from cilkit.runs.provenance import describe
from cilkit.runs.records import EpochRecord, Examination, Record, StageRecord
from cilkit.show.layout import FAINT, apart, new_figure
from cilkit.show.save import plot
from cilkit.state import fingerprint_of

Work = Callable[[], object]
SIZES = {
    "stages": (5, 10, 20, 50),
    "classes": (10, 30, 100, 300, 1000),
    "exemplars": (500, 2000, 5000, 20_000),
}
PROCESSES = (1, 2)
TOLERANCE = 0.25  # a slope over three points is no exact thing, and caches end somewhere
CONFIG = WA.Settings(backbone="one-layer", augment="none", epochs=1, budget=1000, device="cpu")


@dataclass(frozen=True)
class Curve:
    """A part of the program, and the exponent with which its cost may grow along an axis."""

    axis: str
    name: str
    asked: float
    prepare: Callable[[int, Path], Work]  # a size and a folder for files -> what is measured


def main(out: Path | None = None, rounds: int = 3) -> list[Row]:
    """Measure every curve, then one process against two; draw the curves into `out`."""
    measured = {}
    with (
        patch.dict(BACKBONES, {"one-layer": one_layer}),
        tempfile.TemporaryDirectory() as folder,
        contextlib.redirect_stdout(io.StringIO()),
    ):
        for number, curve in enumerate(CURVES):
            measured[curve] = times_of(curve, Path(folder, str(number)), rounds)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        draw(measured).savefig(out / "growth.png", dpi=150)
    return [*(row_of(curve, times) for curve, times in measured.items()), *by_processes(rounds)]


def times_of(curve: Curve, folder: Path, rounds: int) -> dict[int, Timing]:
    """Return the time at each size, the sizes taking turns."""
    contenders = {}
    for size in SIZES[curve.axis]:
        place = folder / str(size)
        place.mkdir(parents=True)
        contenders[str(size)] = curve.prepare(size, place)
    return {int(size): time for size, time in interleaved(contenders, rounds).items()}


def row_of(curve: Curve, times: dict[int, Timing]) -> Row:
    """Return the row of a curve: the largest size against the smallest, and the exponent."""
    small, large = min(times), max(times)
    name = f"{curve.name}, {small:,} to {large:,} {curve.axis}, exponent"
    slope = exponent([*times], [t.cpu for t in times.values()])
    by_wall = exponent([*times], [t.wall for t in times.values()])
    texts = seconds(times[large].cpu), seconds(times[small].cpu)
    return Row(name, *texts, slope, curve.asked + TOLERANCE, "<=", by_wall)


def exponent(sizes: Sequence[float], costs: Sequence[float], last: int = 3) -> float:
    """Return a for which costs grow like sizes^a: the slope of the logarithms' best line."""
    x, y = np.log([*sizes][-last:]), np.log(costs[-last:])
    return float(np.polyfit(x, y, 1)[0])


# --- what is measured ---------------------------------------------------------------------------


def one_layer(channels: int) -> nn.Module:
    """Return a network that costs next to nothing: 64 pixels -> 64 features."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, 64), nn.ReLU())


def noise(classes: int, each: int = 20, shape: tuple[int, ...] = (8, 8)) -> DataSet:
    """Return images of nothing, `each` of a class to learn from and 10 to test with."""
    draw = np.random.default_rng(0).integers
    train, test = (np.arange(classes).repeat(count) for count in (each, 10))
    images, others = (draw(0, 256, (len(part), *shape), np.uint8) for part in (train, test))
    return DataSet.of(images, train, others, test)


def dealing(classes: int, stages: int) -> Work:
    """Return the dealing of the images in stages."""
    dataset, config = noise(classes), replace(CONFIG, increment=classes // stages)
    return lambda: build_scenario(dataset, config)


def whole_run(stages: int, folder: Path) -> Work:
    """Return an experiment with 100 classes from its first to its last record."""
    dataset, config = noise(100), replace(CONFIG, increment=100 // stages)

    def once() -> None:
        with tempfile.TemporaryDirectory(dir=folder) as out:
            run(config, Path(out), dataset=dataset)

    return once


def made_up(stages: int, classes: int) -> list[Record]:
    """Return the records of a run that never was."""
    config = replace(CONFIG, increment=classes // stages)
    _, scenario = build(config, noise(classes, each=1))
    records: list[Record] = [describe(config, scenario)]
    for stage in scenario.stages:
        n, place = stage.n_seen, (stage.index, stage.n_old, stage.n_seen)
        seen = Examination([[1] * n for _ in range(n)], 5.0, [1.0] * n)
        records.append(EpochRecord(stage.index, 1, 1, 0.1, {"ce": 1.0}, 50.0, [1.0] * n))
        records.append(StageRecord(*place, seen, seen, 1000, {"gamma": 0.9}, "the same"))
    return records


def saving(folder: Path, stages: int, classes: int) -> Work:
    """Return a checkpoint at the end of a run: it holds the records of all stages."""
    records = made_up(stages, classes)
    learner, scenario = late(classes)
    return lambda: save(folder, learner, scenario.dataset, records)


def telling(stages: int, classes: int) -> Work:
    """Return the numbers of a finished run."""
    records = made_up(stages, classes)
    return lambda: summary(records)


def drawing(folder: Path, stages: int) -> Work:
    """Return all figures of a finished run of 100 classes."""
    rewrite(folder, made_up(stages, 100))
    return lambda: plot([folder])


def late(classes: int, exemplars: int = 1000, each: int = 20) -> tuple[Learner, Scenario]:
    """Return a learner of WA before the last of ten stages, with a full memory, and the stages."""
    config = replace(CONFIG, increment=classes // 10, budget=exemplars)
    learner, scenario = build(config, noise(classes, each))
    *earlier, last = scenario.stages
    for stage in earlier:  # as if it had learned them
        learner.model.grow_to(stage.n_seen)
        learner.memory.add(stage.train, torch.rand(len(stage.train), 64), stage.n_seen)
    learner.teacher, learner.progress.stages_done = learner.model.frozen_copy(), last.index
    learner.grow(last)
    learner.progress.start_phase(learner.model, config, config.plan(last.index), 0)
    return learner, scenario


def steps(classes: int) -> Work:
    """Return ten steps of training at the head of so many classes, with a teacher."""
    learner, scenario = late(classes)
    some = learner.samples(scenario.stages[-1]).take(torch.arange(128))
    batch = (some.images(), some.labels, 1.0)
    return lambda: train_epoch(learner, [batch] * 10, lr=0.01)


def testing(classes: int) -> Work:
    """Return the test after the last stage: 10 images of each class."""
    learner, scenario = late(classes)
    return lambda: examine(learner, scenario.stages[-1])


def keeping(classes: int, exemplars: int, each: int) -> Work:
    """Return the choice of the last stage's exemplars, and the shrinking of the others."""
    learner, scenario = late(classes, exemplars, each)
    stage, before = scenario.stages[-1], learner.memory.by_class
    features = torch.rand(len(stage.train), 64)

    def once() -> None:
        learner.memory.by_class = before
        learner.memory.add(stage.train, features, stage.n_seen)

    return once


def beginning(exemplars: int) -> Work:
    """Return the beginning of a stage, which puts the exemplars beside the new images."""
    learner, scenario = late(100, exemplars, each=300)
    return lambda: learner.samples(scenario.stages[-1])


def an_epoch(exemplars: int) -> Work:
    """Return an epoch over the new images and the exemplars."""
    learner, scenario = late(100, exemplars, each=300)
    stage = scenario.stages[-1]
    samples = learner.samples(stage)
    loader = Loader(samples, scenario.dataset, learner.config, learner.model.device)
    return lambda: train_epoch(learner, loader.epoch(stage.index, 0), lr=0.01)


def saving_exemplars(exemplars: int, folder: Path) -> Work:
    """Return a checkpoint with so many exemplars."""
    learner, scenario = late(100, exemplars, each=300)
    return lambda: save(folder, learner, scenario.dataset, [])


def comparing(exemplars: int) -> Work:
    """Return the fingerprint by which processes know that they agree."""
    learner, _ = late(100, exemplars, each=300)
    return lambda: fingerprint_of(learner)


CURVES = (
    Curve("stages", "dealing", 1, lambda n, _: dealing(100, n)),
    Curve("stages", "a whole run", 1, whole_run),
    Curve("stages", "a checkpoint", 1, lambda n, folder: saving(folder, n, 100)),
    Curve("stages", "a run's numbers", 1, lambda n, _: telling(n, 100)),
    Curve("stages", "a run's figures", 1, lambda n, folder: drawing(folder, n)),
    Curve("classes", "dealing", 1, lambda n, _: dealing(n, 10)),
    Curve("classes", "10 steps", 1, lambda n, _: steps(n)),
    Curve("classes", "a test", 2, lambda n, _: testing(n)),
    Curve("classes", "keeping exemplars", 1, lambda n, _: keeping(n, 1000, 20)),
    Curve("classes", "a checkpoint", 2, lambda n, folder: saving(folder, 10, n)),
    Curve("classes", "a run's numbers", 2, lambda n, _: telling(10, n)),
    Curve("exemplars", "keeping them", 1, lambda n, _: keeping(100, n, 300)),
    Curve("exemplars", "beginning a stage", 1, lambda n, _: beginning(n)),
    Curve("exemplars", "an epoch", 1, lambda n, _: an_epoch(n)),
    Curve("exemplars", "a checkpoint", 1, saving_exemplars),
    Curve("exemplars", "a fingerprint", 1, lambda n, _: comparing(n)),
)


# --- processes ----------------------------------------------------------------------------------


def by_processes(rounds: int) -> list[Row]:
    """Return the row of an epoch that two processes share: together they work as long as one."""
    found: dict[int, list[Timing]] = {count: [] for count in PROCESSES}
    for _ in range(rounds):
        for count in PROCESSES:
            found[count].append(epoch_of(count))
    one, two = (
        Timing(median(t.wall for t in found[count]), median(t.cpu for t in found[count]))
        for count in PROCESSES
    )
    texts = seconds(two.cpu), seconds(one.cpu)
    name = "an epoch, 1 to 2 processes, CPU time of both by that of one"
    return [Row(name, *texts, two.cpu / one.cpu, 1 + TOLERANCE, "<=", two.wall / one.wall)]


def epoch_of(count: int) -> Timing:
    """Return the time of an epoch in `count` processes that torchrun starts."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", str(count), "-m", "benchmarks.growth"]
    quiet = os.environ | {"OMP_NUM_THREADS": "1"}
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=quiet)
    return Timing(**json.loads(result.stdout))


def one_of_them() -> None:
    """Print the median time of an epoch of ResNet-8 at batches of 128, as torchrun starts it."""
    config = replace(CONFIG, backbone="resnet8", increment=20, epochs=4, threads=1)
    wall, cpu = [time.perf_counter()], [time.process_time()]
    with processes():
        for _ in learn(*build(config, noise(20, each=32, shape=(32, 32, 3)))):
            wall.append(time.perf_counter())
            cpu.append(float(total(torch.tensor(time.process_time(), dtype=torch.float64))))
        epochs = slice(1, config.epochs)  # the first one starts up, and the last record is a test
        time_of = {"wall": np.diff(wall)[epochs], "cpu": np.diff(cpu)[epochs]}
        if is_main():
            print(json.dumps({name: float(np.median(each)) for name, each in time_of.items()}))


# --- the figure ---------------------------------------------------------------------------------


def draw(measured: dict[Curve, dict[int, Timing]]) -> Figure:
    """Draw CPU time over size, a panel for each axis, beside lines of the slopes 1 and 2."""
    title = (
        "How cost grows, and the exponent of each line; grey: in proportion, and with the square"
    )
    figure, panels = new_figure(13.0, 4.6, title, panels=len(SIZES), sharey=False)
    for ax, axis in zip(panels, SIZES, strict=True):
        curves = {c: times for c, times in measured.items() if c.axis == axis}
        ax.set(xscale="log", yscale="log", xlabel=axis, ylabel="CPU time (s)")
        ax.set_xticks(SIZES[axis], [f"{size:,}" for size in SIZES[axis]], minor=False)
        ax.set_xticks([], minor=True)
        for times in curves.values():
            ax.plot([*times], [t.cpu for t in times.values()], "o-", ms=4, linewidth=1.5)
        low, high = ax.get_ylim()
        for slope in (1, 2):
            small, large = min(SIZES[axis]), max(SIZES[axis])
            ax.plot((small, large), (low, low * (large / small) ** slope), color=FAINT, zorder=0)
        ax.set_ylim(low, high)
        name_lines(ax, curves)
    return figure


def name_lines(ax: Axes, curves: dict[Curve, dict[int, Timing]]) -> None:
    """Write each line's name and exponent beside its end, in the line's colour."""
    ends = [times[max(times)].cpu for times in curves.values()]
    low, high = np.log(ax.get_ylim())
    heights = apart([(np.log(end) - low) / (high - low) for end in ends], gap=0.07)
    for line, height, (curve, times) in zip(ax.lines, heights, curves.items(), strict=False):
        slope = exponent([*times], [t.cpu for t in times.values()])
        text, color = f"{curve.name} {slope:.1f}", line.get_color()
        ax.text(1.03, height, text, color=color, va="center", transform=ax.transAxes)


if __name__ == "__main__":
    one_of_them()
