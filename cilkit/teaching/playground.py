"""Herding with points that the reader moves. Points are no fields, so it is no `Alive`."""

import json
from dataclasses import dataclass
from html import escape

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cilkit.functional import herd
from cilkit.teaching.moving import asset, for_script, style
from cilkit.teaching.svg import text

WIDTH, HEIGHT, DRAWS = 640, 360, 40
KEY = text(8, 350, "+ mean of all") + text(632, 350, "○ mean of the exemplars", "end")


def herding_playground(points: ArrayLike, budget: int = 4, seed: int = 0) -> "Playground":
    """Show herding on points of the plane, (N, 2) in [0, 1]: move them, change the budget.

    The page's script chooses as `herd` does; beside it stands the mean of 40 random choices.
    """
    placed = np.asarray(points, dtype=np.float64)
    rng = np.random.default_rng(seed)
    draws = [rng.permutation(len(placed)).tolist() for _ in range(DRAWS)]
    return Playground(placed.round(3), budget, draws)


@dataclass(frozen=True)
class Playground:
    """The figure; a notebook, the book and Colab show it as it is."""

    points: NDArray[np.float64]
    budget: int
    draws: list[list[int]]

    def chosen(self) -> list[int]:
        """Return the exemplars that are seen first, best first."""
        return herd(torch.from_numpy(self.points), self.budget).tolist()

    def distances(self) -> tuple[float, float]:
        """Return how far the exemplars' mean is from the mean of all: herding, and random."""
        mean = self.points.mean(0)
        choices = [self.chosen(), *(draw[: self.budget] for draw in self.draws)]
        far = [float(np.linalg.norm(self.points[choice].mean(0) - mean)) for choice in choices]
        return far[0], float(np.mean(far[1:]))

    def says(self) -> str:
        """Return what there is to read."""
        herding, random = self.distances()
        return (
            f"{self.budget} of {len(self.points)}: the exemplars' mean is {herding:.3f} from the "
            f"mean of all; random choices, on average, {random:.3f}"
        )

    def _repr_html_(self) -> str:
        """Return the figure, ready to be put into a page."""
        data = json.dumps({"points": self.points.tolist(), "draws": self.draws})
        title = "Which points does herding keep? Drag them, and change the budget"
        return (
            f'<figure class="cil-figure cil-playground">{style()}'
            f"<figcaption>{title}</figcaption>"
            f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" tabindex="0" role="application" '
            f'aria-label="{title}. Page up and page down select a point, arrow keys move it.">'
            f"<title>{title}</title><desc>Points in the plane. Those that herding keeps are filled "
            f"and numbered in their order; a cross marks the mean of all points, a ring the mean "
            f'of the exemplars.</desc>{KEY}<g class="cil-frame">{self.marks()}</g></svg>'
            f'<div class="cil-controls"><label>budget <input type="range" min="1" '
            f'max="{len(self.points)}" value="{self.budget}" autocomplete="off"></label> '
            f'<button type="button" class="cil-reset">Reset</button>'
            f'<output aria-live="polite">{escape(self.says())}</output></div>'
            f'<script type="application/json">{for_script(data)}</script>'
            f"<script>{asset('playground.js')}</script></figure>"
        )

    def marks(self) -> str:
        """Draw the first picture, as the page's script would."""
        order = self.chosen()
        parts = []
        for i, (x, y) in enumerate(self.points.tolist()):
            spot = f'cx="{x * WIDTH:.1f}" cy="{y * HEIGHT:.1f}"'
            if i in order:
                label = f'<text x="{x * WIDTH:.1f}" y="{y * HEIGHT + 4:.1f}" text-anchor="middle" '
                number = f'{label}fill="#fff">{order.index(i) + 1}</text>'
                parts.append(f'<circle class="chosen" {spot} r="11"/>{number}')
            else:
                parts.append(f'<circle class="free" {spot} r="7"/>')
        mean, kept = self.points.mean(0), self.points[order].mean(0)
        x, y = mean[0] * WIDTH, mean[1] * HEIGHT
        cross = f"M{x - 8:.1f},{y:.1f}h16M{x:.1f},{y - 8:.1f}v16"
        parts.append(f'<path class="axis" stroke-width="3" d="{cross}"/>')
        ring = f'cx="{kept[0] * WIDTH:.1f}" cy="{kept[1] * HEIGHT:.1f}"'
        parts.append(f'<circle class="line new" {ring} r="10"/>')
        return "".join(parts)

    def __repr__(self) -> str:
        return f"herding keeps {self.chosen()}; {self.says()}"
