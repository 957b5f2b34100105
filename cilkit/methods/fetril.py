"""FeTrIL: old classes as new images' features, moved (Petit et al., WACV 2023)."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Decay, Rate
from cilkit.data.scenario import Stage
from cilkit.inference import features_of
from cilkit.learner import Phase
from cilkit.methods.frozen import FrozenBackbone
from cilkit.methods.nearest_mean import class_means
from cilkit.model import Seen


class FeTrIL(FrozenBackbone):
    """A head trained on new images and on pseudo-features of old classes; only means are kept."""

    @dataclass(frozen=True, kw_only=True)
    class Settings(FrozenBackbone.Settings):
        """How the head is trained where it learns alone."""

        head_lr: Rate = 0.05  # its learning rate at its highest
        head_weight_decay: Decay = 5e-4  # pull of its weights towards zero

    config: Settings

    def phases(self, stage: Stage) -> Sequence[Phase]:
        """Train the head by its own settings on frozen features: their scale is the network's."""
        phases = super().phases(stage)
        if not self.is_frozen(stage):
            return phases
        lr, decay = self.config.head_lr, self.config.head_weight_decay
        return [one._replace(plan=one.plan._replace(lr=lr, weight_decay=decay)) for one in phases]

    def begin(self, stage: Stage) -> None:
        """Look at the new classes' means: the backbone learns no more."""
        super().begin(stage)
        if stage.n_old:
            self.remember(stage)

    def end(self, stage: Stage) -> dict[str, float]:
        """Keep the first classes' means, now that the backbone has learned them."""
        if stage.n_old == 0:
            self.remember(stage)
        return super().end(stage)

    def remember(self, stage: Stage) -> None:
        """Add the new classes' means."""
        new = class_means(features_of(self.model, stage.train), stage.train.labels)
        new = new.to(self.model.device)
        self.own["means"] = torch.cat([self.own.get("means", new[:0]), new])

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Learn new classes from images and old ones from pseudo-features, each class as much."""
        losses = super().losses(seen, labels)
        n_new, n_seen = self.model.classifier.head_sizes[-1], seen.logits.shape[1]
        if n_new == n_seen:
            return losses
        moved, classes = self.moved(seen.features, labels, n_seen - n_new)
        logits, smoothing = self.model.classifier(moved), self.config.label_smoothing
        pseudo = F.cross_entropy(logits, classes, reduction="sum", label_smoothing=smoothing)
        share = n_new / n_seen  # an old class has as many pseudo-features as its likest has images
        return {"ce": share * losses["ce"], "pseudo": share * pseudo / len(labels)}

    def moved(self, features: Tensor, labels: Tensor, n_old: int) -> tuple[Tensor, Tensor]:
        """Move features to each old class whose likest new class is theirs: (P, D), (P,).

        The likest is the one whose mean has the largest cosine with the old class's mean.
        """
        old, new = self.own["means"].tensor_split([n_old])
        likest = n_old + (F.normalize(old) @ F.normalize(new).T).argmax(1)
        rows, classes = (labels[:, None] == likest).nonzero(as_tuple=True)
        return features[rows] + old[classes] - self.own["means"][labels[rows]], classes
