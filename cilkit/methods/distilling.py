"""A learner with a teacher: what LwF and replay with distillation have in common. Chapter 4."""

from torch import Tensor

from cilkit.data.scenario import Stage
from cilkit.functional import distillation_loss
from cilkit.learner import Learner


class Distilling(Learner):
    """Learning under a teacher: the model as it was when the stage began."""

    def losses(self, images: Tensor, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Learn the labels and, on the old classes, imitate the teacher."""
        losses = super().losses(images, logits, labels)
        if self.teacher is None:  # the first stage has nothing to forget
            return losses
        taught, config = self.teacher(images), self.config  # (B, n_old)
        n_old, n_seen = taught.shape[1], logits.shape[1]
        kd = distillation_loss(logits[:, :n_old], taught, config.temperature)
        scale = config.temperature**2 if config.kd_t_squared else 1.0
        weight = n_old / n_seen if config.kd_weight == "dynamic" else config.kd_weight
        keep = 1 - weight if config.kd_mix == "convex" else 1.0
        return {"ce": keep * losses["ce"], "kd": weight * scale * kd}

    def end(self, stage: Stage) -> dict[str, float]:
        """The model as it is now teaches the next stage."""
        self.teacher = self.model.frozen_copy()
        return super().end(stage)
