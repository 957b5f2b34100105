"""What fills a panel of a figure."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle
from math import isfinite
from textwrap import fill
from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.patches import Rectangle
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from cilkit.metrics import Matrix, stage_accuracy, summary, unit_of
from cilkit.runs.records import (
    EpochRecord,
    Record,
    RunRecord,
    StageRecord,
    epoch_records,
    stage_records,
)
from cilkit.show.beside import name_marks
from cilkit.show.layout import (
    INK,
    MANY,
    NEW,
    OLD,
    Runs,
    both_ends,
    by_stage,
    class_names,
    dot,
    find_stage,
    height_of,
    mark_stages,
    method_colors,
    name_classes,
    name_ends,
    old_classes,
    write,
)


def draw_accuracy(ax: Axes, runs: Runs) -> None:
    """Draw the accuracy of labelled runs over the classes seen."""
    curves = {label: list(filter(None, map(curve, many))) for label, many in runs.items()}
    curves = {label: many for label, many in curves.items() if many}
    if not curves:
        return write(ax, "no finished stage yet")
    ends = []
    for (label, many), color in zip(curves.items(), method_colors(curves), strict=True):
        # the mean goes as far as all runs do: further on, it would be one of other runs
        mean = [np.mean(points, axis=0) for points in zip(*many, strict=False)]
        for points in many if len(many) > 1 else []:
            ax.plot(*zip(*points, strict=True), color=color, linewidth=0.8, alpha=0.5)
        ax.plot(*zip(*mean, strict=True), "o-", color=color, linewidth=2, ms=5, clip_on=False)
        ends.append((*mean[-1], f"{label} {round(mean[-1][1], 6):.1f}", color))
    seen = sorted({x for many in curves.values() for points in many for x, _ in points})
    ax.xaxis.set_major_locator(FixedLocator(seen, nbins=8))
    ax.set(xlabel="classes seen so far", ylabel="accuracy (%)", ylim=(0, 102))
    name_ends(ax, ends)


def curve(records: Iterable[Record]) -> list[tuple[int, float]]:
    """Return (classes seen, accuracy) after each finished stage."""
    return [(record.n_seen, stage_accuracy(record)) for record in stage_records(records)]


def draw_costs(ax: Axes, runs: Runs) -> None:
    """Draw the last accuracy of labelled runs over what they cost: whole runs that tell it.

    Below stand the labels that have none.
    """
    told = {label: [summary(one) for one in of if is_whole(one)] for label, of in runs.items()}
    found = {label: of for label, of in told.items() if of and isfinite(of[0]["flops"])}
    if not found:
        return write(ax, "no whole run yet that tells its cost")
    costs = {label: float(np.mean([one["flops"] for one in of])) for label, of in found.items()}
    (unit, name), marks = unit_of(costs.values()), []
    for (label, of), color in zip(found.items(), method_colors(found), strict=True):
        last, x = [one["last"] for one in of], costs[label] / unit
        y, spread = float(np.mean(last)), float(np.std(last, ddof=1)) if len(last) > 1 else 0.0
        ax.errorbar(x, y, spread or None, fmt="o", color=color, ms=6, capsize=3)
        marks.append((x, y - spread, y + spread, label))
    absent = ", ".join(label for label in runs if label not in found)
    below = "\n" + fill(f"not drawn, for no whole run tells its cost: {absent}", 80)
    ax.set_xlabel(f"cost of the whole run ({name}){below if absent else ''}", parse_math=False)
    ax.set_ylabel("accuracy after the last stage (%)")
    ax.set_ylim(0, 102)
    mark_costs(ax, [cost / unit for cost in costs.values()])
    name_marks(ax, marks)


def is_whole(records: Sequence[Record]) -> bool:
    """Tell whether a run has finished all of its stages."""
    stages = [len(one.classes_per_stage) for one in records if isinstance(one, RunRecord)]
    return stages == [len(stage_records(records))]


def mark_costs(ax: Axes, costs: Sequence[float]) -> None:
    """Let x begin at 0; where costs lie more than tenfold apart, it is their logarithm."""
    if max(costs) > 10 * min(costs) > 0:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.xaxis.set_minor_locator(NullLocator())
    else:
        ax.xaxis.set_major_locator(MaxNLocator(8))
        ax.set_xlim(left=0)


def draw_norms(ax: Axes, names: Sequence[str], norms: Sequence[float], n_old: int) -> None:
    """Draw a bar for each class; across them, the mean of the old and that of the new ones."""
    n, ends = len(norms), []
    colors = [OLD] * n_old + [NEW] * (n - n_old)
    ax.bar(range(n), norms, width=0.8 if n <= MANY else 1.0, color=colors, alpha=0.5)
    old, new = ("old", norms[:n_old], OLD, 0), ("new", norms[n_old:], NEW, 6)
    for word, part, color, phase in (old, new):
        if part:  # dashes in each other's gaps: equal means are both seen
            mean = float(np.mean(part))
            ax.axhline(mean, color=color, linestyle=(phase, (6, 6)), linewidth=1.5)
            ends.append((n - 0.5, mean, f"{word} {mean:.2f}", color))
    ax.set(ylabel="length of the prototype", xlabel="class", xlim=(-0.5, n - 0.5))
    ax.grid(visible=False)
    name_classes(ax.xaxis, names)
    name_ends(ax, ends)


def draw_latest_norms(ax: Axes, records: Sequence[Record]) -> None:
    """Draw the prototypes as the last record knows them."""
    latest = next((r for r in reversed(records) if isinstance(r, EpochRecord | StageRecord)), None)
    if latest is None:
        return write(ax, "no finished epoch yet")
    if isinstance(latest, StageRecord):
        norms, when = latest.after.norms, "after its end"
    else:
        norms, when = latest.norms, f"epoch {latest.epoch} of {latest.epochs}"
    names = class_names(records, len(norms))
    fit = len(names) <= MANY // 2 and not height_of(names)
    draw_norms(ax, names if fit else [], norms, old_classes(records, latest.stage))
    ax.set_title(f"stage {latest.stage + 1}, {when}", fontsize="medium")


def draw_mean_norms(
    ax: Axes, start: int, epochs: Sequence[EpochRecord], records: Sequence[Record]
) -> None:
    """Draw one stage's mean length of old and of new prototypes, and where its `end` took them."""
    x, stage = range(start, start + len(epochs)), epochs[0].stage
    n_old, end = old_classes(records, stage), find_stage(records, stage)
    for part, color, size in ((slice(0, n_old), OLD, 8), (slice(n_old, None), NEW, 5)):
        if not epochs[0].norms[part]:
            continue
        means = [float(np.mean(epoch.norms[part])) for epoch in epochs]
        ax.plot(x, means, color=color, marker=dot(records), ms=4)
        if end is not None:  # circles of two sizes: equal means are both seen
            moved = float(np.mean(end.after.norms[part]))
            ax.plot([x[-1], x[-1] + 0.5], [means[-1], moved], ":", color=color)
            [circle] = ax.plot(x[-1] + 0.5, moved, "o", color=color, mfc="white", ms=size)
            circle.set(zorder=3, clip_on=False)


def draw_losses(ax: Axes, records: Sequence[Record]) -> None:
    """Draw each term of the loss over all epochs; a stage without it leaves a gap."""
    epochs = epoch_records(records)
    if not epochs:
        return write(ax, "no finished epoch yet")
    ends = []
    names, marker = dict.fromkeys(name for e in epochs for name in e.losses), dot(records)
    for name, dashes in zip(names, cycle(("-", "--", ":", "-.")), strict=False):
        for start, of_stage in by_stage(records):
            y = [epoch.losses.get(name, np.nan) for epoch in of_stage]
            ax.plot(range(start, start + len(y)), y, dashes, color=INK, marker=marker, ms=4)
        last = max(i for i, epoch in enumerate(epochs) if name in epoch.losses)
        ends.append((last + 1, epochs[last].losses[name], name, INK))
    ax.set_ylabel("loss (mean of the epoch)")
    mark_stages(ax, records)
    name_ends(ax, ends)


def draw_heat(ax: Axes, percent: ArrayLike, aspect: Literal["auto", "equal"] = "auto") -> AxesImage:
    """Draw a matrix of percentages as shades of blue."""
    ax.spines[:].set_visible(False)
    ax.grid(visible=False)
    return ax.imshow(percent, cmap="Blues", vmin=0, vmax=100, aspect=aspect)


def draw_answers(
    ax: Axes, percent: Matrix, names: Sequence[str], answers: Sequence[tuple[int, int]]
) -> AxesImage:
    """Draw shares (percent), a row for each name, a column for each stage; frame the answers."""
    image = draw_heat(ax, percent)
    if percent.shape[1] <= MANY // 2:
        write_cells(ax, percent)
    for row, column in answers:
        frame = Rectangle((column - 0.5, row - 0.5), 1, 1, edgecolor=INK, linewidth=2)
        frame.set(fill=False, clip_on=False)
        ax.add_patch(frame)
    ax.set_yticks(range(len(names)), [*map(both_ends, names)], parse_math=False)
    return image


def leading(
    shares: Mapping[int, Sequence[float]], names: Sequence[str], most: int = MANY // 2
) -> tuple[Matrix, list[str], list[tuple[int, int]]]:
    """Return percent by class and stage, the rows' names, and the answers' (row, column).

    Classes that were an answer come before others, then those with the largest share; the rest is
    one row. NaN where a stage does not know a class.
    """
    percent = np.full((len(names), len(shares)), np.nan)
    for column, of_stage in enumerate(shares.values()):
        percent[: len(of_stage), column] = 100 * np.asarray(of_stage)
    answers = [int(np.argmax(of_stage)) for of_stage in shares.values()]
    if len(names) <= most + 1:
        return percent, [*names], [*zip(answers, range(len(answers)), strict=True)]
    peaks = np.nanmax(percent, axis=1) + 100 * np.isin(range(len(names)), answers)
    rows = sorted(np.argsort(-peaks, kind="stable")[:most].tolist())
    others = np.delete(percent, rows, axis=0)
    rest = np.where(np.isnan(others).all(axis=0), np.nan, np.nansum(others, axis=0))
    named = [*(names[row] for row in rows), f"{len(others)} others"]
    places = [rows.index(row) if row in rows else most for row in answers]
    return np.vstack([percent[rows], rest]), named, [*zip(places, range(len(places)), strict=True)]


def row_percent(confusion: ArrayLike) -> Matrix:
    """Return each row's shares of its sum, in percent; zeros for a class without images."""
    counts = np.asarray(confusion, dtype=np.float64)
    return np.asarray(100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def write_cells(ax: Axes, percent: Matrix) -> None:
    """Write each number of a matrix into its cell."""
    size = min(10.0, 110 / max(percent.shape))
    for (i, j), value in np.ndenumerate(percent):
        if not np.isnan(value):
            color = "white" if value > 71 else "black"  # where either has a contrast of 4.5
            ax.text(j, i, f"{value:.1f}", ha="center", va="center", color=color, fontsize=size)
