"""LUCIR: prototypes of one length, and a margin around old ones (Hou et al., CVPR 2019)."""

from dataclasses import dataclass
from math import sqrt
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Between, Weight
from cilkit.data.scenario import Stage
from cilkit.heads import CosineClassifier
from cilkit.inference import features_of
from cilkit.methods.cosine import CosineReplay, feature_loss
from cilkit.model import Seen


class LUCIR(CosineReplay):
    """Cosines for logits, features that keep their direction, a margin for exemplars.

    New prototypes start where their class's features point. The class-balanced training that the
    authors may add at a stage's end is left out.
    """

    @dataclass(frozen=True, kw_only=True)
    class Settings(CosineReplay.Settings):
        """How much features are held, and how exemplars are set apart from new classes."""

        less_forget: Weight = 5.0  # weight of features that turn, times sqrt(n_old / n_new)
        ranking_weight: Weight = 1.0  # of the margin ranking loss
        # of an exemplar's cosine over those of new classes
        ranking_margin: Annotated[float, Between(0, 2)] = 0.5
        # how many new classes, the nearest ones, an exemplar is set against
        ranking_rivals: Annotated[int, Between(1, 1e6)] = 2

    config: Settings

    def begin(self, stage: Stage) -> None:
        """Imprint the new prototypes: each points to its class's mean, as long as old ones are."""
        super().begin(stage)
        classifier, labels = self.model.classifier, stage.train.labels
        if stage.n_old:
            features = F.normalize(features_of(self.model, stage.train))
            new = range(stage.n_old, stage.n_seen)
            means = torch.stack([features[labels == label].mean(0) for label in new])
            length = classifier.weight[: stage.n_old].norm(dim=1).mean()
            with torch.no_grad():
                classifier.heads[-1].weight.copy_(length * F.normalize(means).to(length.device))

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Hold the features, and set exemplars apart from new classes."""
        losses = super().losses(seen, labels)
        if self.teacher is None:  # the first stage has nothing to forget
            return losses
        config, classifier = self.config, self.model.classifier
        assert isinstance(classifier, CosineClassifier)
        n_old = self.teacher.classifier.n_classes
        weight = config.less_forget * sqrt(n_old / (classifier.n_classes - n_old))
        turned = feature_loss(seen.features, self.teacher.features(seen.images))
        cosines = classifier.cosines(seen.features)
        close = ranking_loss(cosines, labels, n_old, config.ranking_margin, config.ranking_rivals)
        return losses | {"features": weight * turned, "ranking": config.ranking_weight * close}

    def aside(self, stage: Stage, look: float) -> float:
        """Count the look at the new images of which prototypes are imprinted."""
        imprinted = look * len(stage.train) if stage.n_old else 0.0
        return super().aside(stage, look) + imprinted


def ranking_loss(cosines: Tensor, labels: Tensor, n_old: int, margin: float, rivals: int) -> Tensor:
    """Return by how much exemplars fall short of a margin over the nearest new classes' cosines.

    Cosines (B, n) and labels (B,) -> (): the mean over images of old classes, and over the `rivals`
    new classes whose cosines are highest; 0 without such an image. LUCIR, inter-class separation.
    """
    new = cosines[:, n_old:]
    nearest = new.topk(min(rivals, new.shape[1])).values
    missing = F.relu(margin - cosines.gather(1, labels[:, None]) + nearest).mean(1)
    old = labels < n_old
    return (missing * old).sum() / old.sum().clamp(min=1)
