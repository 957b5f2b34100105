"""How one training goes: epochs, learning rates, weight decay. Chapter 9."""

from math import cos, pi
from typing import NamedTuple


class Plan(NamedTuple):
    """How one stage, or a phase of it, is trained."""

    epochs: int
    lr: float  # at its highest
    weight_decay: float
    milestones: tuple[int, ...] = ()  # epochs at which the step schedule divides the rate by ten
    schedule: str = "cosine"  # or "step"
    warmup: int = 0  # epochs in which the rate rises

    def rate(self, epoch: int) -> float:
        """Return the learning rate of an epoch, counted from 0: nothing to save or to resume.

        A linear warm-up; then half a cosine from `lr` towards 0 (Loshchilov and Hutter, "SGDR",
        ICLR 2017, Eq. 5), or steps: a tenth after each milestone.
        """
        if epoch < self.warmup:
            return self.lr * (epoch + 1) / (self.warmup + 1)
        if self.schedule == "step":
            return self.lr * 0.1 ** sum(epoch >= milestone for milestone in self.milestones)
        progress = (epoch - self.warmup) / max(1, self.epochs - self.warmup)
        return self.lr * (1 + cos(pi * progress)) / 2
