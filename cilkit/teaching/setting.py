"""Moving figures of the setting: whose images are there to learn from, and to be tested on."""

from collections.abc import Sequence

import torch

from cilkit.data import Samples, Scenario, Stage
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.plot import Plot, rect, text
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
    answers: Sequence[Sequence[float]], names: Sequence[str], title: str = ""
) -> Moving:
    """Show percentages for several questions: `answers` has a row for each stage."""
    plot = Plot((-0.6, len(names) - 0.4), (0, 100), "", "right answers (%)", height=260)
    frames = [
        Frame(
            f"after stage {number}",
            ", ".join(f"{name} {value:.1f} %" for name, value in zip(names, row, strict=True)),
            plot.bars(row, ["faint"] * len(names), 0.5),
        )
        for number, row in enumerate(answers, 1)
    ]
    return Moving(
        title or "One network, one set of test images, several questions",
        "A bar for each question: the share of right answers after a stage. The slider moves "
        "through the stages.",
        "stage",
        frames,
        plot.axes({float(i): name for i, name in enumerate(names)}),
        height=260,
        start=len(frames) - 1,
    )
