"""A learner with a teacher: what LwF and replay with distillation have in common. Chapter 4."""

from dataclasses import dataclass
from typing import Annotated, Literal

from torch import Tensor

from cilkit.config import Between, Config
from cilkit.data.scenario import Stage
from cilkit.functional import distillation_loss
from cilkit.learner import Learner
from cilkit.model import Seen


class Distilling(Learner):
    """Learning under a teacher: the model as it was when the stage began."""

    @dataclass(frozen=True, kw_only=True)
    class Settings(Config):
        """How the student listens."""

        # softens teacher and student before they are compared
        temperature: Annotated[float, Between(1e-3, 1e3)] = 2.0
        # lambda; dynamic: n_old / n_seen
        kd_weight: Literal["dynamic"] | Annotated[float, Between(0, 1e3)] = "dynamic"
        # (1-lambda) CE + lambda KD, or CE + lambda KD
        kd_mix: Literal["convex", "additive"] = "convex"
        kd_t_squared: bool = False  # multiply the distillation loss by temperature^2

        def contradictions(self) -> list[tuple[bool, str]]:
            """Return what does not go together."""
            too_much = self.kd_mix == "convex" and self.weight(0, 1) > 1
            sentence = f"kd_weight is {self.kd_weight}; a convex mix allows at most 1"
            return [*super().contradictions(), (too_much, sentence)]

        def weight(self, n_old: int, n_seen: int) -> float:
            """Return lambda, the weight of distillation."""
            return n_old / n_seen if isinstance(self.kd_weight, str) else self.kd_weight

    config: Settings

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Learn the labels and, on the old classes, imitate the teacher."""
        losses = super().losses(seen, labels)
        if self.teacher is None:  # the first stage has nothing to forget
            return losses
        taught, config = self.teacher(seen.images), self.config  # (B, n_old)
        n_old, n_seen = taught.shape[1], seen.logits.shape[1]
        kd = distillation_loss(seen.logits[:, :n_old], taught, config.temperature)
        scale = config.temperature**2 if config.kd_t_squared else 1.0
        weight = config.weight(n_old, n_seen)
        keep = 1 - weight if config.kd_mix == "convex" else 1.0
        return {"ce": keep * losses["ce"], "kd": weight * scale * kd}

    def end(self, stage: Stage) -> dict[str, float]:
        """The model as it is now teaches the next stage."""
        self.teacher = self.model.frozen_copy()
        return super().end(stage)
