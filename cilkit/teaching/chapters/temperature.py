"""What a teacher and a student say at every temperature, and how hard the one pulls. Chapter 4."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from cilkit.functional import distillation_loss
from cilkit.teaching.alive import Alive, Panel, Shown, packed, pictures, slider, unpacked
from cilkit.teaching.svg import Plot, text

TEMPERATURE = slider("T", "T", 0.25, 16, 2, step=0.05, digits=2, power=True)
POWERS = np.arange(-16, 33) / 8  # their logarithms to base 2, for curves
TICKS = {-2.0: "1/4", 0.0: "1", 2.0: "4", 4.0: "16"}
DESCRIBE = (
    "Left, a bar for each class that the teacher knows: what the teacher says of the image is "
    "filled, what the student says is outlined. Right, two curves over T with a point at this T: "
    "the teacher's entropy, and the length of the gradient, with and without T squared."
)
TENS: dict[float, str] = {float(power): f"{10.0**power:g}" for power in range(-4, 2)}


def teacher_by_temperature(
    images: Tensor, taught: Tensor, mine: Tensor, captions: Sequence[str], names: Sequence[str]
) -> Alive:
    """Show softmax(logits / T) of teacher and student, for any T and one of several images.

    Images (N, C, H, W) uint8; what teacher and student make of them, logits (N, n_old) each.
    """
    data = {"taught": packed(taught), "mine": packed(mine)}
    theirs, own = (torch.from_numpy(unpacked(part).reshape(mine.shape)) for part in data.values())
    opinions = Opinions(theirs, own, captions, names)
    ticks = range(int(log(len(names))) + 1)
    return Alive(
        "temperature",
        "What do teacher and student say, at temperature T?",
        DESCRIBE,
        data | {"captions": list(captions), "names": list(names)},
        [pictures("image", "image", images, captions), TEMPERATURE],
        opinions.draw,
        [
            Panel(
                340,
                320,
                opinions.bars.axes({float(i): name for i, name in enumerate(names)}, [0, 50, 100]),
            ),
            Panel(340, 320, opinions.entropies.axes({}, ticks) + LENGTHS.axes(TICKS, TENS)),
        ],
    )


LENGTHS = Plot((-2, 4), (-4, 1), "T", "length of the gradient", 340, 320, top=176)
ALONE = Plot((-2, 4), (-4, 1), "T", "length of the gradient", 340, 260)


@dataclass(frozen=True)
class Opinions:
    """What teacher and student make of some images."""

    taught: Tensor  # (N, n_old)
    mine: Tensor
    captions: Sequence[str]
    names: Sequence[str]

    @property
    def bars(self) -> Plot:
        """Return the left panel."""
        ends = (-0.6, len(self.names) - 0.4)
        return Plot(ends, (0, 100), "class", "percent", 340, 320)

    @property
    def entropies(self) -> Plot:
        """Return the upper half of the right panel."""
        highest = 1.05 * log(len(self.names))
        return Plot((-2, 4), (0, highest), "", "entropy (nats)", 340, 320, bottom=190)

    def draw(self, image: int, T: float) -> Shown:
        """Draw both predictions of an image, and where entropy and gradient stand."""
        taught, mine = self.taught[image], self.mine[image]
        p, q = ((100 * (logits / T).softmax(0)).tolist() for logits in (taught, mine))
        n = len(self.names)
        marks = self.bars.bars(p, ["old"] * n) + self.bars.bars(q, ["line thin"] * n, 0.5)
        marks += text(334, 24, "filled: teacher, outlined: student", "end")
        power, curve = np.log2(T), [entropy(taught, 2.0**power) for power in POWERS]
        now = entropy(taught, T)
        right = self.entropies.line(POWERS, curve) + self.entropies.dots([power], [now], "", 6)
        lengths, pulled = pull_curves(LENGTHS, mine[None], taught[None], T)
        says = f"T = {T:.2f}, {self.captions[image]}. Teacher: {self.listed(p)}; student: "
        says += f"{self.listed(q)}. Entropy {now:.2f} of {log(n):.2f}. "
        return Shown([marks, right + lengths], says + pulled)

    def listed(self, percent: Sequence[float]) -> str:
        """Name the two likeliest classes."""
        first, second = np.argsort(-np.array(percent), kind="stable")[:2]
        words = (f"{self.names[i]} {percent[i]:.1f} %" for i in (first, second))
        return ", ".join(words)


def entropy(logits: Tensor, temperature: float) -> float:
    """Return the entropy (nats) of a prediction at a temperature."""
    logs = (logits / temperature).log_softmax(0)
    return float(-(logs.exp() * logs).sum())


def pull(mine: Tensor, taught: Tensor, temperature: float) -> float:
    """Return how long the gradient of distillation is by the logits of one image, on average."""
    student = mine.clone().requires_grad_()
    loss = len(mine) * distillation_loss(student, taught, temperature)
    (gradient,) = torch.autograd.grad(loss, student)
    return float(gradient.norm(dim=1).mean())


def pull_curves(plot: Plot, mine: Tensor, taught: Tensor, temperature: float) -> tuple[str, str]:
    """Draw the gradient's length over T on two logarithmic axes, with T² and without; say it here.

    Logits (N, n_old) of student and teacher.
    """
    lengths = np.array([pull(mine, taught, 2.0**power) for power in POWERS])
    now, marks = pull(mine, taught, temperature), ""
    for name, square in (("", 0), ("old", 1)):
        marks += plot.line(POWERS, tens(lengths * 4.0 ** (POWERS * square)), name)
        here = tens(now * temperature ** (2 * square))
        marks += plot.dots([np.log2(temperature)], [here], name, 6)
    marks += text(334, plot.top + 10, "blue: times T²", "end")
    return marks, f"Length of the gradient {now:.4f}, times T² {temperature**2 * now:.4f}"


def tens(lengths: ArrayLike) -> np.ndarray:
    """Return the logarithm to base 10, at least that of the axis' foot."""
    return np.maximum(np.log10(np.maximum(lengths, 1e-300)), LENGTHS.y[0])


def pulls_by_temperature(mine: Tensor, taught: Tensor) -> Alive:
    """Show how strongly a batch pulls on the student at any T, with T² and without it.

    Logits (N, n_old) of student and teacher.
    """
    data = {"mine": packed(mine), "taught": packed(taught)}
    own, theirs = (torch.from_numpy(unpacked(part).reshape(mine.shape)) for part in data.values())

    def draw(T: float) -> Shown:
        marks, says = pull_curves(ALONE, own, theirs, T)
        return Shown([marks], f"T = {T:.2f}. {says}")

    return Alive(
        "pulls",
        "How long is the gradient of one batch, at temperature T?",
        "Two curves over T, both axes logarithmic, with a point on each at this T: without T "
        "squared the length falls ever more steeply, with it the curve levels off.",
        data | {"n_old": mine.shape[1]},
        [TEMPERATURE],
        draw,
        [Panel(340, 260, ALONE.axes(TICKS, TENS))],
    )
