"""iCaRL: what a head says of an image, and what the nearest mean of exemplars says."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.functional import herd
from cilkit.methods.nearest_mean import class_means
from cilkit.teaching.methods.plane import (
    DIRECTIONS,
    WIDE,
    cloud,
    learned_head,
    quarter,
    rays,
    sectors,
)
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import text

KEPT = 4  # exemplars of each class
OLD, NEW = cloud(60, KEPT, seed=2), cloud(33, 60, seed=1)
TRUTH = torch.tensor([0] * len(OLD) + [1] * len(NEW))
IMAGE = rays(torch.tensor([49.0]))  # of the old class
CLASSES = ["old", "new"]


def prototypes() -> Tensor:
    """Return a head that has learned a few old images and many new ones, (2, 2)."""
    return learned_head(torch.cat([OLD, NEW]), TRUTH)


def exemplars() -> Tensor:
    """Return the unit features of the old class's exemplars, then the new one's: (2 KEPT, 2)."""
    old, new = F.normalize(OLD), F.normalize(NEW)
    return torch.cat([old, new[herd(new, KEPT)]])


def means() -> Tensor:
    """Return both classes' mean exemplars, of length 1."""
    return F.normalize(class_means(exemplars(), torch.tensor([0, 1]).repeat_interleave(KEPT)))


def picture() -> Still:
    """Show the plane twice, shaded by who answers: the head, and the nearest mean."""
    return Still(
        "Whose is the image at the cross?",
        [by_head(), by_mean()],
        "It is an old one. Images were drawn at random, with two features each. The head has "
        f"learned from {len(OLD)} old and {len(NEW)} new ones; the nearest mean knows {KEPT} "
        "exemplars of each class.",
    )


def by_head() -> Drawing:
    """Draw what the head has learned from, and its answers."""
    head = prototypes()
    answer = CLASSES[int((IMAGE @ head.T).argmax())]
    drawn = backdrop(f"the head says: {answer}", (DIRECTIONS @ head.T).argmax(1))
    return Drawing(
        "Two numbers for each image. Sixty orange points, a new class, and four blue ones, an "
        "old class. The head's border runs close to the blue points, and a cross, an old "
        "image, lies on its orange side.",
        drawn + WIDE.points(NEW, "new", 3) + WIDE.points(OLD, "old", 5) + WIDE.cross(IMAGE[0]),
        height=298,
    )


def by_mean() -> Drawing:
    """Draw the exemplars with their means, and where each is nearest."""
    rows, centres = exemplars(), means()
    answer = CLASSES[int(torch.cdist(IMAGE, centres).argmin())]
    nearest = torch.cdist(DIRECTIONS, centres).argmin(1)
    drawn = backdrop(f"the nearest mean says: {answer}", nearest)
    drawn += WIDE.points(rows[KEPT:], "new", 4) + WIDE.points(rows[:KEPT], "old", 4)
    for mean in centres:
        drawn += WIDE.path(torch.stack([IMAGE[0], mean])) + WIDE.word(1.16 * mean, "mean")
    return Drawing(
        "The exemplars, four of each class, on a quarter of the circle of length 1, with their "
        "means as rings. The border lies half-way between the rings, and the cross on the "
        "blue side.",
        drawn + WIDE.points(centres, "line", 9) + WIDE.cross(IMAGE[0]),
        height=298,
    )


def backdrop(title: str, answers: Tensor) -> str:
    """Draw what stays, with the sides named."""
    sides = WIDE.words(0.06, 0.9, "old") + WIDE.words(0.9, 0.06, "new", "middle")
    return text(4, 14, title) + sectors(WIDE, answers, CLASSES) + quarter(WIDE) + sides
