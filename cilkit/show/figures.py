"""Figures of records: pure functions, each of which returns a matplotlib `Figure` of its own.

Colours mean the same everywhere: a method has one, the old classes one and the new classes another
(Okabe and Ito's palette, which colour-blind people can tell apart). What a figure shows counts
stages from 1, as the console does; the argument `stage` counts from 0, as the records do. Where
there is nothing to draw yet, a figure says so.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import ArrayLike

from cilkit.metrics import accuracy_matrix
from cilkit.runs.records import Record, RunRecord, epoch_records, stage_records
from cilkit.show.fonts import legible
from cilkit.show.layout import (
    INK,
    MANY,
    WIDTH,
    Runs,
    add_legend,
    by_stage,
    class_names,
    column_names,
    find_stage,
    height_of,
    mark_classes,
    mark_stages,
    new_figure,
    no_stage,
    write,
)
from cilkit.show.panels import (
    draw_accuracy,
    draw_answers,
    draw_costs,
    draw_heat,
    draw_latest_norms,
    draw_losses,
    draw_mean_norms,
    draw_norms,
    leading,
    row_percent,
    write_cells,
)


def accuracy_per_stage(runs: Runs, *, title: str | None = None) -> Figure:
    """Draw A_i (percent) over the classes seen: each label's mean, and its runs as thin lines.

    `runs` holds, for each label (a method's name, say), the records of one run or of several.
    """
    figure, [ax] = new_figure(WIDTH, 4.2, title)
    draw_accuracy(ax, runs)
    return figure


def accuracy_over_cost(runs: Runs, *, title: str | None = None) -> Figure:
    """Draw the last accuracy (percent) over the FLOPs of a whole run: a mark for each label.

    It is the mean of the label's runs, with their standard deviation to both sides.
    """
    figure, [ax] = new_figure(WIDTH, 4.2, title)
    draw_costs(ax, runs)
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
    losses.xaxis.set_major_locator(MaxNLocator(4, integer=True))  # a third of a figure is narrow
    return figure


def answers_by_stage(
    shares: Mapping[int, Sequence[float]],
    names: Sequence[str],
    pixels: ArrayLike,
    are_probabilities: bool = True,
    *,
    title: str | None = None,
) -> Figure:
    """Draw what the model of each stage says of one image (percent), its answers in frames.

    `shares` holds, for each stage, counted from 1, those of the classes that it knows, in the order
    of `names`. Of more than eleven classes, ten have a row of their own: answers come first, then
    large shares. `pixels` is the image, (C, H, W) uint8.
    """
    percent, named, answers = leading(shares, legible(names, range(len(names))))
    height = 1.3 + 0.32 * len(percent)
    figure, [left, ax] = new_figure(WIDTH, height, title, panels=2, sharey=False, widths=(1, 4))
    left.set_axis_off()
    seen = np.moveaxis(np.asarray(pixels), 0, 2)
    left.imshow(seen if seen.shape[2] == 3 else seen[..., 0], cmap="gray", vmin=0, vmax=255)
    left.set_title("as seen", fontsize="medium")
    image = draw_answers(ax, percent, named, answers)
    step = 1 if len(shares) <= MANY else 5
    if len(shares) > MANY // 2:
        figure.colorbar(image)
    ax.set_xticks(range(0, len(shares), step), [*map(str, shares)][::step])
    what = "probability" if are_probabilities else "share of the scores, no probability"
    ax.set_title(f"{what} (%); the answer is framed", fontsize="medium")
    ax.set_xlabel("after stage")
    return figure


FIGURES: dict[str, Callable[..., Figure]] = {
    "prototype-norms": prototype_norms,
    "norms-by-epoch": norms_by_epoch,
    "accuracy-matrix": accuracy_matrix_figure,
    "confusion": confusion_figure,
    "losses": loss_terms,
}
