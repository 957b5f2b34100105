"""What a run's numbers mean; all are percent. Chapter 7.

The accuracy matrix R has a row for each stage i after which the model was tested, and a column for
each stage j whose classes were tested: R[i, j] is the accuracy on the classes of stage j after
stage i, where all classes seen so far compete; it is NaN for j > i. n_j classes came with stage j.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import isfinite, nan
from statistics import mean, stdev
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cilkit.runs.records import Cost, Record, RunRecord, StageRecord, run_record, stage_records

Matrix = NDArray[np.float64]


@dataclass(frozen=True)
class Predictions:
    """What the model said of each sample, and how sure it was."""

    labels: Tensor  # (N,) the truth
    predicted: Tensor  # (N,)
    confidence: Tensor  # (N,) probability of the predicted class


def confusion_matrix(predictions: Predictions, n_classes: int) -> list[list[int]]:
    """Return how many samples of each true class (row) were taken for each class (column)."""
    pairs = predictions.labels * n_classes + predictions.predicted
    counts = torch.bincount(pairs, minlength=n_classes**2)
    return counts.view(n_classes, n_classes).tolist()


def calibration_error(predictions: Predictions, bins: int = 15) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, on average.

    Guo et al., "On calibration of modern neural networks", ICML 2017, Eq. 3: over bins of equal
    width, `sum_b |B_b| / N * |accuracy(B_b) - confidence(B_b)|`; a bin's count cancels out.
    """
    images, sure, right = reliability(predictions, bins)
    return 100 * float((right - sure).abs().sum() / images.sum())


def reliability(predictions: Predictions, bins: int = 15) -> tuple[Tensor, Tensor, Tensor]:
    """Return each bin's images, the sum of their confidence, and how many are right: (bins,) each.

    As Guo et al. have it, a bin holds its upper edge and not its lower one; 0 lies in the first.
    """
    sure, right = predictions.confidence.clamp(0, 1), predictions.predicted == predictions.labels
    edges = (torch.arange(1, bins, dtype=torch.float64) / bins).to(sure.dtype)
    bin_of = torch.bucketize(sure, edges)
    added = (torch.ones_like(sure), sure, right)
    images, total, hits = (torch.bincount(bin_of, values.double(), bins) for values in added)
    return images, total, hits


def accuracy(confusion: ArrayLike, classes: slice = slice(None)) -> float:
    """Return the accuracy on these true classes: the mean of each class's own.

    Where all classes have as many test images, it is the share of right answers.
    """
    counts = np.asarray(confusion)
    images, hits = counts[classes].sum(axis=1), np.diag(counts)[classes]
    tested = images > 0
    if not tested.any():
        return float("nan")
    return round(float(100 * np.mean(hits[tested] / images[tested])), 9)  # 14.55 is no 14.5499999


def class_accuracies(confusion: ArrayLike) -> list[float]:
    """Return the accuracy on each class alone; NaN for one without test images."""
    counts = np.asarray(confusion)
    return [accuracy(counts, slice(label, label + 1)) for label in range(len(counts))]


def stage_accuracy(record: StageRecord) -> float:
    """Return A_i, the accuracy over all classes seen so far: sum_j n_j R[i, j] / sum_j n_j."""
    return accuracy(record.after.confusion)


def old_and_new_accuracy(record: StageRecord) -> tuple[float, float]:
    """Return the accuracy on the old classes (NaN in the first stage) and on the new ones."""
    old, new = slice(0, record.n_old), slice(record.n_old, record.n_seen)
    return accuracy(record.after.confusion, old), accuracy(record.after.confusion, new)


def new_class_share(record: StageRecord) -> float:
    """Return the share of predictions that falls on new classes; fair is their share of images."""
    counts = np.asarray(record.after.confusion)
    return float(100 * counts[:, record.n_old :].sum() / counts.sum())


def accuracy_matrix(records: Sequence[Record]) -> Matrix:
    """Return R from a run's stage records, which have one row each."""
    stages = stage_records(records)
    matrix = np.full((len(stages), len(stages)), np.nan)
    for i, record in enumerate(stages):
        counts = np.asarray(record.after.confusion)
        for j, learned in enumerate(stages[: i + 1]):
            matrix[i, j] = accuracy(counts, slice(learned.n_old, learned.n_seen))
    return matrix


def average_incremental_accuracy(accuracies: Sequence[float], with_first: bool = True) -> float:
    """Return the mean of A_i over the stages.

    iCaRL (Rebuffi et al., CVPR 2017, section 4). iCaRL and PyCIL count the first stage; WA's
    quoted 66.6 is without it: say which one a number is.
    """
    counted = accuracies if with_first else accuracies[1:]
    return float(np.mean(counted)) if len(counted) else float("nan")


def forgetting(matrix: Matrix) -> float:
    """Return how much of each earlier stage's best accuracy is lost at the end, on average.

    Chaudhry et al., "Riemannian walk", ECCV 2018, Eq. 3: the mean over j < T of
    max_{j <= l < T} R[l, j] - R[T, j], T being the last stage; negative when accuracy rose.
    """
    earlier = len(matrix) - 1
    if earlier < 1:
        return float("nan")
    return float(np.mean([matrix[j:-1, j].max() - matrix[-1, j] for j in range(earlier)]))


def backward_transfer(matrix: Matrix) -> float:
    """Return what later stages did to each stage's first accuracy, on average.

    Lopez-Paz and Ranzato, "Gradient episodic memory", NIPS 2017: the mean over j < T of
    R[T, j] - R[j, j]; negative when stages are forgotten. Díaz-Rodríguez et al. (2018) average over
    all rows below the diagonal instead.
    """
    earlier = len(matrix) - 1
    if earlier < 1:
        return float("nan")
    return float(np.mean(matrix[-1, :earlier] - np.diag(matrix)[:earlier]))


def summary(records: Sequence[Record]) -> dict[str, float]:
    """Return the numbers of one finished run, by the names that tables use."""
    accuracies = [stage_accuracy(record) for record in stage_records(records)]
    matrix = accuracy_matrix(records)
    old, new = old_and_new_accuracy(stage_records(records)[-1])
    return {
        "last": accuracies[-1],
        "average": average_incremental_accuracy(accuracies),
        "average_without_first": average_incremental_accuracy(accuracies, with_first=False),
        "forgetting": forgetting(matrix),
        "backward_transfer": backward_transfer(matrix),
        "old": old,
        "new": new,
        "new_share": new_class_share(stage_records(records)[-1]),
        "calibration_error": stage_records(records)[-1].after.calibration_error,
        "flops": whole_cost(records).flops,
        "megabytes": megabytes(whole_cost(records)),
    }


def whole_cost(records: Sequence[Record]) -> Cost:
    """Return what all stages together took, how large the network is in the end, what is kept."""
    costs = [record.cost for record in stage_records(records)]
    images, flops = sum(cost.images for cost in costs), sum(cost.flops for cost in costs)
    return replace(costs[-1], images=images, flops=flops)


def megabytes(cost: Cost) -> float:
    """Return what a stage hands to the next: the network, 4 bytes a number, and what is kept."""
    return (4 * cost.parameters + cost.kept) / 1e6


def tested_on(*runs: Iterable[Record]) -> str:
    """Return what a title must say of runs that were not tested on all test images, else ''."""
    firsts = [one for records in runs for one in records if isinstance(one, RunRecord)]
    shares = dict.fromkeys(first.config.get("validation", 0.0) for first in firsts)
    percent = " or ".join(f"{100 * share:g} %" for share in shares)
    lacking = max((len(first.data.get("not tested", ())) for first in firsts), default=0)
    said = [f"tested on {percent} of the training images (validation)"] if any(shares) else []
    said += [f"{lacking} classes not tested"] if lacking else []
    return ", ".join(said)


def summarise(runs: Mapping[str, Iterable[Sequence[Record]]]) -> dict[str, dict[str, list[Any]]]:
    """Return each method's last and average incremental accuracy, seed by seed, in percent.

    Beside them stand the names of the classes, if there are such, that a run was not tested on.
    """
    result: dict[str, dict[str, list[Any]]] = {}
    for method, of_method in runs.items():
        several = [*of_method]
        numbers = [summary(records) for records in several]
        result[method] = {key: [round(n[key], 4) for n in numbers] for key in ("last", "average")}
        lacking = [run_record(records).data.get("not tested", []) for records in several]
        if untested := [*dict.fromkeys(chain(*lacking))]:
            result[method]["not tested"] = untested
    return result


COLUMNS = {
    "last": "last",
    "average": "average",
    "forgetting": "forgetting",
    "old": "old classes",
    "new": "new classes",
}
PREFIXES = ("", "k", "M", "G", "T", "P", "E")


def table(runs: Mapping[str, Iterable[Sequence[Record]]]) -> str:
    """Return mean ± standard deviation over the seeds, a line for each method, in percent.

    Beside it what a run costs, and what a stage hands to the next; below, which methods cost more
    than joint training, if that is among them: its cost on this network is known only when it has
    been trained. Where there are several class orders, the title tells how many of each.
    """
    kept = {method: [*of_method] for method, of_method in runs.items()}
    everything, wide = [*chain(*kept.values())], max(12, *(len(label) + 1 for label in kept))
    title = ", ".join(filter(None, [tested_on(*everything), seeds_and_orders(everything)]))
    numbers = {method: [summary(records) for records in of] for method, of in kept.items()}
    costs = {method: mean(one["flops"] for one in of) for method, of in numbers.items()}
    unit, name = unit_of(costs.values())
    lines = [title] if title else []
    heads = [*COLUMNS.values(), f"cost ({name})", "kept (MB)"]
    lines += [f"{'percent':{wide}}" + "".join(f"{head:>13}" for head in heads)]
    for method, of in numbers.items():
        cells = [spread([one[key] for one in of]) for key in COLUMNS]
        cells += [brief(costs[method] / unit), brief(mean(one["megabytes"] for one in of))]
        lines.append(f"{method:{wide}}" + "".join(f"{cell:>13}" for cell in cells))
    return "\n".join([*lines, *dearer_than_joint(costs)])


def unit_of(flops: Iterable[float]) -> tuple[float, str]:
    """Return a unit in which the most of these has one to three digits, and its name."""
    most = max(filter(isfinite, flops), default=0.0)
    power = min(max(0, int(np.log10(max(most, 1)) // 3)), len(PREFIXES) - 1)
    return 1000.0**power, f"{PREFIXES[power]}FLOP"


def dearer_than_joint(costs: Mapping[str, float]) -> list[str]:
    """Return a sentence on methods that cost more than training on all images again, if any do."""
    joint = min((cost for label, cost in costs.items() if is_joint(label)), default=nan)
    dear = [label for label, cost in costs.items() if cost > joint and not is_joint(label)]
    return [f"Training on all images again (joint) costs less than {', '.join(dear)}."][: len(dear)]


def is_joint(label: str) -> bool:
    """Tell whether a label is that of joint training, with whatever settings."""
    return label.split(" ")[0] == "joint"


def brief(value: float) -> str:
    """Return three digits of a number; a dash, if it does not exist."""
    return "–" if not isfinite(value) else f"{value:.3g}" if value < 1000 else f"{value:.0f}"


def seeds_and_orders(runs: Iterable[Sequence[Record]]) -> str:
    """Return how many seeds and class orders runs have, if these are several, else ''."""
    configs = [
        record.config for records in runs for record in records[:1] if isinstance(record, RunRecord)
    ]
    seeds, orders = ({str(config[name]) for config in configs} for name in ("seed", "class_order"))
    return f"seeds: {len(seeds)}, class orders: {len(orders)}" if len(orders) > 1 else ""


def spread(values: Sequence[float]) -> str:
    """Return the mean, and the sample standard deviation if there are two values or more.

    Where a number does not exist, such as what the first stage forgets, it is a dash.
    """
    if not all(map(isfinite, values)):
        return "–"
    centre = round(mean(values), 6)  # 9.05 is 9.1, however it was summed
    return f"{centre:.1f} ± {stdev(values):.1f}" if len(values) > 1 else f"{centre:.1f}"
