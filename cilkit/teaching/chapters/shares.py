"""Who tests which image, by the number of processes. Chapter 9."""

from collections.abc import Sequence
from typing import Any

from torch.utils.data import DistributedSampler

from cilkit.inference import dealt
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import rect, text

BOX, LEFT, TOP, BLOCK = 26, 100, 46, 196  # pixels: a box, the first one, and a block of rows
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


def shares_by_processes(right: Sequence[bool], most: int = 6) -> Moving:
    """Show both ways to share out a test; `right` says which images the network gets right."""
    frames = []
    for processes in range(1, most + 1):
        ways = padded(len(right), processes), exact(len(right), processes)
        marks = "".join(rows(share, right, TOP + BLOCK * i) for i, share in enumerate(ways))
        counted = (f"{accuracy_of(share, right):.1f} %" for share in ways)
        twice = sum(map(len, ways[0])) - len(right)
        says = f"padded, {twice} counted twice: accuracy {'; each once: '.join(counted)}"
        frames.append(Frame(f"{processes} process{'es' * (processes > 1)}", says, marks))
    return Moving(
        "Which process tests which image? A shaded box is a wrong answer",
        "Two blocks of rows, a row for each process, a numbered box for each image. In the upper "
        "block some images come a second time, with a dashed edge; in the lower one none does.",
        "processes",
        frames,
        "".join(
            text(4, TOP + BLOCK * i - 12, words)
            for i, words in enumerate(("padded: dashed is counted again", "each image once"))
        ),
        width=LEFT + BOX * len(right) + 4,
        height=TOP + 2 * BLOCK - 24,
        start=3,
    )


def accuracy_of(shares: Shares, right: Sequence[bool]) -> float:
    """Return the share of right answers (percent) among all that the processes count."""
    counted = [right[image] for share in shares for image in share]
    return 100 * sum(counted) / len(counted)


def rows(shares: Shares, right: Sequence[bool], top: float) -> str:
    """Draw a row for each process; what was drawn before gets a dashed edge."""
    parts, seen = [], set()
    order = sorted(
        (place, rank) for rank, share in enumerate(shares) for place in range(len(share))
    )
    for rank in range(len(shares)):
        parts.append(text(4, top + BOX * rank + 17, f"process {rank}"))
    for place, rank in order:  # as they are dealt: the second time is the later one
        image, y = shares[rank][place], top + BOX * rank
        parts.append(box(LEFT + BOX * place, y, image, right[image], image in seen))
        seen.add(image)
    return "".join(parts)


def box(x: float, y: float, image: int, right: bool, again: bool) -> str:
    """Draw one image of a process."""
    shade = 0 if right else 0.3
    edge = 'stroke-width="3" stroke-dasharray="5 3"' if again else 'stroke-width="1"'
    look = f' fill="currentColor" fill-opacity="{shade}" stroke="currentColor" {edge}'
    number = text(x + BOX / 2, y + 17, str(image), "middle")
    return rect(x + 2, y + 1, BOX - 4, BOX - 3, "", look) + number
