"""Texts beside the marks of a figure, none over another one, nor over a mark."""

from collections.abc import Sequence
from math import hypot
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.text import Text

from cilkit.show.layout import INK

# Right, left, above, below, and aslant.
AROUND: tuple[tuple[float, float], ...] = ((1, 0), (-1, 0), (0, 1), (0, -1))
AROUND += tuple((across, up * side) for side in (0.5, 1) for across in (1, -1) for up in (1, -1))
CLOSE = 4.0  # pixels between a mark and its text


class Box(NamedTuple):
    """A rectangle in pixels."""

    left: float
    low: float
    right: float
    high: float

    @property
    def middle(self) -> tuple[float, float]:
        """Return its middle."""
        return (self.left + self.right) / 2, (self.low + self.high) / 2

    def nearest(self, point: tuple[float, float]) -> tuple[float, float]:
        """Return the point of it that is nearest to another."""
        x, y = point
        return min(max(x, self.left), self.right), min(max(y, self.low), self.high)

    def distance(self, point: tuple[float, float]) -> float:
        """Return how far a point is from it; 0 within."""
        x, y = self.nearest(point)
        return hypot(x - point[0], y - point[1])

    def meets(self, other: "Box") -> bool:
        """Tell whether two have a point in common."""
        across = self.left < other.right and other.left < self.right
        return across and self.low < other.high and other.low < self.high

    def holds(self, other: "Box") -> bool:
        """Tell whether another lies within."""
        across = self.left <= other.left and other.right <= self.right
        return across and self.low <= other.low and other.high <= self.high


def name_marks(ax: Axes, marks: Sequence[tuple[float, float, float, str]]) -> None:
    """Write beside each (x, lower end, upper end, text) its text, joined where it is not close."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()  # only now is known where the panel lies
    inverse = ax.transAxes.inverted()
    boxes = [
        Box(*ax.transData.transform((x, low)) - 5, *ax.transData.transform((x, high)) + 5)
        for x, low, high, _ in marks
    ]
    labels = [ax.text(0, 0, text, color=INK, parse_math=False) for *_, text in marks]
    extents = [Text.get_window_extent(label) for label in labels]
    sizes = [(extent.width, extent.height) for extent in extents]
    places = places_beside(boxes, sizes, Box(*ax.bbox.extents))
    for label, box, place in zip(labels, boxes, places, strict=True):
        label.set(position=inverse.transform(place[:2]), transform=ax.transAxes)
        label.set(verticalalignment="bottom", in_layout=False)
        if not close(box, place):
            ends = inverse.transform([box.middle, place.nearest(box.middle)])
            ax.plot(*ends.T, ":", color=INK, linewidth=0.8, transform=ax.transAxes, zorder=1)


def places_beside(
    marks: Sequence[Box], sizes: Sequence[tuple[float, float]], room: Box
) -> list[Box]:
    """Return where texts of these sizes hide no mark and no other text, each near its mark."""
    taken = list(marks)
    for mark, (width, height) in zip(marks, sizes, strict=True):
        options = [
            around(mark, width, height, (across, up), CLOSE + 1.2 * steps * height)
            for steps in range(12)
            for across, up in AROUND
        ]
        free = (one for one in options if room.holds(one) and not any(map(one.meets, taken)))
        clear = (one for one in free if belongs(one, mark, marks))
        taken.append(next(clear, options[0]))
    return taken[len(marks) :]


def around(mark: Box, width: float, height: float, way: tuple[float, float], far: float) -> Box:
    """Return the box of this size that lies so far from a mark, in one of the ways."""
    x, y = mark.middle
    x += way[0] * ((mark.right - mark.left + width) / 2 + far)
    y += way[1] * ((mark.high - mark.low + height) / 2 + far)
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def close(mark: Box, text: Box) -> bool:
    """Tell whether a text lies so near to its mark that no line need join them."""
    return text.distance(mark.middle) < 14


def belongs(text: Box, mark: Box, marks: Sequence[Box]) -> bool:
    """Tell whether a text is joined to its mark by a line, or nearer to it than to any other."""
    nearest = min(text.distance(each.middle) for each in marks)
    return not close(mark, text) or text.distance(mark.middle) == nearest
