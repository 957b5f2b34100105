"""Ridge regression: the sums of three stages, added up in two orders, and what solves them."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.data.samples import Samples
from cilkit.teaching.methods.pixels import training_digits
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import rect, shades, text

ORDERS = ((0, 1, 2), (2, 0, 1))
N_CLASSES, PARTS = 6, (3, 2)  # digits, two in a stage; rows and columns of an image's parts
CELL = 11


def images(stage: int) -> Samples:
    """Return the training images of a stage's two digits."""
    train = training_digits()
    return train.take(train.labels // 2 == stage)


def features(samples: Samples) -> Tensor:
    """Return the mean brightness of six parts of each image, (N, 6)."""
    return F.adaptive_avg_pool2d(samples.images().double() / 255, PARTS).flatten(1)


def solutions(order: Sequence[int]) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return both sums after each stage, and the weights that solve them: each (6, 6)."""
    gram = sums = torch.zeros(N_CLASSES, N_CLASSES, dtype=torch.float64)
    found = []
    for stage in order:
        samples = images(stage)
        rows = features(samples)
        gram = gram + rows.T @ rows
        sums = sums + F.one_hot(samples.labels, N_CLASSES).to(rows).T @ rows
        cost = torch.eye(N_CLASSES)
        found.append((gram, sums, torch.linalg.solve(gram + cost, sums.T).T))
    return found


def picture() -> Still:
    """Show the sums growing in both orders, from left to right, and the weights at the end."""
    drawings = [Drawing(alt(order), marks(order), height=186) for order in ORDERS]
    return Still(
        "Does it matter which digits come first?",
        drawings,
        "On the way the sums differ. At the end they are the same, and so are the weights W that "
        "solve them: no entry differs by more than rounding. The six features of a digit are here "
        "the brightness of six parts of its image.",
    )


def names(order: Sequence[int]) -> list[str]:
    """Return the digits of each stage."""
    return [f"{2 * stage}, {2 * stage + 1}" for stage in order]


def alt(order: Sequence[int]) -> str:
    """Say what one sees of an order."""
    return (
        f"The digits {'; then '.join(names(order))}. Three squares of shades: A fills up from "
        "stage to stage. Three more: C has a row for each digit, two rows are filled in each "
        "stage, and at the end all six are. W, at the right, is the same in both pictures."
    )


def marks(order: Sequence[int]) -> str:
    """Draw the sums after each stage, and the last weights."""
    found, everything = solutions(order), solutions(ORDERS[0])[-1]
    drawn = text(4, 65, "A") + text(4, 151, "C") + text(256, 62, "W")
    for i, (name, values) in enumerate(zip(names(order), found, strict=True)):
        x = 22 + 76 * i
        drawn += text(x, 18, f"{'+ ' * (i > 0)}{name}")
        for y, sums, full in zip((28, 114), values[:2], everything[:2], strict=True):
            drawn += rect(x - 1, y - 1, 67, 67, "grid", ' fill="none"')
            drawn += shades(sums / full.max(), x, y, CELL)
    low, high = everything[2].aminmax()
    return drawn + shades((found[-1][2] - low) / (high - low), 256, 71, CELL)
