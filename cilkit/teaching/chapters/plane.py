"""Two prototypes and the features of an image in the plane: what a length does. Chapter 5."""

from math import atan2, cos, degrees, hypot, radians, sin

from cilkit.teaching.alive import Alive, Panel, Shown, slider
from cilkit.teaching.svg import Plot, rect, text

Vector = tuple[float, float]
SIZE, REACH = 340, 1.6  # of the left panel: pixels, and how far the axes go
UNIT = SIZE / (2 * REACH)
PLOT = Plot((-0.7, 1.7), (-2, 2), "", "the two sums", 240, SIZE)


def prototypes_in_the_plane() -> Alive:
    """Show which of two prototypes wins where, for lengths and angles that the reader sets."""
    names = {"old": "old", "new": "new", "image": "features"}
    starts = {"old": (1.0, 60.0), "new": (1.3, 20.0), "image": (1.0, 45.0)}
    controls = []
    for key, name in names.items():
        (length, angle), right = starts[key], 90 if key == "image" else 180
        least = 0.1 if key == "image" else 0
        controls += [
            slider(f"{key}_length", f"{name}, length", least, 1.5, length, step=0.01, digits=2),
            slider(f"{key}_angle", "angle", 90 - right, right, angle),
        ]
    return Alive(
        "plane",
        "Which prototype wins? Drag the three arrows by their ends",
        "Left, a plane with three arrows: an old prototype in blue, a new one in orange, and the "
        "features of an image, which are never negative. A line is the border: on its blue side "
        "old wins, on its orange side new. Right, two bars: each prototype's sum.",
        {},
        controls,
        draw,
        [Panel(SIZE, SIZE), Panel(240, SIZE, PLOT.axes({0: "old", 1: "new"}, [-2, -1, 0, 1, 2]))],
    )


def vector(length: float, angle: float) -> Vector:
    """Return a vector of the plane; the angle is in degrees."""
    return length * cos(radians(angle)), length * sin(radians(angle))


def sums(old: Vector, new: Vector, image: Vector) -> Vector:
    """Return what both prototypes make of the image."""
    return old[0] * image[0] + old[1] * image[1], new[0] * image[0] + new[1] * image[1]


def draw(**state: float) -> Shown:
    """Draw the plane, the sums, and say who wins: `state` has a length and an angle of each."""
    names = ("old", "new", "image")
    old, new, image = (vector(state[f"{name}_length"], state[f"{name}_angle"]) for name in names)
    found = sums(old, new, image)
    marks = sides(old, new) + axes()
    marks += arrow("old", old) + arrow("new", new) + arrow("image", image)
    bars = PLOT.bars(found, ["old", "new"])
    x, y = PLOT.at(-0.7, 0)
    bars += f'<line class="axis" x1="{x:g}" y1="{y:g}" x2="{PLOT.at(1.7, 0)[0]:g}" y2="{y:g}"/>'
    return Shown([marks, bars], f"Sums: old {found[0]:.2f}, new {found[1]:.2f}. {verdict(*found)}")


def verdict(old: float, new: float) -> str:
    """Say who wins, and what a longer new prototype would do."""
    wins = "Neither wins" if abs(old - new) < 0.005 else "New wins" if new > old else "Old wins"
    if new < -0.005:
        return f"{wins}. The new sum is negative: a longer new prototype loses by more"
    if new > 0.005:
        return f"{wins}. The new sum is positive: a longer new prototype has a larger one"
    return f"{wins}. The new sum is zero: no length changes it"


def place(end: Vector) -> Vector:
    """Return where a point lies in the left panel."""
    return round(SIZE / 2 + UNIT * end[0], 1), round(SIZE / 2 - UNIT * end[1], 1)


def axes() -> str:
    """Draw both axes, and frame the corner where features can lie."""
    half = SIZE / 2
    lines = f"M0 {half:g}H{SIZE}M{half:g} 0V{SIZE}"
    return (
        f'<path class="grid" d="{lines}"/>'
        + rect(half, 1, half - 1, half - 1, "line faint", ' stroke-dasharray="4 4"')
        + text(SIZE - 6, 14, "features lie here", "end")
    )


def sides(old: Vector, new: Vector) -> str:
    """Shade the side of the border on which each prototype wins; equal ones have no border."""
    x, y = new[0] - old[0], new[1] - old[1]
    if hypot(x, y) < 0.005:
        return ""
    turn = -degrees(atan2(y, x))
    half, far = SIZE / 2, 2 * SIZE
    return (
        f'<g transform="rotate({turn:.1f} {half:g} {half:g})">'
        + rect(half, half - far, far, 2 * far, "new side")
        + rect(half - far, half - far, far, 2 * far, "old side")
        + f'<path class="line" stroke-dasharray="7 5" d="M{half:g} {half - far:g}V{half + far:g}"/>'
        + "</g>"
    )


def arrow(name: str, end: Vector) -> str:
    """Draw an arrow from the middle, with a handle at its end that is wide enough for a finger."""
    (x, y), half = place(end), SIZE / 2
    look = "" if name == "image" else name
    word = text(x + 10, y - 8, "features" if name == "image" else name)
    return (
        f'<path class="line {look} arrow" d="M{half:g} {half:g}L{x:g} {y:g}"/>'
        f'<circle class="{look}" cx="{x:g}" cy="{y:g}" r="7"/>{word}'
        f'<circle class="handle" data-handle="{name}" cx="{x:g}" cy="{y:g}" r="16"/>'
    )
