"""FeTrIL: the features of a new class, moved to where an old class was."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.methods.nearest_mean import class_means
from cilkit.teaching.methods.plane import WIDE, cloud, quarter
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import arrow, text

COUNT = 40  # images of a class
OLD = cloud(68, COUNT, seed=0, spread=2, lengths=0.08)  # nobody has them any more
NEW = torch.cat([cloud(38, COUNT, seed=4, spread=7, lengths=0.05), cloud(12, COUNT, 2, 3)])
LABELS = torch.tensor([1, 2]).repeat_interleave(COUNT)


def means() -> Tensor:
    """Return the mean of the old class, which was kept, and those of both new ones."""
    return torch.cat([OLD.mean(0)[None], class_means(NEW, LABELS)])


def likest() -> int:
    """Return the new class whose mean has the largest cosine with the old one's."""
    old, *new = F.normalize(means())
    return 1 + int((torch.stack(new) @ old).argmax())


def moved() -> Tensor:
    """Return the pseudo-features of the old class, (COUNT, 2)."""
    mean, like = means(), likest()
    return NEW[like == LABELS] + mean[0] - mean[like]


def picture() -> Still:
    """Show what there is when new classes come, and what is made of it."""
    return Still(
        "Who stands in for an old class?",
        [kept(), made()],
        "The new class whose mean has the nearest direction. Its features keep their shape and get "
        "the old class's mean. The empty circles are the old images, which are gone: they lie at "
        "the same place, in another shape. All were drawn at random.",
    )


def kept() -> Drawing:
    """Draw both new classes, and the one point that is left of the old one."""
    old, near = means()[0], means()[likest()]
    way = arrow([WIDE.of(near), WIDE.of(0.92 * old + 0.08 * near)])
    return Drawing(
        "Two orange heaps, the new classes, each with a ring at its mean. A third ring, the old "
        "class's mean, has no points. An arrow leads to it from the new mean whose direction is "
        "nearest.",
        text(4, 14, "kept of the old class: its mean") + backdrop() + way,
        height=298,
    )


def made() -> Drawing:
    """Draw the pseudo-features over the images that nobody has."""
    return Drawing(
        "The same, and a blue copy of the nearest orange heap around the old mean. Empty circles, "
        "the images that are gone, lie around the same mean in another shape.",
        text(4, 14, "learned as the old class: a new one, moved")
        + WIDE.points(OLD, "line faint", 3)
        + WIDE.points(moved(), "old", 3)
        + backdrop(),
        height=298,
    )


def backdrop() -> str:
    """Draw the new classes, and all means with their names."""
    drawn = quarter(WIDE) + WIDE.points(NEW, "new", 3)
    for mean, name in zip(means(), ("old", "new", "new"), strict=True):
        drawn += WIDE.word(0.7 * mean, name, "middle")
    return drawn + WIDE.points(means(), "line", 7)
