"""What each metric takes from the accuracy matrix, and how sure a network is of its answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cilkit.metrics import Matrix, Predictions, calibration_error, reliability
from cilkit.teaching.alive import Alive, Panel, Shown, choice, field_of, packed, slider, unpacked
from cilkit.teaching.svg import Plot, text

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

    def says(self, matrix: Matrix, sizes: Sizes) -> str:
        """Return the value in words."""
        value = self.value(matrix, sizes)
        return "nothing to average" if np.isnan(value) else f"{value:.1f} %"


def row_weights(matrix: Matrix, sizes: Sizes) -> Matrix:
    """Return, in row i, what makes A_i of that row's cells: each stage's share of the classes."""
    weights = np.tril(np.ones_like(matrix)) * sizes
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def average(matrix: Matrix, sizes: Sizes, first: int = 0) -> Matrix:
    """Weigh all rows alike, or those from `first` on: the last one, if it is -1."""
    weights = row_weights(matrix, sizes)
    weights[:first] = 0
    return np.asarray(weights / len(weights[first:]))


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
    Measure("last accuracy", "the last row, by number of classes", lambda m, n: average(m, n, -1)),
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


def measure_by_measure(matrix: Matrix, sizes: Sequence[int], title: str = "") -> Alive:
    """Show every metric of an accuracy matrix that the reader may edit, and which cells enter one.

    R (T, T) in percent, NaN above the diagonal; `sizes`: how many classes each stage brought.
    """
    n = len(matrix)
    cells = {key(i, j): float(matrix[i, j].round(1)) for i in range(n) for j in range(i + 1)}

    def draw(metric: str, **cells: float) -> Shown:
        now = np.full((n, n), np.nan)
        for (i, j), _ in np.ndenumerate(matrix):
            if i >= j:
                now[i, j] = cells[key(i, j)]
        return measured(MEASURES[int(metric)], now, np.asarray(sizes, float))

    names = {str(i): measure.name for i, measure in enumerate(MEASURES)}
    first = draw("0", **cells)
    return Alive(
        "measures",
        title or "Edit a cell: every metric follows. Which cells does one of them look at?",
        "The accuracy matrix, with a field for each cell: a row for each stage after which the "
        "network was tested, a column for the n classes of a stage. Below, what each metric is.",
        {"sizes": list(sizes)},
        [choice("metric", "metric", names, "0")],
        draw,
        body=fields_of(cells, first.looks, sizes) + values_of(first.texts),
        fields=cells,
    )


def key(i: int, j: int) -> str:
    """Return the name of a cell in the figure's state."""
    return f"r{i}_{j}"


def measured(chosen: Measure, matrix: Matrix, sizes: Sizes) -> Shown:
    """Say what each metric is worth, and which cells the chosen one adds or subtracts."""
    results = {measure.name: measure.says(matrix, sizes) for measure in MEASURES}
    weights = np.nan_to_num(chosen.weights(matrix, sizes))
    looks = {
        key(i, j): "plus" if weight > 0 else "minus" if weight < 0 else ""
        for (i, j), weight in np.ndenumerate(weights)
        if i >= j
    }
    return Shown([], f"{chosen.name}, {chosen.formula}: {results[chosen.name]}", results, looks)


def fields_of(cells: Mapping[str, float], looks: Mapping[str, str], sizes: Sequence[int]) -> str:
    """Return the matrix as a table of fields."""
    heads = "".join(f'<th scope="col">n = {size}</th>' for size in sizes)
    rows = ""
    for i in range(len(sizes)):
        row = ""
        for j in range(i + 1):
            name, say = key(i, j), f"R {i + 1} {j + 1}"
            cell = field_of(name, 0, 100, cells[name], step="0.1", say=say, look=looks[name])
            row += f"<td>{cell}</td>"
        rows += f'<tr><th scope="row">{i + 1}</th>{row}</tr>'
    return f'<table class="cil-cells"><tr><td>after stage</td>{heads}</tr>{rows}</table>'


def values_of(results: Mapping[str, str]) -> str:
    """Return a table of the metrics and what each is worth."""
    rows = "".join(
        f'<tr><th scope="row">{name}</th><td data-text="{name}">{result}</td></tr>'
        for name, result in results.items()
    )
    return f'<table class="cil-values">{rows}</table>'


@dataclass(frozen=True)
class Reliability:
    """How often a network is right, in bins of how sure it is; all in percent."""

    confidence: NDArray[np.float64]  # mean of each bin that is not empty
    accuracy: NDArray[np.float64]
    images: NDArray[np.float64]
    places: NDArray[np.int64]  # which bins those are
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
        return cls(100 * confidence, 100 * accuracy, images[some], some.nonzero()[0], error)

    def says(self) -> str:
        """Say how sure, how right, and how far apart."""
        sure, right = (np.average(v, weights=self.images) for v in (self.confidence, self.accuracy))
        return f"{sure:.0f} % sure, {right:.0f} % right, error {self.error:.1f}"


def reliability_by_temperature(logits: Tensor, labels: Tensor, n_old: int) -> Alive:
    """Show how sure a network is against how often it is right: any T, any number of bins.

    Logits (N, C) and labels (N,), the first `n_old` classes old.
    """
    data = packed(logits)
    sure = Sureness(torch.from_numpy(unpacked(data).reshape(logits.shape)), labels, n_old)
    return Alive(
        "reliability",
        "Is the network as often right as it is sure? Divide its logits by T",
        "Left, rings for images that the network is about equally sure of, blue for old classes, "
        "orange for new ones, larger for more images. On the diagonal it is as often right as it "
        "is sure; rings below it are overconfident, rings above it underconfident. Right, how many "
        "images are in each bin.",
        {"logits": data, "labels": labels.tolist(), "n_old": n_old},
        [
            slider("T", "T", 0.25, 4, 1, step=0.05, digits=2, power=True),
            slider("bins", "bins", 2, 40, 10),
            choice("groups", "images", {"two": "old and new apart", "one": "all together"}, "two"),
        ],
        sure.draw,
        [
            Panel(340, 320, DIAGRAM.axes() + DIAGRAM.line([0, 100], [0, 100], "faint") + EVEN),
            Panel(340, 320, counts_plot(1).axes(yticks=[]) + COLOURS),
        ],
    )


DIAGRAM = Plot((0, 100), (0, 100), "how sure (%)", "how often right (%)", 340, 320, right=24)
EVEN = text(326, 12, "line: right as often as sure", "end")
COLOURS = text(326, 12, "old: blue, new: orange", "end")
GROUPS = {"two": ("old", "new"), "one": ("all",)}


@dataclass(frozen=True)
class Sureness:
    """A network's answers, to be looked at with any temperature and bins."""

    logits: Tensor
    labels: Tensor
    n_old: int

    def part(self, group: str) -> Tensor:
        """Return which images belong to a group, (N,)."""
        old = self.labels < self.n_old
        return {"old": old, "new": ~old, "all": torch.ones_like(old)}[group]

    def draw(self, T: float, bins: int, groups: str) -> Shown:
        """Draw rings and bars of each group, and say how far sure is from right."""
        marks, says, counts = "", [f"T = {T:.2f}, {bins} bins"], {}
        for group in GROUPS[groups]:
            part, name = self.part(group), "" if group == "all" else group
            found = Reliability.of(self.logits[part] / T, self.labels[part], bins)
            marks += rings(DIAGRAM, found, name)
            counts[name] = np.zeros(bins)
            counts[name][found.places] = found.images
            says.append(f"{group}: {found.says()}")
        if groups == "two":
            everything = Reliability.of(self.logits / T, self.labels, bins)
            says.append(f"all: error {everything.error:.1f}")
        return Shown([marks, histogram(counts)], "; ".join(says))


def counts_plot(highest: float) -> Plot:
    """Return the panel of images in each bin."""
    return Plot((0, 100), (0, highest), "how sure (%)", "images in the bin", 340, 320)


def histogram(counts: Mapping[str, NDArray[np.float64]]) -> str:
    """Draw how many images each bin holds, group on group, as high as the panel."""
    highest = np.sum(list(counts.values()), axis=0).max()
    plot, below = counts_plot(highest), np.zeros(len(next(iter(counts.values()))))
    bars = text(plot.left - 6, plot.top + 4, f"{highest:.0f}", "end")
    for name, images in counts.items():
        bars += stacked(plot, below, images, name)
        below = below + images
    return bars


def stacked(plot: Plot, below: NDArray[np.float64], counts: NDArray[np.float64], name: str) -> str:
    """Draw a bar for each bin, on top of what is below."""
    path, wide = "", 100 / len(counts)
    for i, (low, count) in enumerate(zip(below.tolist(), counts.tolist(), strict=True)):
        if count:
            x, foot = plot.at(wide * (i + 0.05), low)
            end, head = plot.at(wide * (i + 0.95), low + count)
            path += f"M{x:g} {foot:g}V{head:g}H{end:g}V{foot:g}z"
    return f'<path class="{name} bar" d="{path}"/>'


def rings(plot: Plot, found: Reliability, name: str) -> str:
    """Draw a ring for each bin, its area the bin's share of images."""
    radii = 3 + 17 * np.sqrt(found.images / found.images.sum())
    points = zip(found.confidence, found.accuracy, radii.round(1), strict=True)
    return "".join(plot.dots([x], [y], f"line {name}", r) for x, y, r in points)
