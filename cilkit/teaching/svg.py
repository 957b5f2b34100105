"""Plots as SVG, in a few marks: each method returns the text of what it draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import ArrayLike

from cilkit.show.layout import apart


@dataclass(frozen=True)
class Plot:
    """A plane with two axes. Classes of marks, `old` and `new`, give the book's two colours."""

    x: tuple[float, float]
    y: tuple[float, float]
    xlabel: str = ""
    ylabel: str = ""
    width: int = 640
    height: int = 320
    left: int = 52
    bottom: int = 44
    top: int = 28
    right: int = 14

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return where a point lies in the picture."""
        across = (x - self.x[0]) / (self.x[1] - self.x[0])
        up = (y - self.y[0]) / (self.y[1] - self.y[0])
        px = self.left + across * (self.width - self.left - self.right)
        py = self.height - self.bottom - up * (self.height - self.bottom - self.top)
        return round(px, 1), round(py, 1)

    def axes(
        self,
        xticks: Sequence[float] | Mapping[float, str] | None = None,
        yticks: Sequence[float] | Mapping[float, str] | None = None,
    ) -> str:
        """Draw grid, ticks and labels: what stays. A dictionary of ticks gives them names."""
        names, levels = named(xticks, self.x), named(yticks, self.y)
        (x0, y0), (x1, _) = self.at(self.x[0], self.y[0]), self.at(self.x[1], self.y[0])
        parts = [f'<line class="axis" x1="{x0}" y1="{y0}" x2="{x1}" y2="{y0}"/>']
        for tick, level in levels.items():
            _, y = self.at(self.x[0], tick)
            parts.append(f'<line class="grid" x1="{x0}" y1="{y}" x2="{x1}" y2="{y}"/>')
            parts.append(text(x0 - 6, y + 4, level, "end"))
        parts += [text(self.at(t, 0)[0], y0 + 16, name, "middle") for t, name in names.items()]
        parts.append(text((x0 + x1) / 2, y0 + 38, self.xlabel, "middle"))
        parts.append(text(4, self.top - 16, self.ylabel, "start"))
        return "".join(parts)

    def bars(self, values: ArrayLike, classes: Sequence[str], width: float = 0.8) -> str:
        """Draw bars at 0, 1, 2, ..., each of a class; one path for each class, for it is short."""
        paths = dict.fromkeys(classes, "")
        for i, (value, name) in enumerate(zip(np.asarray(values).tolist(), classes, strict=True)):
            x, foot = self.at(i - width / 2, max(0, self.y[0]))
            end, head = self.at(i + width / 2, value)
            paths[name] += f"M{x:g} {foot:g}V{head:g}H{end:g}V{foot:g}z"
        return "".join(f'<path class="{name}" d="{path}"/>' for name, path in paths.items())

    def line(self, xs: ArrayLike, ys: ArrayLike, name: str = "") -> str:
        """Draw a line through points."""
        points = " ".join(
            "{},{}".format(*self.at(x, y))
            for x, y in zip(np.asarray(xs).tolist(), np.asarray(ys).tolist(), strict=True)
        )
        return f'<polyline class="line {name}" points="{points}"/>'

    def dots(self, xs: ArrayLike, ys: ArrayLike, name: str = "", radius: float = 4) -> str:
        """Draw points."""
        return "".join(
            '<circle class="{}" cx="{}" cy="{}" r="{}"/>'.format(name, *self.at(x, y), radius)
            for x, y in zip(np.asarray(xs).tolist(), np.asarray(ys).tolist(), strict=True)
        )

    def level(self, y: float, label: str, name: str = "") -> str:
        """Draw a line across at `y`, and say what it is."""
        (x0, py), (x1, _) = self.at(self.x[0], y), self.at(self.x[1], y)
        across = f'<line class="line {name}" stroke-dasharray="6 5" '
        return f'{across}x1="{x0}" y1="{py}" x2="{x1}" y2="{py}"/>' + text(x1, py - 5, label, "end")

    def names(self, x: float, ends: Mapping[str, float]) -> str:
        """Write the names of lines right of `x`, where they end, each near its height there."""
        low, high = self.y
        gap = 19 / (self.height - self.bottom - self.top)  # a line of letters on a phone
        heights = apart([(end - low) / (high - low) for end in ends.values()], gap)
        places = [self.at(x, low + height * (high - low)) for height in heights]
        return "".join(
            text(px + 8, py + 4, name) for name, (px, py) in zip(ends, places, strict=True)
        )

    def words(self, x: float, y: float, words: str, anchor: str = "start") -> str:
        """Write at a point of the plane."""
        return text(*self.at(x, y), words, anchor)


def named(
    chosen: Sequence[float] | Mapping[float, str] | None, ends: tuple[float, float]
) -> Mapping[float, str]:
    """Return ticks with their names: those that were chosen, or round numbers."""
    if isinstance(chosen, Mapping):
        return chosen
    return {tick: f"{tick:g}" for tick in (ticks(*ends) if chosen is None else chosen)}


def text(x: float, y: float, words: str, anchor: str = "start", more: str = "") -> str:
    """Write at a point of the picture."""
    return f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}"{more}>{escape(words)}</text>'


def rect(x: float, y: float, width: float, height: float, name: str = "", more: str = "") -> str:
    """Draw a rectangle, in pixels of the picture."""
    size = f'width="{width:.4g}" height="{height:.4g}"'
    return f'<rect class="{name}" x="{x:g}" y="{y:g}" {size}{more}/>'


def arrow(points: Sequence[tuple[float, float]], name: str = "", more: str = "") -> str:
    """Draw a line through points of the picture, with a head at its end."""
    (x0, y0), (x, y) = points[-2:]
    far = abs(complex(x - x0, y - y0))
    along = complex(x - x0, y - y0) / far * 8  # of the head
    wings = [complex(x, y) - along + side * 0.6j * along for side in (1, -1)]
    path = "M" + "L".join(f"{px:g},{py:g}" for px, py in points)
    path += "".join(f"M{x:g},{y:g}L{wing.real:.1f},{wing.imag:.1f}" for wing in wings)
    return f'<path class="{" ".join(filter(None, ("line", name)))}" d="{path}"{more}/>'


def ticks(low: float, high: float) -> list[float]:
    """Return four to ten round numbers between two."""
    step = 10 ** np.floor(np.log10((high - low) / 2))
    step = next(s for s in (step / 2, step, 2 * step, 5 * step) if (high - low) / s <= 8)
    return [float(t) for t in np.arange(np.ceil(low / step), high / step + 1e-9) * step]


def heat(
    percent: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    left: int = 140,
    top: int = 40,
    cell: tuple[int, int] = (84, 40),
    digits: int = 1,
) -> str:
    """Draw a table of percentages, darker where higher; NaN stays empty."""
    width, height = cell
    parts = [text(left + width * (j + 0.5), top - 8, c, "middle") for j, c in enumerate(columns)]
    for i, (name, row) in enumerate(zip(rows, np.asarray(percent).tolist(), strict=True)):
        y = top + height * i
        parts.append(text(left - 8, y + height / 2 + 4, name, "end"))
        for j, value in enumerate(row):
            if value == value:  # a NaN is not
                shade = f' fill="#0072b2" fill-opacity="{0.05 + 0.0095 * value:.2f}"'
                ink = ' fill="#fff"' if value > 55 else ""
                x = left + width * j
                parts.append(rect(x + 1, y + 1, width - 2, height - 2, "", shade))
                number = f"{value:.{digits}f}"
                parts.append(text(x + width / 2, y + height / 2 + 4, number, "middle", ink))
    return "".join(parts)


def shades(values: ArrayLike, x: float, y: float, cell: float, name: str = "") -> str:
    """Draw a table of squares in pixels of the picture, from empty at 0 to full at 1."""
    return "".join(
        rect(x + cell * j, y + cell * i, cell - 1, cell - 1, name, f' fill-opacity="{value:.2g}"')
        for i, row in enumerate(np.asarray(values).tolist())
        for j, value in enumerate(row)
    )
