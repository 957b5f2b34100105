"""PODNet: pooled maps stay, a class has several prototypes (Douillard et al., ECCV 2020)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Between, Rate, Weight
from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.heads import CosineClassifier
from cilkit.learner import Phase
from cilkit.machine.seeds import seed_for
from cilkit.memory import choose_at_random, positions_by_class
from cilkit.methods.cosine import CosineReplay, feature_loss
from cilkit.model import CilModel, Seen
from cilkit.plan import Plan


class PODNet(CosineReplay):
    """A cosine head of several prototypes, a teacher of features and of maps, a second training.

    The second one is short, on as many images of each class. New prototypes start at
    random, as in PyCIL; the authors look for them by k-means.
    """

    backbone: ClassVar[Mapping[str, Any]] = {"last_relu": False, "shows_maps": True}

    @dataclass(frozen=True, kw_only=True)
    class Settings(CosineReplay.Settings):
        """How much stays where it is, and how the balanced training goes."""

        proxies: Annotated[int, Between(1, 1e4)] = 10  # prototypes of each class
        flat_weight: Weight = 1.0  # of features that turn, times sqrt(n_seen / n_new)
        pod_weight: Weight = 5.0  # of pooled maps that move, times the same
        # of the balanced training; 0: none
        tuning_epochs: Annotated[int, Between(0, 1e5)] = 20
        tuning_lr: Rate = 0.005  # its learning rate at its highest

        def without_effect(self) -> list[tuple[bool, str]]:
            """Return what is asked for and would change nothing."""
            sentence = "label_smoothing is the cross-entropy's, which podnet does not have"
            return [*super().without_effect(), (self.label_smoothing > 0, sentence)]

    config: Settings

    def __init__(self, model: CilModel, config: Settings) -> None:
        """Start before the first stage, with a head of so many prototypes for each class."""
        super().__init__(model, config)
        assert isinstance(model.classifier, CosineClassifier)
        model.classifier.proxies = config.proxies

    def phases(self, stage: Stage) -> Sequence[Phase]:
        """Train twice from the second stage on; the second time on a balanced set."""
        phases = super().phases(stage)
        config = self.config
        if stage.n_old == 0 or config.tuning_epochs == 0:
            return phases
        weight_decay = phases[0].plan.weight_decay
        plan = Plan(config.tuning_epochs, config.tuning_lr, weight_decay)
        return [*phases, Phase(self.balanced(stage), plan)]

    def balanced(self, stage: Stage) -> Samples:
        """Return as many images of each class as the memory will have room for."""
        samples, count = self.samples(stage), self.memory.share(stage.n_seen)
        chosen = [
            where[choose_at_random(where, count, seed_for(self.config.seed, stage.index, label))]
            for label, where in positions_by_class(samples.labels).items()
        ]
        return samples.take(torch.cat(chosen))

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Tell classes apart, and hold what the teacher makes of the images."""
        losses = {"nca": nca_loss(seen.logits, labels)}
        if self.teacher is None:  # the first stage has nothing to forget
            return losses
        taught, config = self.teacher.see(seen.images), self.config
        n_seen = seen.logits.shape[1]
        scale = sqrt(n_seen / (n_seen - taught.logits.shape[1]))
        turned = feature_loss(seen.features, taught.features)
        moved = pod_loss(seen.maps, taught.maps)
        weighted = {"flat": config.flat_weight * turned, "pod": config.pod_weight * moved}
        return losses | {name: scale * loss for name, loss in weighted.items()}


def pod_loss(maps: Sequence[Tensor], taught: Sequence[Tensor]) -> Tensor:
    """Return how far pooled maps are from the teacher's: mean over groups and images.

    Each group's maps are (B, C, H, W) -> (). PODNet's POD-spatial.
    """
    pairs = zip(maps, taught, strict=True)
    return torch.stack(
        [(pooled(one) - pooled(other)).norm(dim=1).mean() for one, other in pairs]
    ).mean()


def pooled(maps: Tensor) -> Tensor:
    """Return squares summed over each row and over each column: (B, C, H, W) -> (B, C (H + W)).

    Each image's sums have length 1, as in the authors' code.
    """
    squares = maps.float().square()
    return F.normalize(torch.cat([squares.sum(3).flatten(1), squares.sum(2).flatten(1)], dim=1))


def nca_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the authors' NCA loss as their code computes it: (B, n) and (B,) -> ().

    The paper has a margin, and a denominator without the true class. In the code, and in
    PyCIL's, the margin is subtracted from all similarities, so that it cancels, and the true
    class stays in the denominator, with the highest logit in place of its own: where an image is
    classified rightly, this is cross-entropy.
    """
    true, highest = logits.gather(1, labels[:, None]), logits.amax(1, keepdim=True)
    others = logits.scatter(1, labels[:, None], highest)
    return (others.logsumexp(1) - true.squeeze(1)).mean()
