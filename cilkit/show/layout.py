"""What all figures share: colours, sizes, names of classes, marks of stages."""

import io
import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import cycle, groupby
from typing import Any
from unicodedata import east_asian_width

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis, XAxis
from matplotlib.backend_bases import RendererBase
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from cilkit.runs.records import (
    EpochRecord,
    Record,
    RunRecord,
    StageRecord,
    epoch_records,
    stage_records,
)
from cilkit.show.fonts import legible, lend_fonts

OLD, NEW = "#0072B2", "#D55E00"
METHOD_COLORS = {
    "finetune": "#E69F00",
    "lwf": "#CC79A7",
    "replay": "#56B4E9",
    "replay-kd": "#009E73",
    "wa": "#000000",
    "joint": "#999999",
    "icarl": "#882255",
    "means": "#999933",
    "ridge": "#B2182B",
    "fetril": "#661100",
    "bic": "#332288",
    "ewc": "#F781BF",
    "lucir": "#7F7F00",
    "der": "#8C510A",
    "podnet": "#6A3D9A",
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


def new_figure(
    width: float,
    height: float,
    title: str | None,
    panels: int = 1,
    sharey: bool = True,
    widths: Sequence[float] | None = None,
) -> tuple[Figure, list[Axes]]:
    """Return a figure of this size in inches, and its panels from left to right."""
    layout = ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06, wspace=0.03)
    figure = Picture((width, height), dpi=100, layout=layout)
    if title:
        figure.suptitle(title, parse_math=False)
    how: Any = {"sharey": sharey, "squeeze": False, "width_ratios": widths}
    axes: list[Axes] = list(figure.subplots(1, panels, **how)[0])
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


def both_ends(name: str) -> str:
    """Return a name without its middle, where it is long and has room for twenty letters."""
    return name if columns(name) <= MANY else f"{short(name)}{name[-8:]}"


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
    heights = apart([(y - low) / (high - low) for _, y, _, _ in ends], gap=0.08)
    for (x, y, text, color), height in zip(ends, heights, strict=True):
        line = {"arrowstyle": "-", "color": color, "linestyle": ":", "shrinkB": 3}
        at, beside = (x, y), (1.06, height)
        label = ax.annotate(text, at, beside, textcoords="axes fraction", arrowprops=line)
        label.set(verticalalignment="center", color=INK, parse_math=False)


def apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Return heights near those wanted, in the same order, `gap` apart and between 0 and 1."""
    order = np.argsort(wanted, kind="stable")
    steps = gap * np.arange(len(wanted))
    loose = np.asarray(wanted)[order] - steps
    # to lift what is too low, or to lower what is too high: halfway, nothing moves far
    level = (np.maximum.accumulate(loose) + np.minimum.accumulate(loose[::-1])[::-1]) / 2
    heights = np.empty(len(wanted))
    heights[order] = level.clip(0, max(0.0, 1 - gap * (len(wanted) - 1))) + steps
    return [float(height) for height in heights]


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
