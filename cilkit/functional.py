"""The formulas of the method, as pure functions of tensors.

Rebuffi et al., "iCaRL", CVPR 2017, Algorithm 4 (`herd`); Hinton et al., "Distilling the knowledge
in a neural network", 2015 (`distillation_loss`); Zhao et al., "Maintaining discrimination and
fairness in class incremental learning", CVPR 2020, section 4 (`alignment`).
"""

import torch
import torch.nn.functional as F
from torch import Tensor


def distillation_loss(student: Tensor, teacher: Tensor, temperature: float = 2.0) -> Tensor:
    """Return KL(teacher || student) of the softened predictions, averaged over images.

    Logits (B, C) and (B, C) -> (). It differs from the cross-entropy against the teacher's
    probabilities (WA, Eq. 2) by the teacher's entropy, which no student can change: the gradients
    are the same, and equal logits give 0. Chapter 4.
    """
    log_q = F.log_softmax(student / temperature, dim=1)
    log_p = F.log_softmax(teacher / temperature, dim=1)
    return F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)


def alignment(weight: Tensor, n_old: int) -> Tensor:
    """Return gamma: how many times longer the old prototypes are than the new ones, on average.

    Prototypes (C, D), the first `n_old` of them old -> (). Multiplying the new ones by it makes
    both means equal (WA, section 4.2). Chapter 5.
    """
    norms = weight.norm(dim=1)
    gamma: Tensor = norms[:n_old].mean() / norms[n_old:].mean()
    return gamma


def herd(features: Tensor, m: int) -> Tensor:
    """Choose `m` rows, one by one, so that their mean stays closest to the mean of all.

    Features (N, D) -> indices (min(m, N),), best first, without repeats: iCaRL, Algorithm 4.
    The distance `||mean - (total + f) / k||` is smallest where `|f|^2 / 2 - f . (k mean - total)`
    is: one matrix-vector product for each choice. Chapter 3.
    """
    features = features.double()
    half_squares, mean = features.square().sum(1) / 2, features.mean(0)
    total, chosen = torch.zeros_like(mean), list[int]()
    for k in range(1, min(m, len(features)) + 1):
        cost = half_squares - features @ (k * mean - total)
        cost[chosen] = torch.inf
        chosen.append(int(cost.argmin()))
        total += features[chosen[-1]]
    return torch.tensor(chosen, dtype=torch.long)
