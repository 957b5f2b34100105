"""The learning rate as a function of the epoch: nothing to save, nothing to resume."""

from math import cos, pi

from cilkit.config import Config, Plan


def learning_rate(config: Config, plan: Plan, epoch: int) -> float:
    """Return the learning rate of an epoch, counted from 0.

    A linear warm-up; then half a cosine from `lr` towards 0 (Loshchilov and Hutter, "SGDR", ICLR
    2017, Eq. 5), or steps: a tenth after each milestone.
    """
    if epoch < config.warmup:
        return plan.lr * (epoch + 1) / (config.warmup + 1)
    if config.schedule == "step":
        return plan.lr * 0.1 ** sum(epoch >= milestone for milestone in plan.milestones)
    progress = (epoch - config.warmup) / max(1, plan.epochs - config.warmup)
    return plan.lr * (1 + cos(pi * progress)) / 2
