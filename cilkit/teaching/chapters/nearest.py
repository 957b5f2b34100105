"""Exemplars and the nearest mean, at every budget; and what herding costs. Chapter 3."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb, lgamma, log

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from cilkit.functional import herd
from cilkit.teaching.alive import Alive, Panel, Shown, choice, packed, slider, unpacked
from cilkit.teaching.svg import Plot, text

MOST, DRAWS = 30, 10  # exemplars of a class; random choices
WAYS = {"herding": "by herding", "random": "at random"}


def nearest_mean_by_budget(
    seen: Tensor, labels: Tensor, asked: Tensor, truth: Tensor, names: Sequence[str]
) -> Alive:
    """Show how often the nearest mean of exemplars is right, at any budget, by choice and chance.

    Features of length 1 to choose from (N, D) with their labels (N,), and to be asked (M, D).
    """
    groups = [seen[labels == c] for c in range(len(names))]
    data = {"seen": packed(torch.cat(groups), wide=False), "asked": packed(asked, wide=False)}
    both = [
        torch.from_numpy(unpacked(part).reshape(len(each), -1))
        for part, each in zip(data.values(), (seen, asked), strict=True)
    ]
    sizes = [len(group) for group in groups]
    contest = Contest(list(both[0].split(sizes)), both[1], truth, tuple(names))
    return Alive(
        "nearest",
        "How often is the nearest mean of exemplars right?",
        "Left, accuracy over the number of exemplars of each class: herding in blue, ten random "
        "choices thin, their mean dashed, all images as a line across; a point marks the budget. "
        "Right, the accuracy on each class, with the chosen way filled and all images outlined.",
        data
        | {"sizes": sizes, "truth": truth.tolist(), "names": list(names), "low": contest.low}
        | {"orders": contest.orders.tolist()},
        [
            slider("budget", "exemplars of each class", 1, MOST, 1),
            choice("way", "chosen", WAYS, "herding"),
            slider("draw", "random choice", 1, DRAWS, 1),
        ],
        contest.draw,
        [Panel(340, 300, contest.axes()), Panel(340, 300, contest.heads())],
    )


@dataclass(frozen=True)
class Contest:
    """Features of each class to choose exemplars from, and of images to be told apart."""

    groups: Sequence[Tensor]  # (N_c, D) each
    asked: Tensor  # (M, D)
    truth: Tensor  # (M,)
    names: Sequence[str]

    @cached_property
    def orders(self) -> np.ndarray:
        """Return random orders of each class, as far as they are needed: (10, C, 30)."""
        rng = torch.Generator().manual_seed(0)
        return np.array(
            [
                [torch.randperm(len(group), generator=rng)[:MOST].tolist() for group in self.groups]
                for _ in range(DRAWS)
            ]
        )

    @cached_property
    def herded(self) -> list[list[int]]:
        """Return each class's order by herding."""
        return [herd(group, MOST).tolist() for group in self.groups]

    def each(self, orders: Sequence[Sequence[int]], budget: int) -> list[float]:
        """Return the accuracy (percent) on each class with the first exemplars of some orders."""
        chosen = [
            group[list(order[:budget])] for group, order in zip(self.groups, orders, strict=True)
        ]
        means = torch.stack([F.normalize(rows.mean(0), dim=0) for rows in chosen])
        right = (self.asked @ means.T).argmax(1) == self.truth
        return [100 * float(right[self.truth == c].double().mean()) for c in range(len(means))]

    def accuracy(self, orders: Sequence[Sequence[int]], budget: int) -> float:
        """Return the accuracy (percent) on all images."""
        each = np.array(self.each(orders, budget))
        return float((each * self.truth.bincount().numpy()).sum() / len(self.truth))

    @cached_property
    def everything(self) -> list[range]:
        """Return the orders that hold all images."""
        return [range(len(group)) for group in self.groups]

    @cached_property
    def curves(self) -> np.ndarray:
        """Return the accuracy for herding and each random choice, over budgets: (11, 30)."""
        ways = [self.herded, *self.orders.tolist()]
        budgets = range(1, MOST + 1)
        return np.array([[self.accuracy(way, budget) for budget in budgets] for way in ways])

    @property
    def low(self) -> int:
        """Return where the axis of accuracy begins."""
        return min(90, 10 * int(self.curves.min() // 10))

    @property
    def plot(self) -> Plot:
        """Return the left panel."""
        return Plot((1, MOST), (self.low, 100), "exemplars of each class", "accuracy (%)", 340, 300)

    @property
    def bars(self) -> Plot:
        """Return the right panel."""
        return Plot((-0.6, len(self.names) - 0.4), (0, 100), "class", "accuracy (%)", 340, 300)

    def axes(self) -> str:
        """Draw the axes of the left panel, and say in its empty corner which line is which."""
        lines = "blue: herding|thin: ten random choices|dashed: their mean|level: all images"
        words = (text(322, 188 + 16 * i, line, "end") for i, line in enumerate(lines.split("|")))
        return self.plot.axes() + "".join(words)

    def heads(self) -> str:
        """Draw the axes of the right panel."""
        return self.bars.axes(dict(enumerate(self.names)), [0, 50, 100])

    def draw(self, budget: int, way: str, draw: int) -> Shown:
        """Draw accuracy over budgets, and on each class at this one."""
        budgets = np.arange(1, MOST + 1)
        herding, random = self.curves[0], self.curves[1:]
        marks = "".join(self.plot.line(budgets, values, "faint") for values in random)
        marks += self.plot.line(budgets, random.mean(0), "dash")
        marks += self.plot.line(budgets, herding, "old")
        limit = self.accuracy(self.everything, 10**6)
        marks += self.plot.line([1, MOST], [limit, limit], "thin")
        orders = self.herded if way == "herding" else self.orders[draw - 1].tolist()
        now, name = self.accuracy(orders, budget), "old" if way == "herding" else ""
        marks += self.plot.dots([budget], [now], name, 6)
        n = len(self.names)
        bars = self.bars.bars(self.each(orders, budget), [f"{name} bar"] * n)
        bars += self.bars.bars(self.each(self.everything, 10**6), ["line thin"] * n, 0.5)
        spread = random[:, budget - 1]
        says = f"{budget} of each class, {WAYS[way]}: {now:.1f} %. "
        says += f"Herding {herding[budget - 1]:.1f} %; ten random choices "
        says += f"{spread.mean():.1f} %, from {spread.min():.1f} to "
        return Shown([marks, bars], says + f"{spread.max():.1f} %; all images {limit:.1f} %")


COSTS = Plot((0, 100), (0, 40), "exemplars m", "distances to compute, as 10 to the power", 340, 260)


def cost_of_herding() -> Alive:
    """Show how many distances herding computes, and how many sets there are to try instead."""
    return Alive(
        "cost",
        "How much work is it to choose m of n images?",
        "Two curves over m, the height a power of ten: distances that herding computes, in blue, "
        "near the foot; sets that one would have to try otherwise, in black, far above it.",
        {},
        [slider("n", "images n", 2, 130, 130), slider("m", "exemplars m", 1, 100, 10)],
        cost,
        [Panel(340, 260, COSTS.axes())],
    )


def cost(n: int, m: int) -> Shown:
    """Draw both numbers over m, and say them for this one."""
    m = min(m, n)
    several = np.arange(1, min(n, 100) + 1)
    marks = ""
    for name, count in (("old", distances), ("", sets)):
        marks += COSTS.line(several, [count(n, k) for k in several.tolist()], name)
        marks += COSTS.dots([m], [count(n, m)], name, 6)
    marks += text(200, 140, "above: all sets", "middle")
    marks += text(200, 156, "below: herding", "middle")
    exact = (2 * n - m + 1) * m // 2
    power = sets(n, m)
    many = str(comb(n, m)) if power < 9 else f"10 to the power {power:.1f}"
    return Shown([marks], f"{m} of {n}: herding {exact} distances, all sets {many}")


def distances(n: int, m: int) -> float:
    """Return the power of ten of (2n - m + 1) m / 2."""
    return log((2 * n - m + 1) * m / 2) / log(10)


def sets(n: int, m: int) -> float:
    """Return the power of ten of the number of sets of m of n."""
    return (lgamma(n + 1) - lgamma(m + 1) - lgamma(n - m + 1)) / log(10)
