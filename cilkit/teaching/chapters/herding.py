"""Herding on the real images of one class, a choice at each step. Chapter 3."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from cilkit.functional import herd
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot, text, ticks
from cilkit.teaching.thumbnails import thumbnail

DRAWS = 40  # random choices that herding is compared with
SIZE, COLUMNS, LEFT = 50, 5, 350  # of the images in the picture


def herding_by_step(images: Tensor, features: Tensor, m: int = 10) -> Moving:
    """Show which images of one class herding keeps, best first, and where their mean comes to lie.

    Images (N, C, H, W) uint8, and their features (N, D) as herding sees them.
    """
    steps = Steps(images, features, tuple(herd(features, m).tolist()))
    return Moving(
        f"Which of these {len(images)} images does herding keep?",
        "Left, the features of all images of one class in their two main directions, a cross at "
        "their mean; those kept are blue, in the order of choice, and a ring marks their mean. "
        "Right, the images kept, and how far the ring is from the cross, beside random choices.",
        "exemplars",
        [steps.frame(k) for k in range(1, m + 1)],
        steps.backdrop(),
        height=330,
        printed=m // 2 - 1,
    )


@dataclass(frozen=True)
class Steps:
    """The parts of the figure."""

    images: Tensor
    features: Tensor
    order: Sequence[int]  # as herding chooses

    def backdrop(self) -> str:
        """Draw all images as points, and the two distances for each number of exemplars."""
        plot, ks = self.curves(), range(1, len(self.order) + 1)
        herding, random = self.far([self.order]), self.random()
        return (
            self.plane().dots(*columns(self.points), "faint", 3)
            + plot.axes(yticks=ticks(*plot.y)[::2])
            + text(LEFT, 164, "how far the two means are apart")
            + plot.line(ks, random)
            + plot.line(ks, herding, "old")
            + plot.names(ks[-1], {"random": random[-1], "herding": herding[-1]})
        )

    def frame(self, k: int) -> Frame:
        """Draw the first `k` exemplars."""
        plane, chosen = self.plane(), self.points[list(self.order[:k])]
        x, y = plane.at(0, 0)
        marks = f'<path class="axis" d="M{x - 24:g} {y:g}h48M{x:g} {y - 24:g}v48"/>'
        x, y = plane.at(*chosen.mean(0).tolist())
        marks += f'<circle class="line new" cx="{x}" cy="{y}" r="10"/>'
        marks += plane.dots(*columns(chosen), "old", 6)
        for i, point in enumerate(chosen.tolist()):  # numbers lie on top
            x, y = plane.at(*point)
            marks += text(x + 8, y - 6, str(i + 1)) + self.kept(i)
        herding, random = self.far([self.order])[k - 1], self.random()[k - 1]
        marks += self.curves().dots([k], [herding], "old", 6)
        says = f"their mean is {herding:.3f} from the mean of all; random ones, {random:.3f}"
        return Frame(f"{k} kept", says, marks)

    def kept(self, i: int) -> str:
        """Draw the image that was chosen `i`-th, and its number."""
        x, y = LEFT + (SIZE + 7) * (i % COLUMNS), 20 + (SIZE + 20) * (i // COLUMNS)
        return text(x, y - 4, str(i + 1)) + thumbnail(self.images[self.order[i]], x, y, SIZE)

    @cached_property
    def points(self) -> Tensor:
        """Return where the images lie in the left panel, (N, 2)."""
        return main_plane(self.features)

    def plane(self) -> Plot:
        """Return the left panel: as wide as the points reach."""
        low, high = (edge.tolist() for edge in self.points.aminmax(dim=0))
        (x0, y0), (x1, y1) = low, high
        return Plot((x0, x1), (y0, y1), width=330, height=330, left=14, bottom=14, top=20)

    def curves(self) -> Plot:
        """Return the panel at the lower right."""
        highest = 1.1 * max(self.random() + self.far([self.order]))
        x, y, left = (1, len(self.order)), (0, highest), LEFT + 44
        return Plot(x, y, "exemplars", height=330, left=left, right=76, top=180, bottom=40)

    def far(self, orders: Sequence[Sequence[int]]) -> list[float]:
        """Return how far the mean of the first 1, 2, ... is from the mean of all, on average."""
        chosen = self.features.double()[torch.tensor(orders)].cumsum(1)
        means = chosen / torch.arange(1, chosen.shape[1] + 1).view(-1, 1)
        distances = (means - self.features.double().mean(0)).norm(dim=2)
        return [float(distance) for distance in distances.mean(0)]

    def random(self) -> list[float]:
        """Return the same for random choices."""
        rng = torch.Generator().manual_seed(0)
        n, m = len(self.features), len(self.order)
        return self.far([torch.randperm(n, generator=rng)[:m].tolist() for _ in range(DRAWS)])


def columns(points: Tensor) -> tuple[list[float], list[float]]:
    """Return the x and the y of points, (N, 2)."""
    return points[:, 0].tolist(), points[:, 1].tolist()


def main_plane(features: Tensor) -> Tensor:
    """Return where the rows lie in their two main directions, (N, D) -> (N, 2), the mean at 0.

    Each direction points to where its largest weight is positive, so that it is always the same.
    """
    centred = features.double() - features.double().mean(0)
    directions: Tensor = torch.linalg.svd(centred, full_matrices=False).Vh[:2]
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    return centred @ (directions * largest.sign()).T
