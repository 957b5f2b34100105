"""How many CPU cores it takes to feed a GPU: arithmetic. Chapter 8."""

from collections.abc import Mapping

from cilkit.teaching.alive import Alive, Panel, Shown, slider
from cilkit.teaching.svg import rect, text

LEFT, WIDE, CORES = 100, 200, 16  # pixels; cores that fill the width


def cores_to_feed(cost: Mapping[str, float]) -> Alive:
    """Show how many cores each way to prepare images needs, for a GPU that learns so many a second.

    `cost` holds microseconds of one core for an image, by the name of the way.
    """
    ways = {name: round(time, 1) for name, time in cost.items()}

    def draw(thousands: int, cores: int) -> Shown:
        marks, says = line_at(cores, len(ways)), []
        for i, (name, time) in enumerate(ways.items()):
            needed = thousands * time / 1000
            marks += bar(i, name, needed, needed <= cores)
            says.append(f"{name} {needed:.1f} cores, {'enough' if needed <= cores else 'too slow'}")
        return Shown([marks], f"{thousands},000 images a second, {cores} cores: {'; '.join(says)}")

    return Alive(
        "feeding",
        "How many CPU cores does it take to keep a GPU busy?",
        "A bar for each way to prepare images: the cores it needs. A line marks the cores that you "
        "have; a bar beyond it is too slow. Bars that end at the right edge are longer than shown.",
        {"ways": ways},
        [
            slider("thousands", "thousand a second", 1, 60, 40),
            slider("cores", "cores", 1, CORES, 8),
        ],
        draw,
        [Panel(340, 30 + 40 * len(ways))],
    )


def line_at(cores: int, ways: int) -> str:
    """Draw the line of the cores that there are."""
    x = LEFT + WIDE * cores / CORES
    path = f'<path class="axis" stroke-dasharray="5 4" d="M{x:g} 20V{30 + 40 * ways}"/>'
    return path + text(x, 14, f"{cores} cores", "middle")


def bar(i: int, name: str, needed: float, enough: bool) -> str:
    """Draw what one way needs; too much is dashed."""
    y, end = 30 + 40 * i, min(WIDE + 20, WIDE * needed / CORES)
    edge = "" if enough else ' stroke-dasharray="5 3"'
    more = f' fill="currentColor" fill-opacity="{0.5 if enough else 0.15}"{edge}'
    word = text(LEFT + end + 4, y + 16, f"{needed:.1f}")
    label = text(LEFT - 8, y + 16, name, "end")
    return label + rect(LEFT, y, end, 24, "edge", more) + word
