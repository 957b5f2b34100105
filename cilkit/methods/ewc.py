"""EWC: hold each weight as much as it mattered (Kirkpatrick et al., PNAS 2017)."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, grad, vmap

from cilkit.config import Between, Config
from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.learner import Learner
from cilkit.machine.arithmetic import PLAIN
from cilkit.model import CilModel, Seen

CHUNK = 32  # images whose gradients are in memory at once


class EWC(Learner):
    """Fine-tuning with a spring at each weight, as stiff as its entry of Fisher's diagonal.

    The paper has a spring for each stage (Eq. 3). Here, as in PyCIL, there is one: its stiffness is
    the mean over the classes seen so far, its rest where the last stage ended. No exemplars.
    """

    @dataclass(frozen=True, kw_only=True)
    class Settings(Config):
        """How stiff the springs are."""

        ewc_lambda: Annotated[float, Between(0, 1e9)] = 1000.0  # how strongly weights are held
        # the most that an entry of Fisher's diagonal counts: a spring that is too stiff for the
        # learning rate makes weights swing further and further
        fisher_most: Annotated[float, Between(1e-12, 1e9)] = 1e-4

    config: Settings

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Add the springs' energy, from the second stage on."""
        losses = super().losses(seen, labels)
        if not self.own:
            return losses
        energies = [
            (self.own[f"fisher.{name}"] * (weight - self.own[f"rest.{name}"]).square()).sum()
            for name, weight in self.model.named_parameters()
            if f"rest.{name}" in self.own  # a new head moves freely
        ]
        return losses | {"ewc": self.config.ewc_lambda / 2 * torch.stack(energies).sum()}

    def end(self, stage: Stage) -> dict[str, float]:
        """Fasten the springs where the weights are, stiffer where they mattered to this stage."""
        share, most = stage.n_old / stage.n_seen, self.config.fisher_most
        fisher = fisher_diagonal(self.model, stage.train)
        for name, weight in self.model.named_parameters():
            new = fisher[name].clamp(max=most)
            self.own[f"fisher.{name}"] = new.lerp(self.own.get(f"fisher.{name}", new), share)
            self.own[f"rest.{name}"] = weight.detach().clone()
        return super().end(stage)

    def aside(self, stage: Stage, look: float) -> float:
        """Count each new image's slope: a way back is worth two ways forth."""
        return 3 * look * len(stage.train)


def fisher_diagonal(model: CilModel, samples: Samples) -> dict[str, Tensor]:
    """Return, for each weight, the mean over images of the squared slope of log p(label | image).

    Each image's slope is squared, not that of a batch's mean, which would be smaller by about the
    size of the batch. In evaluation mode, in float32; labels are the true ones (the "empirical"
    Fisher).
    """
    still = model.frozen_copy().eval()
    still.arithmetic = PLAIN  # what `vmap` knows
    weights = {name: weight.detach() for name, weight in model.named_parameters()}
    found = {name: torch.zeros_like(weight) for name, weight in weights.items()}

    def loss(weights: dict[str, Tensor], image: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(still, weights, image[None]), label[None])

    for positions in torch.arange(len(samples)).split(CHUNK):
        some = samples.take(positions)
        images, labels = some.images().to(model.device), some.labels.to(model.device)
        for name, slopes in vmap(grad(loss), (None, 0, 0))(weights, images, labels).items():
            found[name] += slopes.square().sum(0) / len(samples)
    return found
