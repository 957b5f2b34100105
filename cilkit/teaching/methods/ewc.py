"""EWC: two weights, what old and new images want of them, and where springs hold them."""

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad

from cilkit.teaching.methods.plane import Plane, rays
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import text

SPRINGS = 2.5  # lambda
RISES = (0.03, 0.01)  # of the loss over its minimum, where a line is drawn
PLOT = Plane((-2.3, 2.5), (-3.3, 3.7), "weight 1", "weight 2", 340, 300, left=12, top=48)


class Images(NamedTuple):
    """Two features of each image, (N, 2), and which of two classes it is, (N,)."""

    features: Tensor
    labels: Tensor


def at_random(mean: tuple[float, float], spread: tuple[float, float], seed: int) -> Images:
    """Draw images of two classes, on both sides of zero."""
    noise = torch.randn(400, 2, generator=torch.Generator().manual_seed(seed)).double()
    labels = torch.arange(400) % 2
    sides = (2 * labels[:, None] - 1) * torch.tensor(mean)
    return Images(sides + torch.tensor(spread) * noise, labels.double())


OLD, NEW = at_random((0.6, 0.02), (1.0, 0.15), seed=0), at_random((-0.25, 0.6), (0.7, 0.7), seed=1)


def loss(weights: Tensor, images: Images) -> Tensor:
    """Return the cross-entropy: (..., 2) -> (...)."""
    logits = weights @ images.features.T
    labels = images.labels.expand_as(logits)
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(-1)


def fisher(weights: Tensor, images: Images) -> Tensor:
    """Return the mean of the squared slopes of each image's log-probability: (2,) -> (2,)."""
    surplus = (images.features @ weights).sigmoid() - images.labels
    return (surplus[:, None] * images.features).square().mean(0)


def way(height: Callable[[Tensor], Tensor], start: Tensor) -> Tensor:
    """Return the places to which steps downhill lead, (1001, 2)."""
    places = [start]
    for _ in range(1000):
        places.append(places[-1] - grad(height)(places[-1]))
    return torch.stack(places)


@cache
def rest() -> Tensor:
    """Return where the old images left the weights, (2,)."""
    return way(lambda weights: loss(weights, OLD), torch.zeros(2).double())[-1]


def energy(weights: Tensor) -> Tensor:
    """Return what the springs add to the loss: (..., 2) -> (...)."""
    stretched = (weights - rest()).square()
    return SPRINGS / 2 * (fisher(rest(), OLD) * stretched).sum(-1)


@cache
def ways() -> tuple[Tensor, Tensor]:
    """Return the ways on which new images lead: without springs, and with them."""
    return (
        way(lambda weights: loss(weights, NEW), rest()),
        way(lambda weights: loss(weights, NEW) + energy(weights), rest()),
    )


def rim(height: Callable[[Tensor], Tensor], bottom: Tensor, level: Tensor) -> Tensor:
    """Return where a convex function reaches a level, around its minimum: (121, 2)."""
    around = rays(torch.arange(0, 361, 3))
    near, far = torch.zeros(len(around), 1).double(), torch.full((len(around), 1), 50.0).double()
    for _ in range(40):
        middle = (near + far) / 2
        above = height(bottom + middle * around)[:, None] > level
        near, far = torch.where(above, near, middle), torch.where(above, middle, far)
    return bottom + near * around


def picture() -> Still:
    """Show the way from the old images' valley to the new ones', without springs and with them."""
    free, held = ways()
    before, lost, kept = (float(loss(weights, OLD)) for weights in (rest(), free[-1], held[-1]))
    freely, tied = (float(loss(weights, NEW)) for weights in (free[-1], held[-1]))
    one, other = fisher(rest(), OLD).tolist()
    return Still(
        "Where may two weights go?",
        [without_springs(), with_springs()],
        f"Where the loss on old images stays low. It was {before:.2f}; without springs it becomes "
        f"{lost:.2f}, with them {kept:.2f}, and that on new ones {freely:.2f} and {tied:.2f}. "
        f"Weight 1 mattered more, so its spring is {one / other:.0f} times as stiff. On the dashed "
        "ellipse both springs hold as much energy as at the end. Images were drawn at random.",
    )


def without_springs() -> Drawing:
    """Draw where new images lead."""
    return Drawing(
        "Two valleys of the loss as ovals in the plane of two weights: a blue one, high and "
        "narrow, for old images, and an orange one, up to the left, for new images. A line "
        "leads from the middle of the blue one to the middle of the orange one.",
        text(4, 12, "without springs") + valleys() + walked(ways()[0]),
        height=300,
    )


def with_springs() -> Drawing:
    """Draw how far they lead with springs."""
    way = ways()[1]
    spring = PLOT.path(rim(energy, rest(), energy(way[-1])), more=' stroke-dasharray="6 4"')
    return Drawing(
        "The same valleys, and a dashed ellipse, as high and narrow as the blue one. The "
        "line leads up, where the blue valley is long, and ends on the ellipse.",
        text(4, 12, "with springs") + valleys() + spring + walked(way),
        height=300,
    )


def valleys() -> str:
    """Draw where the loss on old images is low, and that on new ones."""
    drawn, below = PLOT.axes({}, {}), torch.tensor([0.0, -1.2])
    for name, images, bottom in (("old", OLD, rest()), ("new", NEW, ways()[0][-1])):
        for rise in RISES:
            low = loss(bottom, images) + rise
            edge = rim(partial(loss, images=images), bottom, low)
            drawn += PLOT.area(edge, name, ' fill-opacity=".18"')
        drawn += PLOT.path(edge, name) + PLOT.word(bottom + below, name, "middle")
    return drawn


def walked(path: Tensor) -> str:
    """Draw a way, with a point at its start and a ring at its end."""
    some = torch.cat([path[:40], path[40::40]])
    return PLOT.path(some) + PLOT.points(path[:1], "", 4) + PLOT.points(path[-1:], "line", 6)
