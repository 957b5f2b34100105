"""What is counted by hand: numbers on arrival, a gradient, transfer (chapters 1, 2 and 7)."""

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit import metrics
from cilkit.data.scenario import class_order
from cilkit.teaching.exercises.trying import Exercise, on

# Chapter 1: when each label arrives.


def numbers_of(order: Any, first: int = 0) -> list[int]:
    """Return the number that each original label gets on arrival."""
    return [int(place) + first for place in np.argsort(order)]


def looked_up(order: Any) -> list[int]:
    """Look the order up in itself."""
    return [order[label] for label in order]


ARRIVAL = Exercise(
    numbers_of,
    on(
        {
            "The order 2, 0, 1": ([2, 0, 1],),
            "Ten classes in the order of seed 1993": (list(class_order(1993, 10)),),
        }
    ),
    {
        "That is the order itself: which label comes k-th, and not when label k comes.": list,
        "Sorted, the labels say nothing of their order any more.": sorted,
        "The first to arrive has number 0, not 1.": lambda order: numbers_of(order, first=1),
        "That looks the order up in itself; asked is the place of k in it.": looked_up,
    },
)

# Chapter 2: the gradient of the cross-entropy with respect to the logits.


def gradient(logits: Tensor, label: int) -> Tensor:
    """Return what each probability is above the label's 1 or 0."""
    return logits.softmax(0) - true_class(logits, label)


def true_class(logits: Tensor, label: int) -> Tensor:
    """Return 1 for the true class and 0 for the others."""
    return F.one_hot(torch.tensor(label), len(logits))


GRADIENT = Exercise(
    gradient,
    on(
        {
            "Logits 2, -1, 0.5 and label 0": (torch.tensor([2.0, -1.0, 0.5]), 0),
            "Logits 0, 1 and label 1": (torch.tensor([0.0, 1.0]), 1),
        }
    ),
    {
        "All are zero: nothing would be learned.": lambda o, y: torch.zeros_like(o),
        "Those are the probabilities; the true class lacks its - 1.": lambda o, y: o.softmax(0),
        "The sign is that of a step, which goes against the gradient.": lambda o, y: (
            -gradient(o, y)
        ),
        "The other classes have a gradient, too: their probability.": lambda o, y: (
            gradient(o, y) * true_class(o, y)
        ),
        "The softmax is missing.": lambda o, y: o - true_class(o, y),
    },
)

# Chapter 7: backward transfer over all rows.


def transfer(matrix: Any, below: int = 1) -> float:
    """Return the mean of R[i, j] - R[j, j] over all i >= j + below."""
    rows = np.tril_indices(len(matrix), -below)
    return float(np.mean((matrix - np.diag(matrix))[rows]))


def transfer_by_rows(matrix: Any) -> float:
    """Subtract R[i, i] in place of R[j, j]."""
    return float(np.mean((matrix - np.diag(matrix)[:, None])[np.tril_indices(len(matrix), -1)]))


nan = float("nan")
TRANSFER = Exercise(
    transfer,
    on(
        {
            "The rows 1; 0.5, 1; 0.2, 0.4, 0.9": (
                np.array([[1, nan, nan], [0.5, 1, nan], [0.2, 0.4, 0.9]]),
            ),
            "The rows 80; 70, 82": (np.array([[80, nan], [70, 82]]),),
        }
    ),
    {
        "That is Lopez-Paz and Ranzato's: the last row alone.": metrics.backward_transfer,
        "The sign is that of forgetting.": lambda matrix: -transfer(matrix),
        "The diagonal's zeros count, too: i is to be larger than j.": lambda r: transfer(
            r, below=0
        ),
        "Each column is to lose its own R_jj; here each row loses its R_ii.": transfer_by_rows,
    },
)
