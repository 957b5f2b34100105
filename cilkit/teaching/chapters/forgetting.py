"""Moving figures of forgetting: how fast it goes, and what old classes are taken for."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from cilkit.metrics import accuracy, class_accuracies
from cilkit.runs.records import Record, run_record, stage_records
from cilkit.show.panels import row_percent
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot, heat

Confusion = Sequence[Sequence[int]]
GROUPS = "old", "new", ""  # the classes of marks; all together have no colour of their own


def taken_for(records: Sequence[Record]) -> Moving:
    """Show what each class's test images are taken for after each stage: a frame for a class."""
    names, stages = run_record(records).class_names, stage_records(records)
    rows = [f"after stage {stage.stage + 1}" for stage in stages]
    frames = []
    for label, name in enumerate(names):
        shares = np.full((len(stages), len(names)), np.nan)
        for row, stage in zip(shares, stages, strict=True):
            if label < stage.n_seen:
                row[: stage.n_seen] = row_percent(stage.after.confusion)[label]
        most = names[int(np.argmax(shares[-1]))]
        says = f"at the end, {shares[-1].max():.0f} % are taken for {most}"
        table = heat(shares, rows, names, cell=(52, 36), digits=0)
        frames.append(Frame(f"images of {name}", says, table))
    return Moving(
        "What are the images of one class taken for? Percent, stage after stage",
        "A table with a row for each stage and a column for each class that an image may be taken "
        "for. Each step of the slider shows the images of another class.",
        "class",
        frames,
        width=146 + 52 * len(names),
        height=50 + 36 * len(rows),
    )


def bars_by_step(
    steps: Sequence[str],
    confusions: Sequence[Confusion],
    n_old: int,
    title: str,
    slider: str,
    printed: int = 0,
    groups: tuple[str, str] = ("old classes", "new"),
) -> Moving:
    """Show the accuracy on each class at each of some steps: old classes blue, new ones orange.

    `steps` names them; `confusions` holds a (classes, classes) matrix for each. The step `printed`,
    counted from 0, is the one for paper. `groups` says what the two colours are.
    """
    first, second = groups
    n = len(confusions[0])
    plot = Plot((-0.6, n - 0.4), (0, 100), "class", "accuracy (%)", height=260)
    colors = ["old"] * n_old + ["new"] * (n - n_old)
    frames = [
        Frame(
            step,
            f"{first} {old:.1f} %, {second} {new:.1f} %",
            plot.bars(class_accuracies(matrix), colors),
        )
        for step, matrix in zip(steps, confusions, strict=True)
        for old, new, _ in [old_new_all(matrix, n_old)]
    ]
    return Moving(
        title,
        f"A bar for each class: the share of its test images that are recognised, {first} in "
        f"blue, {second} in orange. The slider moves through: {slider}.",
        slider,
        frames,
        plot.axes({float(c): str(c) for c in range(n)}),
        height=260,
        printed=printed,
    )


def old_against_new(
    rates: ArrayLike, confusions: Sequence[Confusion], n_old: int, title: str
) -> Moving:
    """Show accuracy on old, new and all classes over learning rates, on a logarithmic axis."""
    values = np.array([old_new_all(matrix, n_old) for matrix in confusions])
    x = np.log10(np.asarray(rates, dtype=np.float64))
    ticks = {float(at): f"{10**at:g}" for at in x}
    labels = ("learning rate", "accuracy (%)")
    plot = Plot((x[0] - 0.25, x[-1] + 0.05), (0, 100), *labels, height=280, right=56)
    lines = "".join(plot.line(x, values[:, i], name) for i, name in enumerate(GROUPS))
    lines += plot.names(x[-1], dict(zip(("old", "new", "all"), values[-1].tolist(), strict=True)))
    frames = [
        Frame(
            f"learning rate {ticks[float(at)]}",
            "old {:.1f} %, new {:.1f} %, all {:.1f} %".format(*row),
            "".join(plot.dots([at], [y], name, 6) for y, name in zip(row, GROUPS, strict=True)),
        )
        for at, row in zip(x, values, strict=True)
    ]
    return Moving(
        title,
        "Three curves over the learning rate: accuracy on old classes (blue) falls, on new ones "
        "(orange) it rises, and on all of them it lies in between.",
        "learning rate",
        frames,
        plot.axes(ticks) + lines,
        height=280,
        printed=len(frames) // 2,
    )


def old_new_all(confusion: Confusion, n_old: int) -> tuple[float, float, float]:
    """Return the accuracy on old classes, on new ones and on all of them."""
    old, new = slice(0, n_old), slice(n_old, None)
    return accuracy(confusion, old), accuracy(confusion, new), accuracy(confusion)
