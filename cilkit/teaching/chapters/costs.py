"""What methods reach over what they take: a mark for each, in the page's own colours."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from statistics import mean, stdev

from cilkit.show.beside import Box, close, places_beside
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import Plot, text

WIDTH, HEIGHT = 340, 380  # of a panel
LETTER, LINE = 6.2, 13.0  # pixels that a letter is wide, and a line high
TITLE = "What do methods reach, and what does it cost?"
DESCRIBE = (
    "A mark for each method, as high as its accuracy after the last stage, with its standard "
    "deviation. To the right lies more: {}, on a scale of powers of ten."
)
SAYS = "The table above has the numbers. Both scales are powers of ten."


def accuracy_over_costs(
    last: Mapping[str, Sequence[float]], costs: Mapping[str, Mapping[str, float]]
) -> Still:
    """Show each method's last accuracy (percent, seed by seed) over each of its costs.

    `costs` holds, by the words for an axis, what each method takes.
    """
    best_first = dict(sorted(last.items(), key=lambda found: -mean(found[1])))
    drawn = {words: panel(best_first, cost, words) for words, cost in costs.items()}
    return Still(
        TITLE,
        [Drawing(DESCRIBE.format(words), one, WIDTH, HEIGHT) for words, one in drawn.items()],
        SAYS,
    )


def panel(last: Mapping[str, Sequence[float]], cost: Mapping[str, float], words: str) -> str:
    """Draw one panel: dots, and how far seeds spread; x is the logarithm."""
    places = {name: log10(cost[name]) for name in last}
    low, high = min(places.values()), max(places.values())
    room = 0.06 * (high - low)
    size = {"width": WIDTH, "height": HEIGHT, "left": 34}
    plot = Plot((low - room, high + room), (0, 102), words, "accuracy, last stage (%)", **size)
    xticks = {tick: name for tick, name in powers(low, high).items() if low <= tick <= high}
    drawn, boxes = plot.axes(xticks, [0, 20, 40, 60, 80, 100]), []
    for name, values in last.items():
        x, y, deviation = places[name], mean(values), stdev(values) if len(values) > 1 else 0.0
        (px, top), (_, foot) = plot.at(x, y + deviation), plot.at(x, y - deviation)
        whisker = f"M{px} {top}V{foot}M{px - 3:g} {top}h6M{px - 3:g} {foot}h6"
        drawn += f'<path class="axis" d="{whisker}"/>' + plot.dots([x], [y], radius=3.5)
        boxes.append(Box(px - 4, top - 4, px + 4, foot + 4))
    return drawn + names(plot, boxes, [*last])


def powers(low: float, high: float) -> dict[float, str]:
    """Return ticks at 1, 2 and 5 times each power of ten; only at 1, where that would be many."""
    steps = (1, 2, 5) if high - low < 2.5 else (1,)
    ticks = [step * 10.0**power for power in range(floor(low), ceil(high) + 1) for step in steps]
    return {log10(tick): f"{tick:g}" for tick in ticks}


def names(plot: Plot, boxes: Sequence[Box], words: Sequence[str]) -> str:
    """Write each name where it hides nothing, joined to its mark where it is not close."""
    (left, low), (right, high) = plot.at(plot.x[0], plot.y[0]), plot.at(plot.x[1], plot.y[1])
    sizes = [(LETTER * len(name), LINE) for name in words]
    places = places_beside(boxes, sizes, Box(left, high - LINE, right, low))
    drawn = ""
    for name, box, place in zip(words, boxes, places, strict=True):
        if not close(box, place):
            (x0, y0), (x1, y1) = box.middle, place.nearest(box.middle)
            drawn += f'<line class="axis" stroke-dasharray="2 3" x1="{x0:.1f}" y1="{y0:.1f}" '
            drawn += f'x2="{x1:.1f}" y2="{y1:.1f}"/>'
        drawn += text(round(place.middle[0], 1), round(place.high - 3.5, 1), name, "middle")
    return drawn
