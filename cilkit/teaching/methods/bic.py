"""BiC: logits of digits that were held out, before and after two numbers correct them."""

from functools import cache

import torch
from torch import Tensor

from cilkit.memory import positions_by_class
from cilkit.methods.bic import BiC, correction
from cilkit.teaching.methods.pixels import training_digits
from cilkit.teaching.methods.plane import learned_head
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import Plot, text

N_OLD = 8  # 0 to 7 are old, 8 and 9 are new
EXEMPLARS, HELD = 5, 10  # images of an old class to learn from, and of each class held out
PLOT = Plot((-0.5, 6.5), (-5, 9.5), "highest old logit", "highest new logit", 340, 300, top=48)


def dealt() -> tuple[Tensor, Tensor]:
    """Return which digits are held out, and which the head learns."""
    places = positions_by_class(training_digits().labels)
    held = [where[:HELD] for where in places.values()]
    rest = [where[HELD:] for where in places.values()]
    few = [where[:EXEMPLARS] for where in rest[:N_OLD]]
    return torch.cat(held), torch.cat(few + rest[N_OLD:])


@cache
def logits() -> tuple[Tensor, Tensor]:
    """Return what a head on pixels says of images that are held out, (N, 10), and their labels."""
    digits, (held, learned) = training_digits(), dealt()
    pixels, labels = digits.images().flatten(1).double() / 255, digits.labels
    head = learned_head(pixels[learned], labels[learned])
    return pixels[held] @ head.T, labels[held]


def corrected() -> tuple[Tensor, Tensor]:
    """Return the two numbers, and the logits with them."""
    values, labels = logits()
    values = values.clone()
    both = correction(values, labels, N_OLD, BiC.Settings.correction_decay)
    values[:, N_OLD:] = both[0] * values[:, N_OLD:] + both[1]
    return both, values


def said_new(values: Tensor) -> tuple[int, int]:
    """Count the old images and the new ones whose highest logit is a new class's."""
    says, old = values.argmax(1) >= N_OLD, logits()[1] < N_OLD
    return int((says & old).sum()), int((says & ~old).sum())


def picture() -> Still:
    """Show the logits before and after."""
    before, (both, after) = logits()[0], corrected()
    (wrong, _), (still, right) = said_new(before), said_new(after)
    alpha, beta = both.tolist()
    numbers = f"α = {alpha:.2f}, β = {beta:.2f}".replace("-", "−")
    alts = (
        "Points, old images, and rings, new ones, over their highest old logit. A line says where "
        "the highest new logit is as high. The rings and many points are above it.",
        "The same with corrected new logits: all have moved down, few points are above the line.",
    )
    return Still(
        "How often does an old image look new?",
        [
            Drawing(alts[0], marks("as trained", before), height=300),
            Drawing(alts[1], marks(f"corrected: {numbers}", after), height=300),
        ],
        f"Above the line the answer is a new class. There lie {wrong} of {N_OLD * HELD} old digits "
        f"that were held out, and {still} after the correction, which keeps {right} of "
        f"{(10 - N_OLD) * HELD} new ones there. The head looks at pixels; it has learned "
        f"{EXEMPLARS} images of each digit from 0 to 7, and all that are left of 8 and 9.",
    )


def marks(title: str, values: Tensor) -> str:
    """Draw each image by its highest old logit and its highest new one."""
    x, y = values[:, :N_OLD].amax(1).numpy(), values[:, N_OLD:].amax(1).numpy()
    old = (logits()[1] < N_OLD).numpy()
    drawn = text(4, 12, title) + PLOT.axes(range(7)) + PLOT.line(PLOT.x, PLOT.x)
    drawn += PLOT.words(6.4, 8.4, "says new", "end") + PLOT.words(6.4, -4.6, "says old", "end")
    return drawn + PLOT.dots(x[old], y[old], "old", 3) + PLOT.dots(x[~old], y[~old], "line new", 4)
