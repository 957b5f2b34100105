"""Features of two numbers, drawn in the plane: what the methods' pictures share."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.teaching.svg import Plot, text


class Plane(Plot):
    """A plane whose points are vectors: (2,), or rows of (N, 2)."""

    def of(self, point: Tensor) -> tuple[float, float]:
        """Return where a vector ends in the picture."""
        x, y = point.tolist()
        return self.at(x, y)

    def points(self, rows: Tensor, look: str, radius: float) -> str:
        """Draw where vectors end."""
        return self.dots(rows[:, 0].numpy(), rows[:, 1].numpy(), look, radius)

    def path(self, rows: Tensor, look: str = "", more: str = "") -> str:
        """Draw a line through the ends of vectors."""
        return f'<polyline class="line {look}" points="{self.through(rows)}"{more}/>'

    def area(self, rows: Tensor, look: str, more: str = "") -> str:
        """Shade what lies inside the ends of vectors."""
        return f'<polygon class="{look}" points="{self.through(rows)}"{more}/>'

    def through(self, rows: Tensor) -> str:
        """Return the ends of vectors as SVG lists them."""
        return " ".join("{},{}".format(*self.of(row)) for row in rows)

    def cross(self, point: Tensor) -> str:
        """Mark where a vector ends."""
        x, y = self.of(point)
        return f'<path class="line" d="M{x - 6:g} {y - 6:g}l12 12m0 -12l-12 12"/>'

    def word(self, point: Tensor, words: str, anchor: str = "start") -> str:
        """Write where a vector ends."""
        return text(*self.of(point), words, anchor)


WIDE, NARROW = (
    Plane((-0.05, 1.5), (-0.05, 1.2), width=width, height=height, left=0, right=0, bottom=0, top=24)
    for width, height in ((340, 298), (226, 206))
)


def rays(degrees: Tensor) -> Tensor:
    """Return vectors of length 1 in these directions: (N,) -> (N, 2)."""
    angles = degrees.double().deg2rad()
    return torch.stack([angles.cos(), angles.sin()], 1)


DEGREES = torch.arange(0, 90.25, 0.25)
DIRECTIONS = rays(DEGREES)  # that features can have, since they are never negative


def cloud(angle: float, count: int, seed: int, spread: float = 8, lengths: float = 0.1) -> Tensor:
    """Draw features whose directions lie around an angle in degrees, lengths around 1: (N, 2)."""
    turns, sizes = torch.randn(2, count, generator=torch.Generator().manual_seed(seed)).double()
    return (1 + lengths * sizes[:, None]) * rays(angle + spread * turns)


def learned_head(features: Tensor, labels: Tensor, decay: float = 1e-3) -> Tensor:
    """Return the prototypes (C, D) that cross-entropy and weight decay end with."""
    weight = torch.zeros(int(labels.max()) + 1, features.shape[1], dtype=features.dtype)
    weight.requires_grad_()
    optimizer = torch.optim.LBFGS([weight], max_iter=200, line_search_fn="strong_wolfe")

    def loss() -> float:
        optimizer.zero_grad()
        wrong = F.cross_entropy(features @ weight.T, labels) + decay / 2 * weight.square().sum()
        wrong.backward()
        return wrong.item()

    optimizer.step(loss)
    return weight.detach()


def quarter(plot: Plane) -> str:
    """Draw both axes, and where features of length 1 lie."""
    (x, y), (right, _), (_, top) = plot.at(0, 0), plot.at(1.2, 0), plot.at(0, 1.2)
    corner = f'<path class="axis" fill="none" d="M{x} {top}V{y}H{right}"/>'
    return corner + plot.path(DIRECTIONS, "faint")


def sectors(plot: Plane, answers: Tensor, looks: Sequence[str]) -> str:
    """Shade each of `DIRECTIONS` in the look of the class that answers there: (N,)."""
    shade = ' fill-opacity=".13" stroke="currentColor" stroke-opacity=".3"'
    marks, corner, start = "", torch.zeros(1, 2), 0
    for label, count in zip(
        *(each.tolist() for each in answers.unique_consecutive(return_counts=True)), strict=True
    ):
        rim = DIRECTIONS[start : start + count]
        marks += plot.area(torch.cat([corner, 1.12 * rim]), looks[label], shade)
        start += count
    return marks
