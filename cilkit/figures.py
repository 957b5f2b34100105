"""Figures of records: pure functions, each of which returns a matplotlib `Figure` of its own.

Colours mean the same everywhere: a method has one, old classes have one and new classes another
(Okabe and Ito's palette, which colour-blind people can tell apart). Stages count from 0, as in the
records. What has not happened yet is said in words.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import cycle, groupby
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from cilkit.metrics import Matrix, accuracy_matrix, stage_accuracy
from cilkit.records import EpochRecord, Record, RunRecord, StageRecord, epoch_records, stage_records

OLD, NEW = "#0072B2", "#D55E00"
METHOD_COLORS = {
    "finetune": "#E69F00",
    "lwf": "#CC79A7",
    "replay": "#56B4E9",
    "replay-kd": "#009E73",
    "wa": "#000000",
    "joint": "#999999",
}
OTHER_COLORS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#999999")
INK, FAINT = "#333333", "#BBBBBB"
HEAT = colormaps["Blues"]
WIDTH = 7.0  # inches; 700 pixels on a page
MANY = 20  # more classes or stages than this have no room for their names


class Picture(Figure):
    """A figure that a notebook shows by itself, without pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the image, two pixels to a page's one, and its size on the page."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=2 * self.dpi)
        width, height = self.get_size_inches() * self.dpi
        return file.getvalue(), {"width": round(width), "height": round(height)}


# --- one figure for each question ---------------------------------------------------------------


def accuracy_per_stage(
    runs: Mapping[str, Sequence[Sequence[Record]]], *, title: str | None = None
) -> Figure:
    """Draw A_i (percent) over the classes seen: of each label the mean, and its runs as thin lines."""
    figure = new_figure(WIDTH, 4.2, title)
    draw_accuracy(figure.add_subplot(), runs)
    return figure


def prototype_norms(
    records: Sequence[Record], *, stage: int | None = None, title: str | None = None
) -> Figure:
    """Draw each prototype's length before and after the `end` of a stage, by default the last."""
    figure = new_figure(WIDTH, 3.8, title)
    record = find_stage(records, stage)
    if record is None:
        return no_stage(figure, stage)
    gamma = f", γ = {record.facts['gamma']:.2f}" if "gamma" in record.facts else ""
    panels = {f"stage {record.stage}, as trained": record.before, f"after its end{gamma}": record.after}
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (heading, examination) in zip(axes, panels.items(), strict=True):
        draw_norms(ax, class_names(records, record.n_seen), examination.norms, record.n_old)
        ax.set_title(heading)
    axes[1].set_ylabel("")
    bars = [Patch(color=color, alpha=0.5) for color in (OLD, NEW)]
    mean = Line2D([], [], color=INK, linestyle="--")
    add_legend(figure, {"old classes": bars[0], "new classes": bars[1], "mean": mean})
    return figure


def norms_by_epoch(records: Sequence[Record], *, title: str | None = None) -> Figure:
    """Draw the mean length of old and of new prototypes after each epoch and each stage's `end`."""
    figure = new_figure(WIDTH, 3.8, title)
    if not epoch_records(records):
        return instead(figure, "no finished epoch yet")
    ax = figure.add_subplot()
    for start, epochs in spans(records):
        draw_means(ax, start, epochs, n_old_classes(records, epochs[0].stage), records)
    mark_stages(ax, records)
    ax.set_ylabel("mean length of prototypes")
    ax.set_ylim(bottom=0)
    old, new = (Line2D([], [], color=color) for color in (OLD, NEW))
    end = Line2D([], [], color=INK, linestyle="", marker="o", markerfacecolor="white")
    add_legend(figure, {"old classes": old, "new classes": new, "after the stage's end": end})
    return figure


def accuracy_matrix_figure(records: Sequence[Record], *, title: str | None = None) -> Figure:
    """Draw R (percent): a row for each finished stage, a column for the classes that came with it."""
    stages = stage_records(records)
    n = len(stages)
    figure = new_figure(min(WIDTH, 2.6 + 0.7 * n), min(6.0, 1.6 + 0.5 * n), title)
    if not stages:
        return no_stage(figure)
    ax = figure.add_subplot()
    matrix = accuracy_matrix(records)
    image = draw_heat(ax, matrix)
    image.axes.set_aspect("auto")
    if n <= MANY:
        write_cells(ax, matrix)
        ax.set_yticks(range(n), [str(record.stage) for record in stages])
        ax.set_xticks(range(n), column_names(records), parse_math=False)
    else:
        figure.colorbar(image, label="accuracy (%)")
    ax.set_ylabel("after stage")
    ax.set_xlabel("accuracy (%) on the classes of each stage")
    return figure


def confusion_figure(
    records: Sequence[Record], *, stage: int | None = None, title: str | None = None
) -> Figure:
    """Draw where each class's images went (percent), before and after the `end` if it changed that."""
    record = find_stage(records, stage)
    if record is None:
        return no_stage(new_figure(WIDTH, 3.8, title), stage)
    panels = {"as trained": record.before.confusion, "after its end": record.after.confusion}
    if record.before.confusion == record.after.confusion:
        panels = {"": record.after.confusion}
    figure = new_figure(WIDTH if len(panels) == 2 else 4.8, 3.8, title)
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (heading, confusion) in zip(axes, panels.items(), strict=True):
        image = draw_confusion(ax, records, record, confusion)
        ax.set_title(f"stage {record.stage}{heading and ', '}{heading}")
    axes[0].set_ylabel("true class")
    figure.colorbar(image, ax=axes, label="share of the class's images (%)", shrink=0.8)
    return figure


def loss_terms(records: Sequence[Record], *, title: str | None = None) -> Figure:
    """Draw each term of the loss over all epochs."""
    figure = new_figure(WIDTH, 3.8, title)
    draw_losses(figure.add_subplot(), records)
    return figure


def live_figure(records: Sequence[Record]) -> Figure:
    """Draw a run in progress: prototypes now, accuracy so far, losses so far."""
    figure = new_figure(10.0, 3.2, None)
    norms, accuracy, losses = figure.subplots(1, 3)
    draw_latest_norms(norms, records)
    run = next((record for record in records if isinstance(record, RunRecord)), None)
    draw_accuracy(accuracy, {run.config["method"] if run else "run": [records]})
    if run and stage_records(records):
        accuracy.set_xlim(0, len(run.class_names))
    draw_losses(losses, records)
    return figure


FIGURES: dict[str, Callable[..., Figure]] = {
    "prototype-norms": prototype_norms,
    "norms-by-epoch": norms_by_epoch,
    "accuracy-matrix": accuracy_matrix_figure,
    "confusion": confusion_figure,
    "losses": loss_terms,
}


# --- what fills one panel -----------------------------------------------------------------------


def draw_accuracy(ax: Axes, runs: Mapping[str, Sequence[Sequence[Record]]]) -> None:
    """Draw the accuracies of labelled runs over the classes seen."""
    curves = {label: [curve(records) for records in many] for label, many in runs.items()}
    curves = {label: found for label, many in curves.items() if (found := [c for c in many if c])}
    if not curves:
        return write(ax, "no finished stage yet")
    colors = method_colors(list(curves))
    ends = []
    for label, many in curves.items():
        mean = [np.mean(points, axis=0) for points in zip(*many, strict=False)]
        for thin in many if len(many) > 1 else []:
            ax.plot(*zip(*thin, strict=True), color=colors[label], linewidth=0.8, alpha=0.4)
        ax.plot(*zip(*mean, strict=True), color=colors[label], marker="o", linewidth=2)
        ends.append((*mean[-1], f"{label} {mean[-1][1]:.1f}", colors[label]))
    ticks = sorted({point[0] for many in curves.values() for points in many for point in points})
    ax.set_xticks(ticks if len(ticks) <= MANY / 2 else ax.get_xticks())
    ax.set(xlabel="classes seen so far", ylabel="accuracy (%)", ylim=(0, 102))
    name_ends(ax, ends)


def draw_norms(ax: Axes, names: Sequence[str], norms: Sequence[float], n_old: int) -> None:
    """Draw a bar for each class, and the mean of the old and of the new ones."""
    n = len(norms)
    colors = [OLD] * n_old + [NEW] * (n - n_old)
    ax.bar(range(n), norms, width=0.8 if n <= MANY else 1.0, color=colors, alpha=0.5)
    ends = []
    for part, color, phase in ((norms[:n_old], OLD, 0), (norms[n_old:], NEW, 4)):
        if part:  # dashes in each other's gaps, so that equal means are both seen
            mean = float(np.mean(part))
            ax.axhline(mean, color=color, linestyle=(phase, (4, 4)), linewidth=1.5)
            ends.append((n - 0.5, mean, f"{mean:.2f}", color))
    ax.set(ylabel="length of the prototype", xlim=(-0.5, n - 0.5))
    name_classes(ax.xaxis, names)
    name_ends(ax, ends)


def draw_latest_norms(ax: Axes, records: Sequence[Record]) -> None:
    """Draw the prototypes as the last record knows them."""
    latest = next((r for r in reversed(records) if not isinstance(r, RunRecord)), None)
    if latest is None:
        return write(ax, "no finished epoch yet")
    if isinstance(latest, StageRecord):
        norms, when = latest.after.norms, "after its end"
    else:
        norms, when = latest.norms, f"epoch {latest.epoch}"
    draw_norms(ax, class_names(records, len(norms)), norms, n_old_classes(records, latest.stage))
    ax.set_title(f"stage {latest.stage}, {when}")


def draw_means(
    ax: Axes, start: int, epochs: Sequence[EpochRecord], n_old: int, records: Sequence[Record]
) -> None:
    """Draw one stage's mean lengths of old and of new prototypes, and where its `end` took them."""
    ended = find_stage(records, epochs[0].stage)
    x = [start + i for i in range(len(epochs))]
    for part, color in ((slice(0, n_old), OLD), (slice(n_old, None), NEW)):
        if not epochs[0].norms[part]:
            continue
        means = [float(np.mean(epoch.norms[part])) for epoch in epochs]
        ax.plot(x, means, color=color, marker=".", markersize=5, linewidth=1.5)
        if ended:
            jump = [means[-1], float(np.mean(ended.after.norms[part]))]
            ax.plot([x[-1], x[-1] + 0.5], jump, color=color, linewidth=1, linestyle=":")
            ax.plot(x[-1] + 0.5, jump[1], color=color, marker="o", markerfacecolor="white", zorder=3)


def draw_losses(ax: Axes, records: Sequence[Record]) -> None:
    """Draw each term of the loss over all epochs."""
    epochs = epoch_records(records)
    if not epochs:
        return write(ax, "no finished epoch yet")
    names = list(dict.fromkeys(name for epoch in epochs for name in epoch.losses))
    ends = []
    for name, color in zip(names, cycle(OTHER_COLORS), strict=False):
        for start, of_stage in spans(records):
            y = [epoch.losses.get(name, np.nan) for epoch in of_stage]
            ax.plot(range(start, start + len(y)), y, color=color, marker=".", markersize=5, linewidth=1.5)
        last = max(i for i, epoch in enumerate(epochs) if name in epoch.losses)
        ends.append((last + 1, epochs[last].losses[name], name, color))
    ax.set(ylabel="mean loss of an epoch")
    ax.set_ylim(bottom=min(0, ax.get_ylim()[0]))
    mark_stages(ax, records)
    name_ends(ax, ends)


def draw_heat(ax: Axes, percent: Matrix) -> AxesImage:
    """Draw a matrix of percentages as shades."""
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    ax.grid(False)
    return ax.imshow(percent, cmap=HEAT, vmin=0, vmax=100, aspect="auto")


def write_cells(ax: Axes, percent: Matrix) -> None:
    """Write each number into its cell, where there is one."""
    size = min(10.0, 110 / len(percent))
    form = ".1f" if len(percent) <= 10 else ".0f"
    for (i, j), value in np.ndenumerate(percent):
        if not np.isnan(value):
            color = "white" if value > 55 else INK  # where the shades turn dark
            ax.text(j, i, f"{value:{form}}", ha="center", va="center", color=color, fontsize=size)


def draw_confusion(
    ax: Axes, records: Sequence[Record], record: StageRecord, confusion: Sequence[Sequence[int]]
) -> AxesImage:
    """Draw the rows of a confusion matrix as shares, and lines where a stage's classes begin."""
    counts = np.asarray(confusion, dtype=np.float64)
    image = draw_heat(ax, 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))
    ax.set_aspect("equal")
    for stage in range(1, record.stage + 1):
        edge = n_old_classes(records, stage) - 0.5
        ax.axhline(edge, color=FAINT, linewidth=0.7)
        ax.axvline(edge, color=FAINT, linewidth=0.7)
    names = class_names(records, record.n_seen)
    name_classes(ax.xaxis, names)
    name_classes(ax.yaxis, names)
    ax.set_xlabel("predicted class")
    return image


# --- what the panels share ----------------------------------------------------------------------


def new_figure(width: float, height: float, title: str | None) -> Figure:
    """Return an empty figure of this size in inches."""
    figure = Picture((width, height), dpi=100, layout="constrained", facecolor="white")
    if title:
        figure.suptitle(title, parse_math=False)
    return figure


def write(ax: Axes, text: str) -> None:
    """Say something where nothing can be drawn."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", color=INK, transform=ax.transAxes)


def no_stage(figure: Figure, stage: int | None = None) -> Figure:
    """Return a figure that says that the stage is not there."""
    write(figure.add_subplot(), "no finished stage yet" if stage is None else f"no finished stage {stage}")
    return figure


def name_classes(axis: Axis, names: Sequence[str]) -> None:
    """Write the classes' names on an axis, if there is room."""
    if len(names) > MANY:
        return
    rotation = 90 if axis.axis_name == "x" and max(map(len, names)) > 2 else 0
    short = [name if len(name) <= 14 else name[:13] + "…" for name in names]
    axis.set_ticks(range(len(names)), short, rotation=rotation, parse_math=False)


def name_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write a text beside the axes for each (x, y, text, colour), and join the two by a line."""
    bottom, top = ax.get_ylim()
    wanted = [(y - bottom) / (top - bottom) for _, y, _, _ in ends]
    heights = spread(wanted, gap=0.27 / ax.figure.get_figheight())
    for (x, y, text, color), height in zip(ends, heights, strict=True):
        ax.annotate(
            text, (x, y), (1.05, height), textcoords="axes fraction", va="center", color=INK,
            parse_math=False, arrowprops={"arrowstyle": "-", "color": color, "shrinkA": 2, "shrinkB": 0},
        )


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return heights from 0 to 1 near those wanted, in their order, at least `gap` apart."""
    ...
