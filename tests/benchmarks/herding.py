"""Choosing exemplars: exact Algorithm 4 against continuum's barycenter herding, on one thread.

Both are given the features of all classes at once, pick out a class, normalise its features and
choose 20 images. Ours does it as `cilkit.Memory` does, and computes in float64. continuum's choice
is an approximation in float32: a row that is chosen twice counts once but still moves its
barycenter, and its loop ends after a thousand rounds. One thread goes for NumPy's products too.
Both sizes are those of the issue: ResNet-32's 64 features, and ResNet-18's 512.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.harness import Row, interleaved, less_time
from cilkit import herd
from cilkit.memory import positions_by_class

EXEMPLARS = 20
SIZES = ((100, 500, 64), (100, 1300, 512))  # classes, images of each, features


def main() -> list[Row]:
    """Measure both at both sizes; no more time than continuum takes is the goal."""
    return [compare(*size) for size in SIZES]


def compare(classes: int, images: int, size: int, rounds: int = 7) -> Row:
    """Return the row of one size."""
    from continuum.rehearsal.herding import herd_closest_to_barycenter
    from threadpoolctl import threadpool_limits  # scikit-learn brings it

    features, labels = made_up(classes, images, size)
    rows, by_numpy, wanted = np.arange(len(labels)), features.numpy(), labels.numpy()
    contenders = {
        "ours": lambda: by_algorithm_4(features, labels),
        "continuum": lambda: herd_closest_to_barycenter(rows, wanted, wanted, by_numpy, EXEMPLARS),
    }
    with threadpool_limits(1):
        times = interleaved(contenders, rounds)
    name = f"herding {classes} x {images} x {size}, against continuum's approximation"
    return less_time(name, times["ours"], times["continuum"], goal=1.0)


def made_up(classes: int, images: int, size: int) -> tuple[Tensor, Tensor]:
    """Return features as a ReLU leaves them, each class around a centre of its own, and labels."""
    torch.manual_seed(0)
    centres, noise = torch.randn(classes, 1, size), torch.randn(classes, images, size)
    labels = torch.arange(classes).repeat_interleave(images)
    return (centres + noise).relu().flatten(0, 1), labels


def by_algorithm_4(features: Tensor, labels: Tensor) -> list[Tensor]:
    """Choose from each class as `cilkit.Memory` does."""
    chosen = []
    for positions in positions_by_class(labels).values():
        rows = F.normalize(features.index_select(0, positions), dim=1)
        chosen.append(positions[herd(rows, EXEMPLARS)])
    return chosen
