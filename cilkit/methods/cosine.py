"""A cosine head under a teacher of features: what LUCIR and PODNet have in common."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch.nn.functional as F
from torch import Tensor

from cilkit.data.scenario import Stage
from cilkit.heads import CosineClassifier
from cilkit.methods.replay import Replay


class CosineReplay(Replay):
    """Replay with a cosine head, whose old prototypes rest; the last stage's model is the teacher.

    Features may be negative: the last ReLU is left out.
    """

    classifier = CosineClassifier
    backbone: ClassVar[Mapping[str, Any]] = {"last_relu": False}

    def grow(self, stage: Stage) -> None:
        """Let the newest prototypes learn, and no others."""
        super().grow(stage)
        self.model.classifier.heads[:-1].requires_grad_(False)

    def end(self, stage: Stage) -> dict[str, float]:
        """The model as it is now teaches the next stage."""
        self.teacher = self.model.frozen_copy()
        return super().end(stage)


def feature_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Return 1 less the cosine between features, averaged over images: (B, D), (B, D) -> ().

    LUCIR's less-forget constraint, and PODNet's POD-flat.
    """
    return 1 - F.cosine_similarity(student, teacher).mean()
