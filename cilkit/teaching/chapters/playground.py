"""Herding with points that the reader moves, adds and removes. Chapter 3."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray

from cilkit.functional import herd
from cilkit.teaching.alive import Alive, Panel, Shown, hidden, slider
from cilkit.teaching.svg import rect, text

SIDE, RADIUS, MOST, DRAWS = 340, 9, 40, 40  # pixels; points at most; random choices
PLACES = ((20, 0), (-20, 0), (0, 16), (0, -16))  # of a label, from the middle of its point
WIDE, HIGH = 10, 6  # half a label
KEY = (
    "lines cross at the mean of all, a ring is the exemplars'",
    "beside a free point: how far apart, were it next",
)
ACTS = {
    "herding": "by herding",
    "random": "at random",
    "add": "Add a point",
    "remove": "Remove a point",
}
TABLE = '<details><summary>As text</summary><p class="cil-rows" data-text="rows">{}</p></details>'
Points = NDArray[np.float64]


def herding_playground(points: ArrayLike, budget: int = 4, seed: int = 0) -> Alive:
    """Show herding on points of the plane, (N, 2) in [0, 1], and what each free one would do.

    They can be moved and removed, and others be added, up to 40. Beside herding stand 40 random
    choices.
    """
    placed = np.asarray(points, dtype=np.float64).round(3)
    rng = np.random.default_rng(seed)
    ground = Ground([rng.permutation(MOST).tolist() for _ in range(DRAWS)])
    return Alive(
        "playground",
        "Which points does herding keep? Drag them, and change the budget",
        "Points in the plane. Those that are kept are filled and numbered in their order; beside "
        "a free one stands how far apart the means would be if it were taken next, the least in "
        "bold. Two lines cross at the mean of all points, a ring marks the mean of the exemplars.",
        {"draws": ground.draws},
        [
            slider("budget", "budget", 1, len(placed), budget),
            hidden("points", " ".join(f"{value:g}" for value in placed.flatten())),
            hidden("draw", 0, 0, DRAWS),
            hidden("selected", -1, -1, MOST),
        ],
        ground.draw,
        [Panel(SIDE, SIDE + 40, backdrop())],
        TABLE.format(in_rows(placed, ground.chosen(placed, budget, 0))),
        acts=ACTS,
        keys="Page up and page down select a point, arrow keys move it, Delete removes it",
    )


def backdrop() -> str:
    """Draw the edge of the plane, and write what is in it."""
    lines = (text(4, SIDE + 16 + 18 * i, words) for i, words in enumerate(KEY))
    return rect(1, 1, SIDE - 2, SIDE - 2, "line faint") + "".join(lines)


@dataclass(frozen=True)
class Ground:
    """Random orders of as many points as there may be."""

    draws: Sequence[Sequence[int]]

    def chosen(self, points: Points, m: int, draw: int) -> list[int]:
        """Return which are kept, in their order: by herding, or by a draw, counted from 1."""
        if not draw:
            return [int(i) for i in herd(torch.from_numpy(points), m)]
        return [i for i in self.draws[draw - 1] if i < len(points)][:m]

    def draw(self, budget: int, points: str, draw: int, selected: int) -> Shown:
        """Draw which points are kept, and say how far their mean is from that of all."""
        placed = np.array(points.split(), dtype=np.float64).reshape(-1, 2)
        m = min(budget, len(placed))
        chosen = self.chosen(placed, m, draw)
        left = if_next(placed, chosen)
        random = [apart(placed, self.chosen(placed, m, i + 1)) for i in range(DRAWS)]
        way = f"random choice {draw}" if draw else "herding"
        says = f"{m} of {len(placed)}, {way}: the exemplars' mean is {apart(placed, chosen):.3f} "
        says += f"from the mean of all. Random choices, on average: {np.mean(random):.3f}"
        if draw:
            says += f"; herding: {apart(placed, self.chosen(placed, m, 0)):.3f}"
        if selected in left:
            says += f". Were the selected point next: {left[selected]:.3f}"
        marks = picture(placed, chosen, left, selected)
        return Shown([marks], says, {"rows": in_rows(placed, chosen)})


def apart(points: Points, chosen: Sequence[int]) -> float:
    """Return how far the mean of those chosen is from the mean of all."""
    return float(np.linalg.norm(points[list(chosen)].mean(0) - points.mean(0)))


def if_next(points: Points, chosen: Sequence[int]) -> dict[int, float]:
    """Return how far apart the means would be, for each free point, if it were taken next."""
    free = [i for i in range(len(points)) if i not in chosen]
    return {i: apart(points, [*chosen, i]) for i in free}


def in_rows(points: Points, chosen: Sequence[int]) -> str:
    """Write a line for each point: those that are kept, then the others, the best first."""
    left = if_next(points, chosen)
    rows = [(i, f"exemplar {place}") for place, i in enumerate(chosen, 1)]
    rows += [(i, f"{left[i]:.3f} apart, were it next") for i in sorted(left, key=left.__getitem__)]
    places = [f"({x:.2f}, {y:.2f})" for x, y in points]
    return "\n".join(f"{places[i]}: {words}" for i, words in rows)


def picture(points: Points, chosen: Sequence[int], left: Mapping[int, float], selected: int) -> str:
    """Draw all points, the two means, and the place of the mean if the selected one came next."""
    x, y = SIDE * points.mean(0)
    marks = f'<path class="axis" d="M0 {y:.1f}h{SIDE}M{x:.1f} 0v{SIDE}"/>'
    marks += circle(points[list(chosen)].mean(0), "line new", 14)
    if selected in left:
        marks += circle(points[[*chosen, selected]].mean(0), "line new dash", 14)
    for i, spot in enumerate(points):
        marks += circle(spot, "shade on edge" if i in left else "old edge", RADIUS)
        marks += circle(spot, "line", RADIUS + 4) if i == selected else ""
    for place, i in enumerate(chosen, 1):
        x, y = SIDE * points[i]
        marks += text(x, y + 4, f"{place}", "middle", ' class="on"')
    marks += labels(points, left)
    grips = (circle(spot, "handle", 13, f' data-handle="{i}"') for i, spot in enumerate(points))
    return marks + "".join(grips)


def circle(spot: Points, name: str, radius: float, more: str = "") -> str:
    """Draw a circle around a point of the plane."""
    x, y = SIDE * spot
    return f'<circle class="{name}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"{more}/>'


def labels(points: Points, left: Mapping[int, float]) -> str:
    """Write each free point's distance beside it where there is room, the least one first."""
    taken = [(x, y, RADIUS, RADIUS) for x, y in (SIDE * points).tolist()]
    marks = ""
    for i in sorted(left, key=left.__getitem__):
        around = ((taken[i][0] + right, taken[i][1] + down) for right, down in PLACES)
        for x, y in around:
            if is_free(x, y, taken):
                taken.append((x, y, WIDE, HIGH))
                look = ' font-weight="bold"' if left[i] == min(left.values()) else ""
                marks += text(x, y + 4, f"{left[i]:.2f}".lstrip("0"), "middle", look)
                break
    return marks


def is_free(x: float, y: float, taken: Sequence[tuple[float, float, float, float]]) -> bool:
    """Tell whether a label has room there."""
    inside = WIDE < x < SIDE - WIDE and HIGH < y < SIDE - HIGH
    return inside and not any(
        abs(x - at) < WIDE + wide and abs(y - on) < HIGH + high for at, on, wide, high in taken
    )
