"""What scaling the new prototypes does, at every γ. Chapter 5."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from cilkit.metrics import class_accuracies
from cilkit.teaching.alive import Alive, Panel, Shown, packed, slider, unpacked
from cilkit.teaching.svg import Plot, rect, text

GAMMAS = np.arange(20, 201) / 100
LEFT, TOP, CELL = 46, 24, 26  # of the table: its first cell, and the size of one


def accuracy_by_gamma(
    logits: Tensor, labels: Tensor, n_old: int, chosen: float, names: Sequence[str]
) -> Alive:
    """Show accuracy and confusion when the new prototypes are multiplied by any γ.

    Logits (N, C) and labels (N,) as the last epoch left them; `chosen` is WA's γ.
    """
    data = packed(logits)
    scaling = Scaling(unpacked(data).reshape(logits.shape), labels.numpy(), n_old, chosen, names)
    return Alive(
        "gamma",
        "What is right when the new prototypes are multiplied by γ?",
        "Left, three curves over γ: accuracy on old classes falls as γ grows, on new ones it "
        "rises, on all of them it has a maximum between. Lines mark WA's γ and the best. Right, "
        "what each class is taken for: a row for each, a column for each answer.",
        {
            "logits": data,
            "labels": labels.tolist(),
            "n_old": n_old,
            "chosen": chosen,
            "names": list(names),
            "low": scaling.low,
        },
        [slider("gamma", "γ", 0.2, 2, 1, step=0.01, digits=2)],
        scaling.draw,
        [Panel(340, 300, scaling.axes()), Panel(340, 300, scaling.heads())],
    )


@dataclass(frozen=True)
class Scaling:
    """The network's answers, to be had at any γ."""

    logits: NDArray[np.float64]
    labels: NDArray[np.int64]
    n_old: int
    chosen: float
    names: Sequence[str]

    def confusion(self, gamma: float) -> NDArray[np.int64]:
        """Count what each class (row) is taken for."""
        scaled = self.logits * np.where(np.arange(len(self.names)) < self.n_old, 1, gamma)
        counts = np.zeros((len(self.names), len(self.names)), int)
        np.add.at(counts, (self.labels, scaled.argmax(1)), 1)
        return counts

    def accuracies(self, gamma: float) -> tuple[float, float, float]:
        """Return the accuracy (percent) on old classes, on new ones, and on all."""
        each = class_accuracies(self.confusion(gamma))
        old, new = each[: self.n_old], each[self.n_old :]
        return float(np.mean(old)), float(np.mean(new)), float(np.mean(each))

    @cached_property
    def curves(self) -> NDArray[np.float64]:
        """Return the three accuracies at each γ, (181, 3)."""
        return np.array([self.accuracies(gamma) for gamma in GAMMAS])

    @property
    def low(self) -> int:
        """Return where the axis of accuracy begins: at ten below the lowest accuracy on all."""
        return max(0, 10 * int(self.curves[:, 2].min() // 10) - 10)

    @property
    def plot(self) -> Plot:
        """Return the left panel."""
        return Plot((0.2, 2), (self.low, 100), "γ", "accuracy (%)", 340, 300, right=36)

    def axes(self) -> str:
        """Draw the axes of the left panel, and name the curves where they end."""
        ends = dict(zip(("old", "new", "all"), self.curves[-1].tolist(), strict=True))
        return self.plot.axes() + self.plot.names(2, ends)

    def heads(self) -> str:
        """Write the names of rows and columns of the table."""
        foot = TOP + CELL * len(self.names) + 14
        parts = [text(LEFT, 14, "what each class is taken for")]
        for i, name in enumerate(self.names):
            parts.append(text(LEFT - 6, TOP + CELL * i + 17, name, "end"))
            parts.append(text(LEFT + CELL * i + CELL / 2, foot, name, "middle"))
        return "".join(parts)

    def draw(self, gamma: float) -> Shown:
        """Draw the curves with a point on each at this γ, and the confusion there."""
        best = int(self.curves[:, 2].argmax())
        marks = self.mark(self.chosen, "WA", 26) + self.mark(GAMMAS[best], "best", 12)
        now = self.accuracies(gamma)
        for column, name in enumerate(("old", "new", "")):
            values = self.curves[:, column]
            seen = values >= self.low
            marks += self.plot.line(GAMMAS[seen], values[seen], name)
            if now[column] >= self.low:
                marks += self.plot.dots([gamma], [now[column]], name, 6)
        wa = self.accuracies(self.chosen)[2]
        says = "γ = {:.2f}: old {:.1f} %, new {:.1f} %, all {:.1f} %. ".format(gamma, *now)
        says += f"All at WA's {self.chosen:.2f}: {wa:.1f} %; "
        says += f"at the best, {GAMMAS[best]:.2f}: {self.curves[best, 2]:.1f} %"
        return Shown([marks, self.table(gamma)], says)

    def mark(self, gamma: float, word: str, y: float) -> str:
        """Draw a line at a γ, and say whose it is."""
        (x, foot), (_, head) = self.plot.at(gamma, self.low), self.plot.at(gamma, 100)
        line = f'<line class="axis" x1="{x:g}" y1="{foot:g}" x2="{x:g}" y2="{head:g}"/>'
        return line + text(x + 3, foot - y, word)

    def table(self, gamma: float) -> str:
        """Draw the confusion, each row in shares of its class, new answers orange."""
        parts = []
        for i, row in enumerate(self.confusion(gamma).tolist()):
            for j, count in enumerate(row):
                x, y, share = LEFT + CELL * j, TOP + CELL * i, count / sum(row)
                name = "old" if j < self.n_old else "new"
                parts.append(rect(x, y, CELL - 2, CELL - 2, name, f' fill-opacity="{share:.2f}"'))
                if count:
                    look = ' class="on"' if share > 0.5 else ""
                    parts.append(text(x + 12, y + 16, str(count), "middle", look))
        return "".join(parts)
