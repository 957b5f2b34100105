"""Moving figures of the setting: whose images are there to learn from, and to be tested on."""

from collections.abc import Sequence

import numpy as np
import torch

from cilkit.data.samples import Samples
from cilkit.data.scenario import Scenario, Stage
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot, rect, text
from cilkit.teaching.thumbnails import thumbnail

LEFT, CELL, SIDE = 64, 56, 46  # pixels of the figure: before the first class, a class, its image
ROWS = {"train": 30, "test": 108}  # where each row of images begins


def images_at_hand(scenario: Scenario, title: str = "") -> Moving:
    """Show, stage after stage, the classes with images to train on, and those to be tested on.

    One image stands for each class; there is room for ten classes.
    """
    last = scenario.stages[-1]
    train, test = first_of_each(last.train_so_far), first_of_each(last.test)
    names = scenario.class_names
    return Moving(
        title or "Which classes' images are at hand?",
        "Two rows with one image for each class: images to train on, and images to be tested on. "
        "Those that a stage lacks are pale. A blue frame marks old classes, an orange one new.",
        "stage",
        [hand_frame(stage, train, test, names) for stage in scenario.stages],
        "".join(text(LEFT - 8, y + SIDE / 2 + 4, row, "end") for row, y in ROWS.items()),
        width=LEFT + CELL * len(names),
        height=170,
        start=1,
    )


def first_of_each(samples: Samples) -> Samples:
    """Return the first image of each class, in the order of their labels."""
    firsts = [int((samples.labels == label).nonzero()[0]) for label in samples.labels.unique()]
    return samples.take(torch.tensor(firsts))


def hand_frame(stage: Stage, train: Samples, test: Samples, names: Sequence[str]) -> Frame:
    """Draw what one stage has: (C, H, W) images of all classes, those it lacks pale."""
    new, seen = range(stage.n_old, stage.n_seen), range(stage.n_seen)
    marks = ""
    for samples, there, y in zip((train, test), (new, seen), ROWS.values(), strict=True):
        for label, image in enumerate(samples.images()):
            x = LEFT + CELL * label
            if label in there:
                name = "new" if label in new else "old"
                marks += rect(x - 4, y - 4, SIDE + 8, SIDE + 8, name) + thumbnail(image, x, y, SIDE)
            else:
                marks += f'<g class="faint">{thumbnail(image, x, y, SIDE)}</g>'
    says = f"train on {listed(names, new)}; be tested on {listed(names, seen)}"
    return Frame(f"stage {stage.index + 1}", says, marks)


def listed(names: Sequence[str], classes: range) -> str:
    """Return the names of some classes, with commas."""
    return ", ".join(names[label] for label in classes)


def questions_by_stage(
    answers: Sequence[Sequence[Sequence[float]]],
    chances: Sequence[Sequence[float]],
    names: Sequence[str],
    title: str = "",
) -> Moving:
    """Show right answers to several questions, on old classes and on new ones, against chance.

    `answers` holds, for each stage and question, the percentage on old classes (NaN where there
    are none) and on new ones; `chances`, for each stage and question, what guessing would give.
    """
    plot = Plot((-0.7, 3 * len(names) - 1.3), (0, 100), "", "right answers (%)", height=260)
    frames = [
        questions_frame(plot, f"after stage {number}", row, chance, names)
        for number, (row, chance) in enumerate(zip(answers, chances, strict=True), 1)
    ]
    return Moving(
        title or "One network, one set of test images, several questions",
        "Two bars for each question: the share of right answers on old classes in blue, on new "
        "ones in orange, after a stage. A line across them marks what guessing would give. The "
        "slider moves through the stages.",
        "stage",
        frames,
        plot.axes({3 * i + 0.5: name for i, name in enumerate(names)}),
        height=260,
        start=len(frames) - 1,
    )


def questions_frame(
    plot: Plot,
    at: str,
    answers: Sequence[Sequence[float]],
    chances: Sequence[float],
    names: Sequence[str],
) -> Frame:
    """Draw the bars of each question at 3i and 3i + 1, and chance across both."""
    bars = [value for pair in answers for value in (*pair, 0)]
    marks, says = plot.bars(np.nan_to_num(bars), ["old", "new", ""] * len(names)), []
    marks += plot.words(1.55, chances[0] - 1.5, "chance")  # said once, for all lines
    for i, (name, (old, new), chance) in enumerate(zip(names, answers, chances, strict=True)):
        marks += plot.line([3 * i - 0.5, 3 * i + 1.5], [chance, chance])
        parts = f"new {new:.1f} %" if np.isnan(old) else f"old {old:.1f} %, new {new:.1f} %"
        says.append(f"{name} {parts}, chance {chance:.1f} %")
    return Frame(at, "; ".join(says), marks)
