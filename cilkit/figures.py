"""Figures of records: pure functions, each of which returns a matplotlib `Figure` of its own.

Colours mean the same everywhere: a method has one, the old classes one and the new classes another
(Okabe and Ito's palette, which colour-blind people can tell apart). What a figure shows counts
stages from 1, as the console does; the argument `stage` counts from 0, as the records do. Where
there is nothing to draw yet, a figure says so.
"""

import io
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle, groupby
from typing import Literal
from unicodedata import east_asian_width

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import FixedLocator, MaxNLocator
from numpy.typing import ArrayLike

from cilkit.data import DataSet
from cilkit.fonts import legible, lend_fonts
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
INK, FAINT = "#333333", "#CCCCCC"
WIDTH = 7.0  # inches: 700 pixels on a page
MANY = 20  # more classes or stages than this have no room for their names
Runs = Mapping[str, Sequence[Sequence[Record]]]


class Picture(Figure):
    """A figure that a notebook shows by itself; matplotlib's own needs pyplot for that."""

    def draw(self, renderer: RendererBase) -> None:
        """Draw the figure, names in other scripts in the fonts that have them."""
        lend_fonts(self.findobj(Text))
        with warnings.catch_warnings():  # one sentence names all that no font has
            warnings.filterwarnings("ignore", "Glyph .* missing from font")
            super().draw(renderer)

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        """Return the image, two pixels for one of the page, and its size on the page."""
        file = io.BytesIO()
        self.savefig(file, format="png", dpi=2 * self.dpi)
        width, height = self.get_size_inches() * self.dpi
        return file.getvalue(), {"width": round(width), "height": round(height)}


# --- one figure for each question ---------------------------------------------------------------


def accuracy_per_stage(runs: Runs, *, title: str | None = None) -> Figure:
    """Draw A_i (percent) over the classes seen: each label's mean, and its runs as thin lines.

    `runs` holds, for each label (a method's name, say), the records of one run or of several.
    """
    figure, [ax] = new_figure(WIDTH, 4.2, title)
    draw_accuracy(ax, runs)
    return figure


def prototype_norms(
    records: Sequence[Record], *, stage: int | None = None, title: str | None = None
) -> Figure:
    """Draw each prototype's length before and after the `end` of a stage, by default the last."""
    record = find_stage(records, stage)
    if record is None:
        return no_stage(stage, title)
    names = class_names(records, record.n_seen)
    figure, axes = new_figure(WIDTH, 3.8 + height_of(names), title, panels=2)
    gamma = f", γ = {record.facts['gamma']:.2f}" if "gamma" in record.facts else ""
    headings = f"stage {record.stage + 1}, as trained", f"after its end{gamma}"
    for ax, part, heading in zip(axes, (record.before, record.after), headings, strict=True):
        draw_norms(ax, names, part.norms, record.n_old)
        ax.set_title(heading, fontsize="medium")
    axes[1].set_ylabel("")
    add_legend(figure, {"mean": Line2D([], [], color=INK, linestyle="--")})
    return figure


def norms_by_epoch(records: Sequence[Record], *, title: str | None = None) -> Figure:
    """Draw the mean length of old and of new prototypes after each epoch and each stage's `end`."""
    figure, [ax] = new_figure(WIDTH, 3.8, title)
    if not epoch_records(records):
        write(ax, "no finished epoch yet")
        return figure
    for start, epochs in by_stage(records):
        draw_mean_norms(ax, start, epochs, records)
    ax.set_ylabel("mean length of the prototypes")
    mark_stages(ax, records)
    end = Line2D([], [], color=INK, linestyle=":", marker="o", markerfacecolor="white")
    add_legend(figure, {"moved by the stage's end": end})
    return figure


def accuracy_matrix_figure(records: Sequence[Record], *, title: str | None = None) -> Figure:
    """Draw R (percent): a row for each finished stage, a column for the classes it brought."""
    stages = stage_records(records)
    if not stages:
        return no_stage(None, title)
    n, matrix = len(stages), accuracy_matrix(records)
    figure, [ax] = new_figure(min(WIDTH, 2.8 + 0.6 * n), min(6.0, 1.4 + 0.45 * n), title)
    image = draw_heat(ax, matrix)
    if n <= MANY:
        write_cells(ax, matrix)
    else:
        figure.colorbar(image)
    step = 1 if n <= MANY // 2 else 5
    ax.set_xticks(range(0, n, step), column_names(records)[::step], parse_math=False)
    ax.set_yticks(range(0, n, step), [str(record.stage + 1) for record in stages[::step]])
    ax.set(xlabel="classes of the stage", ylabel="after stage")
    ax.set_title("accuracy (%)", fontsize="medium")
    return figure


def confusion_figure(
    records: Sequence[Record], *, stage: int | None = None, title: str | None = None
) -> Figure:
    """Draw what each class was taken for (percent), before and after the `end` of a stage."""
    record = find_stage(records, stage)
    if record is None:
        return no_stage(stage, title)
    panels = {"as trained": record.before.confusion, "after its end": record.after.confusion}
    if record.before.confusion == record.after.confusion:
        del panels["as trained"]
    width, names = 2.6 + 2.2 * len(panels), class_names(records, record.n_seen)
    figure, axes = new_figure(width, 3.6 + height_of(names) / 2, title, panels=len(panels))
    for ax, (heading, confusion) in zip(axes, panels.items(), strict=True):
        image = draw_heat(ax, row_percent(confusion), aspect="equal")
        mark_classes(ax, names, records)
        ax.set_title(f"stage {record.stage + 1}, {heading}", fontsize="medium")
        ax.set_xlabel("predicted class")
    axes[0].set_ylabel("true class")
    figure.colorbar(image, ax=axes, label="images of the true class (%)", shrink=0.8)
    return figure


def loss_terms(records: Sequence[Record], *, title: str | None = None) -> Figure:
    """Draw each term of the loss over all epochs."""
    figure, [ax] = new_figure(WIDTH, 3.8, title)
    draw_losses(ax, records)
    return figure


def live_figure(records: Sequence[Record]) -> Figure:
    """Draw a run under way: the prototypes now, the accuracy so far, the losses so far."""
    figure, (norms, accuracy, losses) = new_figure(10.0, 3.2, None, panels=3, sharey=False)
    draw_latest_norms(norms, records)
    run = next((record for record in records if isinstance(record, RunRecord)), None)
    draw_accuracy(accuracy, {run.config["method"] if run else "run": [records]})
    if run and stage_records(records):  # room for the stages to come
        accuracy.set_xlim(right=len(run.class_names))
    draw_losses(losses, records)
    return figure


def contact_sheet(dataset: DataSet, *, title: str | None = None) -> Figure:
    """Draw up to a hundred training images: ten of each class, or one of each, by their names."""
    n = len(dataset.class_names)
    names = legible(dataset.class_names, range(n))
    each = max(1, min(10, 100 // n))
    shown = np.unique(np.linspace(0, n - 1, min(n, 100)).round().astype(int))
    tiles = [(label, i) for label in shown.tolist() for i in range(each)]
    figure = Picture((10.0, 0.2 + 1.15 * -(-len(tiles) // 10)), dpi=100, layout="constrained")
    axes = figure.subplots(-(-len(tiles) // 10), 10, squeeze=False).flatten()
    for ax in axes:
        ax.set_axis_off()
    for ax, (label, i) in zip(axes, tiles, strict=False):
        positions = (dataset.train.labels == label).nonzero().flatten()
        if i < len(positions):
            image = dataset.train.take(positions[i : i + 1]).images()[0].permute(1, 2, 0).numpy()
            ax.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
            ax.set_title(short(names[label]), fontsize=7, pad=2, parse_math=False)
    if title:
        figure.suptitle(title, parse_math=False)
    return figure


FIGURES: dict[str, Callable[..., Figure]] = {
    "prototype-norms": prototype_norms,
    "norms-by-epoch": norms_by_epoch,
    "accuracy-matrix": accuracy_matrix_figure,
    "confusion": confusion_figure,
    "losses": loss_terms,
}


# --- what fills a panel -------------------------------------------------------------------------


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


def row_percent(confusion: ArrayLike) -> Matrix:
    """Return each row's shares of its sum, in percent; zeros for a class without images."""
    counts = np.asarray(confusion, dtype=np.float64)
    return np.asarray(100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1))


def write_cells(ax: Axes, percent: Matrix) -> None:
    """Write each number of a matrix into its cell."""
    size = min(10.0, 110 / len(percent))
    for (i, j), value in np.ndenumerate(percent):
        if not np.isnan(value):
            color = "white" if value > 71 else "black"  # where either has a contrast of 4.5
            ax.text(j, i, f"{value:.1f}", ha="center", va="center", color=color, fontsize=size)


# --- what panels share --------------------------------------------------------------------------


def new_figure(
    width: float, height: float, title: str | None, panels: int = 1, sharey: bool = True
) -> tuple[Figure, list[Axes]]:
    """Return a figure of this size in inches, and its panels from left to right."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06, wspace=0.03)
    figure = Picture((width, height), dpi=100, layout=layout)
    if title:
        figure.suptitle(title, parse_math=False)
    axes: list[Axes] = list(figure.subplots(1, panels, sharey=sharey, squeeze=False)[0])
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(axis="y", color=FAINT, linewidth=0.5)
        ax.set_axisbelow(True)
        ax.xaxis.set_major_locator(MaxNLocator(8, steps=[1, 2, 5, 10], integer=True))
    return figure, axes


def write(ax: Axes, text: str) -> None:
    """Say why a panel is empty."""
    ax.set_axis_off()
    ax.text(0.5, 0.5, text, ha="center", va="center", color=INK, transform=ax.transAxes)


def no_stage(stage: int | None, title: str | None) -> Figure:
    """Return a figure that says which stage is missing."""
    figure, [ax] = new_figure(WIDTH, 3.8, title)
    write(ax, "no finished stage yet" if stage is None else f"stage {stage + 1} is not finished")
    return figure


def add_legend(figure: Figure, more: Mapping[str, Artist]) -> None:
    """Explain the two colours, and more, below the panels."""
    names = ["old classes", "new classes", *more]
    handles = [Patch(color=OLD), Patch(color=NEW), *more.values()]
    figure.legend(handles, names, loc="outside lower center", ncols=len(names), frameon=False)


def name_classes(axis: Axis, names: Sequence[str]) -> None:
    """Write the classes' names along an axis, if there is room for them."""
    if 0 < len(names) <= MANY:
        axis.set_ticks(range(len(names)), [short(name) for name in names], parse_math=False)
        upright = isinstance(axis, XAxis) and height_of(names) > 0
        size = 9 if len(names) <= MANY // 2 else 7
        axis.set_tick_params(labelrotation=90 if upright else 0, labelsize=size)


def short(name: str) -> str:
    """Return a name, cut off where it would take too much room."""
    if columns(name) <= 12:
        return name
    return next(f"{name[:end]}…" for end in range(11, -1, -1) if columns(name[:end]) <= 11)


def columns(text: str) -> int:
    """Return how wide a text is, in letters: Chinese characters and emoji count twice."""
    return sum(2 if east_asian_width(letter) in "WF" else 1 for letter in text)


def height_of(names: Sequence[str]) -> float:
    """Return the inches that names take below a panel, beyond a line of text."""
    longest = max(map(columns, names))
    return 0.06 * min(longest, 12) if longest > 2 and len(names) <= MANY else 0.0


def column_names(records: Sequence[Record]) -> list[str]:
    """Return what each stage's classes are called: by their names if these are short."""
    stages = stage_records(records)
    names = [" ".join(class_names(records, stage.n_seen)[stage.n_old :]) for stage in stages]
    if max(map(columns, names)) <= 5:
        return names
    return [f"{stage.n_old}–{stage.n_seen - 1}" for stage in stages]


def mark_classes(ax: Axes, names: Sequence[str], records: Sequence[Record]) -> None:
    """Name the classes of a confusion matrix, and part those of each stage by thin lines."""
    for record in stage_records(records):
        if 0 < record.n_old < len(names):
            ax.axhline(record.n_old - 0.5, color=INK, linewidth=0.4)
            ax.axvline(record.n_old - 0.5, color=INK, linewidth=0.4)
    for axis in (ax.xaxis, ax.yaxis):
        name_classes(axis, names)


def mark_stages(ax: Axes, records: Sequence[Record]) -> None:
    """Make x the epochs of all stages, parted by thin lines, with the stages' numbers above."""
    stages, above = by_stage(records), ax.get_xaxis_transform()
    for start, _ in stages[1:]:
        ax.axvline(start - 0.5, color=INK, linewidth=0.5)
    if len(stages) <= MANY:
        ax.text(0, 1.03, "stage", ha="right", color=INK, transform=ax.transAxes)
        for start, epochs in stages:
            middle = start + (len(epochs) - 1) / 2
            ax.text(middle, 1.03, str(epochs[0].stage + 1), ha="center", color=INK, transform=above)
    ax.set(xlabel="epochs of all stages", xlim=(0.5, len(epoch_records(records)) + 0.5))
    if ax.dataLim.y0 >= 0:
        ax.set_ylim(bottom=0)


def dot(records: Sequence[Record]) -> str:
    """Return the marker of an epoch: none where they would run together."""
    return "." if len(epoch_records(records)) <= 3 * MANY else ""


def name_ends(ax: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write beside the panel the text of each (x, y, text, colour), joined to its point."""
    low, high = ax.get_ylim()
    heights = spread([(y - low) / (high - low) for _, y, _, _ in ends], gap=0.08)
    for (x, y, text, color), height in zip(ends, heights, strict=True):
        line = {"arrowstyle": "-", "color": color, "linestyle": ":", "shrinkB": 3}
        at, beside = (x, y), (1.06, height)
        label = ax.annotate(text, at, beside, textcoords="axes fraction", arrowprops=line)
        label.set(verticalalignment="center", color=INK, parse_math=False)


def spread(wanted: Sequence[float], gap: float) -> list[float]:
    """Return heights near those wanted, in the same order, `gap` apart and between 0 and 1."""
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    loose = np.asarray(wanted)[order] - steps
    # to lift what is too low, or to lower what is too high: halfway, nothing moves far
    level = (np.maximum.accumulate(loose) + np.minimum.accumulate(loose[::-1])[::-1]) / 2
    heights = np.empty(len(wanted))
    heights[order] = level.clip(0, max(0.0, 1 - gap * (len(wanted) - 1))) + steps
    return [float(height) for height in heights]


# --- what records say ---------------------------------------------------------------------------


def method_colors(labels: Iterable[str]) -> list[str]:
    """Return each label's colour: its method's, or one that no method here has."""
    labels = list(labels)
    spare = [color for method, color in METHOD_COLORS.items() if method not in labels]
    others = cycle(spare or [INK])
    return [METHOD_COLORS.get(label) or next(others) for label in labels]


def find_stage(records: Sequence[Record], stage: int | None) -> StageRecord | None:
    """Return the record of a stage, or of the last one finished; None if there is none."""
    found = [record for record in stage_records(records) if stage in (None, record.stage)]
    return found[-1] if found else None


def class_names(records: Sequence[Record], n: int) -> list[str]:
    """Return the names of the first n classes; their numbers where no `RunRecord` names them.

    A name that no font can draw gives way to the class's label in the data set.
    """
    run = next((record for record in records if isinstance(record, RunRecord)), None)
    if run is None:
        return [str(c) for c in range(n)]
    return legible(run.class_names, run.class_order or range(len(run.class_names)))[:n]


def old_classes(records: Sequence[Record], stage: int) -> int:
    """Return how many classes had come before a stage."""
    return max((len(e.norms) for e in epoch_records(records) if e.stage < stage), default=0)


def by_stage(records: Sequence[Record]) -> list[tuple[int, list[EpochRecord]]]:
    """Return each stage's epochs, and the number that the first of them has among all, from 1."""
    groups = [list(epochs) for _, epochs in groupby(epoch_records(records), lambda e: e.stage)]
    starts: list[int] = np.cumsum([1, *map(len, groups)]).tolist()
    return list(zip(starts[:-1], groups, strict=True))
