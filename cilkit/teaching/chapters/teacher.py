"""A teacher and its student in one stage: who sees what, and what is compared. Chapter 4."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from cilkit.data.samples import Samples
from cilkit.model import CilModel
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import arrow, rect, text

WIDTH, HEIGHT, CELL = 640, 300, 15  # pixels of the figure; of a logit
BOX = (140, 56)
OUT = 430  # where logits begin
BATCH, TEACHER, STUDENT, LABELS = (10, 90), (190, 40), (190, 140), (OUT, 236)  # left, top
Point = tuple[float, float]
ARROWS: dict[str, list[Point]] = {
    "copy": [(260, 140), (260, 96)],
    "batch > teacher": [(150, 106), (190, 80)],
    "batch > student": [(150, 130), (190, 156)],
    "teacher > logits": [(330, 68), (OUT - 8, 68)],
    "student > logits": [(330, 168), (OUT - 8, 168)],
}


@dataclass(frozen=True)
class Pair:
    """What a teacher and a student make of one batch, in numbers."""

    images: int
    n_old: int  # logits of the teacher
    n_seen: int  # logits of the student
    taught: int  # weights of the teacher that a step moves: none
    learning: int  # those of the student


@torch.no_grad()
def pair(teacher: CilModel, student: CilModel, batch: Samples) -> Pair:
    """Show one batch to both, and count."""
    images = batch.images()
    shapes = [model.eval()(images).shape for model in (teacher, student)]
    (count, n_old), (_, n_seen) = shapes
    return Pair(count, n_old, n_seen, moved(teacher), moved(student))


def moved(model: nn.Module) -> int:
    """Return how many weights a step moves."""
    return sum(part.numel() for part in model.parameters() if part.requires_grad)


def teacher_and_student(teacher: CilModel, student: CilModel, batch: Samples) -> Moving:
    """Show a stage with a teacher step by step, with the numbers of these two and of one batch."""
    both = pair(teacher, student, batch)
    frames = [
        Frame(f"{i}. {step.at}", step.says, step.draw(both))
        for i, step in enumerate(steps(both), 1)
    ]
    return Moving(
        "Who sees what, and what is compared?",
        "Left a batch of images, in the middle the teacher above the student, right the logits of "
        "each as a row of cells, old classes blue, new ones orange, and the labels below. Each "
        "step lights what takes part: the copy, the batch that goes to both, the comparison of all "
        "of the student's logits with the labels, that of its old ones with the teacher's.",
        "step",
        frames,
        width=WIDTH,
        height=HEIGHT,
        printed=4,
    )


@dataclass(frozen=True)
class Step:
    """One thing that happens in a stage."""

    at: str
    says: str
    lit: Sequence[str] = ()  # of ARROWS, "ce" or "kd"
    taught: int = 0  # outputs for new classes, of the teacher
    learnt: int = 0  # and of the student

    def draw(self, both: Pair) -> str:
        """Draw boxes, logits, and what goes between them."""
        marks = "".join(arrow(points, look(name in self.lit)) for name, points in ARROWS.items())
        marks += box(BATCH, "batch", f"{both.images} images")
        marks += box(TEACHER, "teacher", "frozen", ' stroke-dasharray="6 5"')
        marks += box(STUDENT, "student", "learns") + box(LABELS, "labels", "of the batch")
        marks += cells(both.n_old, self.taught, TEACHER[1] + 20)
        marks += cells(both.n_old, self.learnt, STUDENT[1] + 20)
        marks += text(OUT, TEACHER[1] + 12, f"{both.n_old} old classes")
        if self.learnt:
            end = OUT + CELL * (both.n_old + self.learnt) + 4
            marks += text(end, STUDENT[1] + 33, f"{self.learnt} new")
        kd, ce = ("kd" in self.lit), ("ce" in self.lit)
        return marks + distilled(both.n_old, kd) + labelled(both.n_old + self.learnt, ce)


def steps(both: Pair) -> list[Step]:
    """Return what happens in a stage, from the copy to the next copy."""
    old, seen = both.n_old, both.n_seen
    new = seen - old
    shown = f"the teacher gives {old} logits for each, the student {seen}"
    return [
        Step("a stage begins", "a copy of the network is frozen: the teacher", ["copy"]),
        Step("grow", f"the student gets {new} more outputs, the teacher none", learnt=new),
        Step("a batch", f"both see the same images; {shown}", [*ARROWS][1:], learnt=new),
        Step("cross-entropy", f"labels against all {seen} logits", ["ce"], learnt=new),
        Step("distillation", f"the teacher's {old} against the same {old}", ["kd"], learnt=new),
        Step(
            "a step",
            f"{both.learning:,} weights of the student move, {both.taught} of the teacher",
            ["ce", "kd"],
            learnt=new,
        ),
        Step("the end", "a copy of the student is the next teacher", ["copy"], new, new),
    ]


def box(at: Point, name: str, holds: str, more: str = "") -> str:
    """Draw a box with its name and a word on it."""
    (x, y), (width, height) = at, BOX
    middle = x + width / 2
    words = text(middle, y + 24, name, "middle", ' font-weight="bold"')
    return (
        rect(x, y, width, height, "line", f' rx="8"{more}')
        + words
        + text(middle, y + 46, holds, "middle")
    )


def cells(old: int, new: int, y: float) -> str:
    """Draw logits, a cell for each class."""
    names = ["old"] * old + ["new"] * new
    return "".join(
        rect(OUT + CELL * i, y, CELL - 2, CELL, name, ' fill-opacity=".8"')
        for i, name in enumerate(names)
    )


def distilled(count: int, lit: bool) -> str:
    """Draw what distillation compares: the old classes' logits of both."""
    top, foot, wide = TEACHER[1] + 42, STUDENT[1] + 12, CELL * count - 2
    middle = OUT + wide / 2
    both = [arrow([(middle, 119), (middle, y)], look(lit)) for y in (top + 2, foot - 2)]
    return "".join(both) + across(top, wide, lit) + across(foot, wide, lit) + said(119, "kd", lit)


def labelled(count: int, lit: bool) -> str:
    """Draw what cross-entropy compares: all logits of the student, and the labels."""
    top, wide = STUDENT[1] + 42, CELL * count - 2
    up = arrow([(OUT + wide / 2, LABELS[1]), (OUT + wide / 2, top + 2)], look(lit))
    return up + across(top, wide, lit) + said(214, "ce", lit)


def across(y: float, wide: float, lit: bool) -> str:
    """Draw a line along logits."""
    return f'<path class="line{"" if lit else " faint"}" d="M{OUT} {y:g}h{wide:g}"/>'


def look(lit: bool) -> str:
    """Return the class of what takes part in a step, or does not."""
    return "" if lit else "faint"


def said(y: float, word: str, lit: bool) -> str:
    """Write the name of a loss beside its arrow."""
    look = ' font-weight="bold"' if lit else ' class="faint"'
    return text(OUT + 90, y + 4, word, "start", look)
