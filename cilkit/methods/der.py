"""DER: a backbone for each stage, the old ones at rest (Yan et al., CVPR 2021)."""

from copy import deepcopy
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cilkit.config import Weight
from cilkit.data.scenario import Stage
from cilkit.functional import alignment
from cilkit.heads import CilClassifier
from cilkit.methods.replay import Replay
from cilkit.model import CilModel, Seen


class Backbones(nn.ModuleList):
    """Backbones side by side, and so their features."""

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, backbones * D)."""
        return torch.cat([backbone(images) for backbone in self], dim=1)


class WideningClassifier(CilClassifier):
    """Heads that take more features as stages go by, and an auxiliary head for the newest ones.

    Logits are what they were when features come: their weights are 0 at first.
    """

    auxiliary: nn.Linear  # the newest features -> one logit for all old classes, then the new ones'

    def widen(self, more: int, n_old: int, n_classes: int) -> None:
        """Take `more` features than before, and add a head; draw a new auxiliary head."""
        self.num_features += more
        for head in self.heads:
            silent = head.weight.new_zeros(len(head.weight), more)
            head.weight = nn.Parameter(torch.cat([head.weight.detach(), silent], dim=1))
        self.grow_to(n_classes)
        self.auxiliary = nn.Linear(more, 1 + n_classes - n_old)


class DER(Replay):
    """Replay in which each stage has a backbone of its own; prototypes are aligned as in WA.

    A new backbone starts as a copy of the last one, and old ones stay in evaluation mode. As in
    PyCIL, nothing is pruned, and WA's alignment takes the place of training the head anew on
    balanced data. The network that grows is a second memory: each stage's record says how large it
    is.
    """

    classifier = WideningClassifier

    @dataclass(frozen=True, kw_only=True)
    class Settings(Replay.Settings):
        """What the newest backbone is asked for by itself."""

        auxiliary_weight: Weight = 1.0  # of telling new classes apart, and from all old ones

    config: Settings

    def grow(self, stage: Stage) -> None:
        """Add a backbone from the second stage on, and freeze the others."""
        model, head = self.model, head_of(self.model)
        if not isinstance(model.backbone, Backbones):
            model.backbone = Backbones([model.backbone])
        if stage.n_old and head.n_classes < stage.n_seen:
            width = head.num_features // len(model.backbone)
            model.backbone.append(deepcopy(model.backbone[-1]).requires_grad_())
            head.widen(width, stage.n_old, stage.n_seen)
        super().grow(stage)
        model.backbone[:-1].requires_grad_(False)

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Ask the newest features by themselves, too: which new class, or any old one?"""
        losses = super().losses(seen, labels)
        head = head_of(self.model)
        if len(head.heads) == 1:
            return losses
        n_old = head.n_classes - head.head_sizes[-1]
        told = head.auxiliary(seen.features[:, -head.auxiliary.in_features :])
        wrong = F.cross_entropy(told, (labels - n_old + 1).clamp(min=0))
        return losses | {"auxiliary": self.config.auxiliary_weight * wrong}

    def end(self, stage: Stage) -> dict[str, float]:
        """Align the new prototypes, as WA does."""
        if stage.n_old == 0:
            return super().end(stage)
        head = head_of(self.model)
        gamma = alignment(head.weight, stage.n_old).item()
        head.scale_newest(gamma)
        return {"gamma": gamma} | super().end(stage)


def head_of(model: CilModel) -> WideningClassifier:
    """Return the head, which knows how to widen."""
    assert isinstance(model.classifier, WideningClassifier)
    return model.classifier
