"""Who tests which image, by the number of processes. Chapter 9."""

from collections.abc import Sequence
from math import ceil, floor
from typing import Any

from torch.utils.data import DistributedSampler

from cilkit.inference import dealt
from cilkit.teaching.alive import Alive, Panel, Shown, slider
from cilkit.teaching.svg import Plot, rect, text

BOX, LEFT, TOP = 22, 70, 24  # pixels: a box, and where the first one lies
MOST, LINE = 24, 12  # images, and those of a line
Shares = list[list[int]]


def padded(count: int, processes: int) -> Shares:
    """Return the images of each process as torch's sampler deals them: as many to each of them."""
    images: Any = range(count)
    ranks = range(processes)
    return [list(DistributedSampler(images, processes, rank, shuffle=False)) for rank in ranks]


def exact(count: int, processes: int, chunk: int = 3) -> Shares:
    """Return the images of each process as `cilkit.inference` deals them: in whole chunks, once."""
    shares = dealt(count, processes, chunk)
    return [[image for part in share for image in part.tolist()] for share in shares]


def shares_by_processes(right: Sequence[bool]) -> Alive:
    """Show both ways to share out a test; `right` says which images the network gets right.

    There is room for 24 images and 6 processes.
    """
    answers = list(right[:MOST])

    def draw(images: int, processes: int) -> Shown:
        some = answers[:images]
        ways = padded(images, processes), exact(images, processes)
        twice = sum(map(len, ways[0])) - images
        one, other = (accuracy_of(share, some) for share in ways)
        says = f"{images} images, {processes} processes: padded, {twice} counted twice, accuracy "
        says += f"{one:.1f} %; each once: {other:.1f} %"
        return Shown([rows(share, some) for share in ways], says)

    heads = ("padded: dashed is counted again", "each image once")
    return Alive(
        "shares",
        "Which process tests which image? A shaded box is a wrong answer",
        "Two blocks of rows, a row for each process, a numbered box for each image. In the left "
        "block some images come a second time, with a dashed edge; in the right one none does.",
        {"right": [int(hit) for hit in answers]},
        [
            slider("images", "images", 2, len(answers), min(21, len(answers))),
            slider("processes", "processes", 1, 6, 4),
        ],
        draw,
        [Panel(LEFT + BOX * LINE + 6, TOP + 30 * 6, text(4, 14, head)) for head in heads],
    )


def accuracy_of(shares: Shares, right: Sequence[bool]) -> float:
    """Return the share of right answers (percent) among all that the processes count."""
    counted = [right[image] for share in shares for image in share]
    return 100 * sum(counted) / len(counted)


def rows(shares: Shares, right: Sequence[bool]) -> str:
    """Draw a row for each process, two where it is long; what was counted before is dashed."""
    parts, line, again = [], 0, second_times(shares)
    for rank, share in enumerate(shares):
        parts.append(text(4, TOP + 30 * line + 17, f"process {rank}"))
        for place, image in enumerate(share):
            x, y = LEFT + BOX * (place % LINE), TOP + 30 * (line + place // LINE)
            parts.append(box(x, y, image, right[image], (rank, place) in again))
        line += max(1, -(-len(share) // LINE))
    return "".join(parts)


def second_times(shares: Shares) -> set[tuple[int, int]]:
    """Return process and place of each image that was dealt before, place by place."""
    seen, again = set(), set()
    order = sorted((place, rank) for rank, each in enumerate(shares) for place in range(len(each)))
    for place, rank in order:
        image = shares[rank][place]
        if image in seen:
            again.add((rank, place))
        seen.add(image)
    return again


def box(x: float, y: float, image: int, right: bool, again: bool) -> str:
    """Draw one image of a process."""
    edge = ' stroke-width="2" stroke-dasharray="4 3"' if again else ' stroke-width="1"'
    look = f' fill="currentColor" fill-opacity="{0 if right else 0.3}"{edge}'
    number = text(x + BOX / 2, y + 17, str(image), "middle")
    return rect(x + 1, y + 1, BOX - 2, BOX - 1, "edge", look) + number


LEVEL = text(326, 12, "dashed: each image once", "end")


def accuracy_by_padding(right: Sequence[bool]) -> Alive:
    """Show the accuracy with padding, for 1 to 16 processes and any number of images."""

    def draw(images: int) -> Shown:
        some, processes = right[:images], range(1, 17)
        values = [accuracy_of(padded(images, size), some) for size in processes]
        exactly = 100 * sum(some) / images
        low, high = min(*values, exactly), max(*values, exactly)
        plot = near(low, high)
        marks = plot.line([0.5, 16.5], [exactly, exactly], "dash") + plot.line(processes, values)
        marks += plot.dots(processes, values, "new", 5)
        for edge in plot.y:
            marks += text(plot.left - 6, plot.at(1, edge)[1] + 4, f"{edge:g}", "end")
        says = f"The first {images} images: each once {exactly:.2f} %; padded, from {low:.2f} to "
        return Shown([marks], says + f"{high:.2f} %")

    return Alive(
        "padding",
        "Does the accuracy depend on the number of processes?",
        "Accuracy over the number of processes: a dashed level where each image counts once, and "
        "points that jump around it where some count twice.",
        {"right": "".join(str(int(hit)) for hit in right)},
        [slider("images", "images", 5, len(right), min(45, len(right)))],
        draw,
        [Panel(340, 260, near(0, 1).axes([1, 4, 8, 12, 16], []) + LEVEL)],
    )


def near(low: float, high: float) -> Plot:
    """Return the panel, its axis from whole percent to whole percent."""
    ends = (max(0, floor(low) - 1), min(100, ceil(high) + 1))
    return Plot((0.5, 16.5), ends, "processes", "accuracy (%)", 340, 260)
