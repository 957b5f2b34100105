"""Figures of the setting: whose images are there to learn from, and to be tested on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from cilkit.data.samples import Samples
from cilkit.data.scenario import Scenario, class_increments, class_order
from cilkit.errors import InputError
from cilkit.teaching.alive import Alive, Panel, Shown, choice, number, slider
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot, rect, text
from cilkit.teaching.thumbnails import address, drawn

CELL, SIDE, TOP = 34, 28, 22  # pixels of the figure: a class, its image, the first row
ROWS = {"to train on": 0, "to be tested on": 82}  # where each row of images begins
ORDERS = {"natural": "as they are"} | {str(seed): f"seed {seed}" for seed in (1, 2, 3, 1993)}


def images_at_hand(scenario: Scenario) -> Alive:
    """Show which classes' images a stage has, for stages, order and budget that the reader sets.

    One image stands for each class of the data set; there is room for ten classes.
    """
    last, n = scenario.stages[-1], len(scenario.class_names)
    places = [scenario.class_order.index(label) for label in range(n)]
    firsts = (first_of_each(samples).images() for samples in (last.train_so_far, last.test))
    files = [[address(images[place], "png") for place in places] for images in firsts]
    names = [scenario.class_names[place] for place in places]
    heads = (text(4, TOP + y - 8, words) for words, y in ROWS.items())
    return Alive(
        "hand",
        "Which classes' images are at hand?",
        "Two rows with one image for each class, in the order of arrival: images to train on, and "
        "images to be tested on, each above the name of its class. Those that a stage lacks are "
        "pale. A blue frame marks old ones, an orange one new ones. Exemplars of old classes are "
        "small, with their number.",
        {"files": files, "names": names},
        [
            slider("stage", "stage", 1, n, 1),
            number("base", "classes in the first stage, 0: like the others", 0, n - 1, 0),
            number("increment", "classes in each", 1, n, 2),
            choice("order", "order", ORDERS, "natural"),
            slider("budget", "budget", 0, 100, 0),
        ],
        Hand(files, names).draw,
        [Panel(CELL * n + 8, 160, "".join(heads))],
    )


def first_of_each(samples: Samples) -> Samples:
    """Return the first image of each class, in the order of their labels."""
    firsts = [int((samples.labels == label).nonzero()[0]) for label in samples.labels.unique()]
    return samples.take(torch.tensor(firsts))


@dataclass(frozen=True)
class Hand:
    """What a stage has: the files of an image of each class to train on, and to be tested on."""

    files: Sequence[Sequence[str]]
    names: Sequence[str]

    def draw(self, stage: int, base: int, increment: int, order: str, budget: int) -> Shown:
        """Draw what one stage has, and say it."""
        n = len(self.names)
        try:
            sizes = class_increments(base, increment, n, "the data set")
        except InputError as error:
            return Shown([""], str(error))
        arrival = class_order("natural" if order == "natural" else int(order), n)
        stage = min(stage, len(sizes))
        n_old, n_seen = sum(sizes[: stage - 1]), sum(sizes[:stage])
        share = budget // n_old if n_old else 0
        marks = ""
        for place, label in enumerate(arrival):
            marks += self.trained(place, label, n_old, n_seen, share)
            marks += self.tested(place, label, n_old, n_seen)
        old, new = (
            listed([self.names[i] for i in arrival[a:b]]) for a, b in ((0, n_old), (n_old, n_seen))
        )
        kept = f" and {share} of each of {old}" if share else ""
        seen = listed([self.names[i] for i in arrival[:n_seen]])
        says = f"stage {stage} of {len(sizes)}: train on {new}{kept}; be tested on {seen}"
        return Shown([marks], says)

    def trained(self, place: int, label: int, n_old: int, n_seen: int, share: int) -> str:
        """Draw a class in the upper row."""
        x, y = 4 + CELL * place, TOP + ROWS["to train on"]
        if place < n_old and share:
            small = drawn(self.files[0][label], x + 7, y, SIDE / 2, SIDE / 2)
            frame = rect(x + 5, y - 2, SIDE / 2 + 4, SIDE / 2 + 4, "line old")
            number = text(x + SIDE / 2, y + SIDE, f"×{share}", "middle")
            return frame + small + number + self.named(label, x, y)
        look = "new" if n_old <= place < n_seen else ""
        return framed(self.files[0][label], x, y, look) + self.named(label, x, y)

    def tested(self, place: int, label: int, n_old: int, n_seen: int) -> str:
        """Draw a class in the lower row."""
        look = "old" if place < n_old else "new" if place < n_seen else ""
        x, y = 4 + CELL * place, TOP + ROWS["to be tested on"]
        return framed(self.files[1][label], x, y, look) + self.named(label, x, y)

    def named(self, label: int, x: float, y: float) -> str:
        """Write a class's name below its image."""
        return text(x + SIDE / 2, y + SIDE + 14, self.names[label], "middle")


def framed(file: str, x: float, y: float, name: str) -> str:
    """Draw an image in a frame of its colour; pale where it has none."""
    image = drawn(file, x, y, SIDE, SIDE)
    if not name:
        return f'<g class="faint">{image}</g>'
    return rect(x - 2, y - 2, SIDE + 4, SIDE + 4, f"line {name}") + image


def listed(names: Sequence[str]) -> str:
    """Return names with commas."""
    return ", ".join(names)


def classes_dealt(n_classes: int = 100) -> Alive:
    """Show which class arrives in which stage: any first stage, increment and seed of the order."""
    return Alive(
        "dealt",
        "Which classes arrive in which stage?",
        "The original labels of all classes in the order of arrival, ten in a row. Stages are "
        "shaded in turn; a number at the left says which stage a row begins in.",
        {"n_classes": n_classes},
        [
            number("base", "classes in the first stage, 0: like the others", 0, n_classes, 50),
            number("increment", "classes in each", 1, n_classes, 10),
            number("seed", "seed of the order", 0, 2**32 - 1, 1993),
        ],
        partial(dealt, n_classes),
        [Panel(340, 22 * -(-n_classes // 10) + 24, text(4, 14, "stage") + text(60, 14, "labels"))],
    )


def dealt(n_classes: int, base: int, increment: int, seed: int) -> Shown:
    """Draw the classes in their order, and say what each stage brings."""
    try:
        sizes = class_increments(base, increment, n_classes, "the data set")
    except InputError as error:
        return Shown([""], str(error))
    order, stages = class_order(seed, n_classes), np.repeat(np.arange(len(sizes)), sizes).tolist()
    marks = ""
    for place, (label, stage) in enumerate(zip(order, stages, strict=True)):
        x, y = 60 + 28 * (place % 10), 20 + 22 * (place // 10)
        marks += rect(x, y, 28, 21, "shade" if stage % 2 else "shade on")
        marks += text(x + 14, y + 15, str(label), "middle")
        if place % 10 == 0:
            marks += text(20, y + 15, str(stage + 1), "middle")
    first = listed([str(label) for label in order[: sizes[0]][:10]])
    more = " ..." if sizes[0] > 10 else ""
    says = f"B{base}-{increment}, seed {seed}: {len(sizes)} stages. The first brings {first}{more}"
    return Shown([marks], says)


def questions_by_stage(
    answers: Sequence[Sequence[Sequence[float]]],
    chances: Sequence[Sequence[float]],
    names: Sequence[str],
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
        "One network, one set of test images, several questions",
        "Two bars for each question: the share of right answers on old classes in blue, on new "
        "ones in orange, after a stage. A line across them marks what guessing would give. The "
        "slider moves through the stages.",
        "stage",
        frames,
        plot.axes({3 * i + 0.5: name for i, name in enumerate(names)}),
        height=260,
        printed=len(frames) - 1,
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
