"""The formulas of the method, as pure functions of tensors.

Rebuffi et al., "iCaRL", CVPR 2017, Algorithm 4 (`herd`); Hinton et al., "Distilling the knowledge
in a neural network", 2015 (`distillation_loss`); Zhao et al., "Maintaining discrimination and
fairness in class incremental learning", CVPR 2020, section 4 (`alignment`).
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.errors import InputError


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """Return KL(teacher || student) of the softened predictions, averaged over images.

    Logits (B, C) and (B, C) -> (). It differs from the cross-entropy against the teacher's
    probabilities (WA, Eq. 2) by the teacher's entropy, which no student can change: the gradients
    are the same, and equal logits give 0. Nearly equal ones may give a little less, by rounding
    (-1e-7 in float32): to cut that off would cut off the gradient. Chapter 4.
    """
    log_q = F.log_softmax(student / temperature, dim=1)
    log_p = F.log_softmax(teacher / temperature, dim=1)
    surplus = (log_p - log_q).masked_fill(log_p == -torch.inf, 0)  # 0 log 0 is 0
    return (log_p.exp() * surplus).sum() / len(student)


def alignment(weight: Tensor, n_old: int) -> Tensor:
    """Return gamma: how many times longer the old prototypes are than the new ones, on average.

    Prototypes (C, D), the first `n_old` of them old -> (). Multiplying the new ones by it makes
    both means equal (WA, section 4.2). Chapter 5.
    """
    norms = weight.norm(dim=1)
    return norms[:n_old].mean() / norms[n_old:].mean()


def herd(features: Tensor, m: int) -> Tensor:
    """Choose `m` rows, one by one, so that their mean stays closest to the mean of all.

    Features (N, D) -> indices (min(m, N),), best first, without repeats: iCaRL, Algorithm 4.
    With the mean as origin, `|total + f| / k` is smallest where `|f|^2 / 2 + f . total` is, and
    each choice adds itself to the total. Equal rows are taken in their order; between different
    ones that are equally good, rounding decides. Raises `InputError` for features that are not
    finite, or whose squares would not be. iCaRL scales the mean of features of length 1 to length
    1 again; here, as in PyCIL, it is a mean. Chapter 3.
    """
    features = features.to(torch.float64, copy=True)
    if not (features.abs() < 1e140).all():
        raise InputError("features to choose by must be finite numbers, smaller than 1e140")
    rows = features.sub_(features.mean(0)).numpy(force=True)
    cost, chosen = np.vecdot(rows, rows) / 2, list[int]()
    for _ in range(min(m, len(rows))):
        chosen.append(int(cost.argmin()))
        cost += np.vecdot(rows, rows[chosen[-1]])  # row by row, so that equal rows tie
        cost[chosen[-1]] = np.inf
    return torch.tensor(chosen, dtype=torch.long)
