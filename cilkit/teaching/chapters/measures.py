"""What each metric takes from the accuracy matrix, and how sure a network is of its answers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cilkit.metrics import Matrix, Predictions, calibration_error, reliability
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot, heat, rect, text

CELL, LEFT, TOP = (84, 40), 132, 40  # of the drawn table
Sizes = NDArray[np.float64]  # classes of each stage


@dataclass(frozen=True)
class Measure:
    """A metric as a weighted sum of the cells of R."""

    name: str
    formula: str
    weights: Callable[[Matrix, Sizes], Matrix]

    def value(self, matrix: Matrix, sizes: Sizes) -> float:
        """Return the sum, in percent; NaN where no cell takes part."""
        weights = self.weights(matrix, sizes)
        return float("nan" if np.isnan(weights).all() else np.nansum(weights * matrix))


def row_weights(matrix: Matrix, sizes: Sizes) -> Matrix:
    """Return, in row i, what makes A_i of that row's cells: each stage's share of the classes."""
    weights = np.tril(np.ones_like(matrix)) * sizes
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def last(matrix: Matrix, sizes: Sizes) -> Matrix:
    """Weigh the last row."""
    weights = row_weights(matrix, sizes)
    weights[:-1] = 0
    return weights


def average(matrix: Matrix, sizes: Sizes, first: int = 0) -> Matrix:
    """Weigh all rows alike, or those from `first` on."""
    weights = row_weights(matrix, sizes)
    weights[:first] = 0
    return np.asarray(weights / (len(matrix) - first))


def every_stage_alike(matrix: Matrix, sizes: Sizes) -> Matrix:
    """Weigh the cells of the last row alike, however many classes each stands for."""
    weights = np.zeros_like(matrix)
    weights[-1] = 1 / len(matrix)
    return weights


def newest(matrix: Matrix, sizes: Sizes) -> Matrix:
    """Weigh the diagonal."""
    return np.eye(len(matrix)) / len(matrix)


def against(rows: Callable[[Matrix, int], int]) -> Callable[[Matrix, Sizes], Matrix]:
    """Weigh the last row against one other cell of each earlier column, in the row `rows` says."""

    def weights(matrix: Matrix, sizes: Sizes) -> Matrix:
        result = np.zeros_like(matrix)
        for j in range(earlier := len(matrix) - 1):
            result[rows(matrix, j), j] += 1 / earlier
            result[-1, j] -= 1 / earlier
        return result

    return weights


def best_before(matrix: Matrix, j: int) -> int:
    """Return the row before the last in which stage j stood best."""
    return j + int(matrix[j:-1, j].argmax())


def best_ever(matrix: Matrix, j: int) -> int:
    """Return the row in which stage j stood best, the last one included."""
    return j + int(matrix[j:, j].argmax())


def backward(matrix: Matrix, sizes: Sizes) -> Matrix:
    """Weigh the last row against the diagonal."""
    return -against(lambda _, j: j)(matrix, sizes)


def backward_of_all(matrix: Matrix, sizes: Sizes) -> Matrix:
    """Weigh every cell below the diagonal against the diagonal's of its column."""
    below = np.tril(np.ones_like(matrix), -1)
    return np.asarray((below - np.diag(below.sum(axis=0))) / below.sum())


def forward(matrix: Matrix, sizes: Sizes) -> Matrix:
    """Weigh nothing: above the diagonal, the classifier had no row for the classes yet."""
    return np.full_like(matrix, np.nan)


MEASURES = (
    Measure("last accuracy", "the last row, by number of classes", last),
    Measure("last row, stages alike", "mean of R[T, j]", every_stage_alike),
    Measure("average incremental accuracy", "the mean of all rows' accuracies", average),
    Measure("the same without the first stage", "rows 2 ... T", lambda m, n: average(m, n, 1)),
    Measure("accuracy on the newest classes", "mean of R[j, j]", newest),
    Measure("forgetting (Chaudhry)", "mean of max R[l<T, j] − R[T, j]", against(best_before)),
    Measure("forgetting (Avalanche)", "mean of R[j, j] − R[T, j]", against(lambda _, j: j)),
    Measure("forgetting (PyCIL)", "mean of max R[l≤T, j] − R[T, j]", against(best_ever)),
    Measure("backward transfer (GEM)", "mean of R[T, j] − R[j, j]", backward),
    Measure("backward transfer (all rows)", "mean of R[i, j] − R[j, j], i > j", backward_of_all),
    Measure("forward transfer", "mean of R[j−1, j]: no such cells", forward),
)


def measure_by_measure(matrix: Matrix, sizes: Sequence[int], title: str = "") -> Moving:
    """Show which cells of an accuracy matrix enter each metric, and what comes out.

    R (T, T) in percent, NaN above the diagonal; `sizes`: how many classes each stage brought.
    """
    n, (width, height) = len(matrix), CELL
    return Moving(
        title or "Choose a metric: which cells of the matrix does it look at?",
        "The accuracy matrix: a row for each stage after which the network was tested, a column "
        "for the n classes of a stage. Cells that a metric adds are shaded and have a solid frame "
        "and a plus, those that it subtracts a dashed frame and a minus; the others are pale.",
        "metric",
        [measure_frame(measure, matrix, np.asarray(sizes, float)) for measure in MEASURES],
        "".join(
            text(LEFT - 8, TOP + height * i + 24, f"after stage {i + 1}", "end")
            + text(LEFT + width * (i + 0.5), TOP - 8, f"n = {size}", "middle")
            for i, size in enumerate(sizes)
        ),
        LEFT + width * n + 10,
        TOP + height * n + 70,
    )


def measure_frame(measure: Measure, matrix: Matrix, sizes: Sizes) -> Frame:
    """Draw the matrix under one metric."""
    weights = np.nan_to_num(measure.weights(matrix, sizes))
    value = measure.value(matrix, sizes)
    n, foot = len(matrix), TOP + CELL[1] * len(matrix)
    used = np.where(weights != 0, matrix, np.nan)
    marks = heat(used, [""] * n, [""] * n, left=LEFT, top=TOP, cell=CELL)
    for (i, j), percent in np.ndenumerate(matrix):
        if i >= j:
            marks += cell(i, j, percent, float(weights[i, j]))
    result = "nothing to average" if np.isnan(value) else f"{value:.1f} %"
    marks += text(10, foot + 26, f"{measure.name}: {result}", "start", ' font-weight="bold"')
    return Frame(measure.name, result, marks + text(10, foot + 54, measure.formula))


def cell(i: int, j: int, percent: float, weight: float) -> str:
    """Frame a cell that is added or subtracted; write the number of one that is neither."""
    (width, height), x, y = CELL, LEFT + CELL[0] * j, TOP + CELL[1] * i
    if weight == 0:
        pale = ' fill-opacity=".65"'
        return text(x + width / 2, y + height / 2 + 4, f"{percent:.1f}", "middle", pale)
    dashes, ink = ("" if weight > 0 else ' stroke-dasharray="5 4"'), ' fill="#fff"'
    frame = rect(x + 3, y + 3, width - 6, height - 6, "line", dashes)
    plus = "+" if weight > 0 else "−"
    return frame + text(x + 13, y + 18, plus, "middle", ink if percent > 55 else "")


@dataclass(frozen=True)
class Reliability:
    """How often a network is right, in bins of how sure it is; all in percent."""

    confidence: NDArray[np.float64]  # mean of each bin that is not empty
    accuracy: NDArray[np.float64]
    images: NDArray[np.float64]
    error: float  # the expected calibration error

    @classmethod
    def of(cls, logits: Tensor, labels: Tensor, bins: int = 10) -> "Reliability":
        """Logits (N, C) and labels (N,) -> bins of equal width, as Guo et al. (2017) draw them."""
        sure, predicted = logits.softmax(1).max(1)
        answers = Predictions(labels, predicted, sure)
        images, total, hits = (each.numpy() for each in reliability(answers, bins))
        some = images > 0
        accuracy, confidence = hits[some] / images[some], total[some] / images[some]
        error = calibration_error(answers, bins)
        return cls(100 * confidence, 100 * accuracy, images[some], error)

    def says(self) -> str:
        """Say how sure, how right, and how far apart."""
        sure, right = (np.average(v, weights=self.images) for v in (self.confidence, self.accuracy))
        return f"{sure:.0f} % sure, {right:.0f} % right, error {self.error:.1f}"


def reliability_by_temperature(
    logits: Tensor, labels: Tensor, n_old: int, temperatures: ArrayLike
) -> Moving:
    """Show how sure a network is against how often it is right, its logits divided by T."""
    plot = Plot((0, 100), (0, 100), "how sure (%)", "how often right (%)", 640, 400)
    old, frames = labels < n_old, []
    for temperature in np.asarray(temperatures).tolist():
        marks, says = "", []
        for name, part in (("old", old), ("new", ~old)):
            found = Reliability.of(logits[part] / temperature, labels[part])
            marks += rings(plot, found, name)
            says.append(f"{name}: {found.says()}")
        frames.append(Frame(f"T = {temperature:.2f}", "; ".join(says), marks))
    start = int(np.abs(np.asarray(temperatures) - 1).argmin())
    return Moving(
        "Is the network as often right as it is sure? Divide its logits by T",
        "Rings for images that the network is about equally sure of, blue for old classes, orange "
        "for new ones, larger for more images. On the diagonal it is as often right as it is sure; "
        "rings below it are overconfident, rings above it underconfident.",
        "T",
        frames,
        plot.axes() + plot.line([0, 100], [0, 100], "faint"),
        640,
        400,
        start,
    )


def rings(plot: Plot, found: Reliability, name: str) -> str:
    """Draw a ring for each bin, its area the bin's share of images."""
    radii = 3 + 17 * np.sqrt(found.images / found.images.sum())
    points = zip(found.confidence, found.accuracy, radii.round(1), strict=True)
    return "".join(plot.dots([x], [y], f"line {name}", r) for x, y, r in points)
