"""Ridge regression on frozen features: nothing is forgotten (ACIL, Zhuang et al., NeurIPS 2022)."""

from dataclasses import dataclass
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Between
from cilkit.data.scenario import Stage
from cilkit.inference import CHUNK, features_of
from cilkit.machine.devices import copy_on, for_float64
from cilkit.machine.seeds import seed_for
from cilkit.methods.frozen import Untrained
from cilkit.model import Seen


class Ridge(Untrained):
    """The solution for all images so far, out of two sums to which each stage adds its images.

    ACIL updates the inverse of the same matrix, stage by stage; sums say the same, and the order
    of stages, of chunks and of images makes no difference.
    """

    @dataclass(frozen=True, kw_only=True)
    class Settings(Untrained.Settings):
        """How simple the solution is, and in how many features."""

        ridge: Annotated[float, Between(1e-9, 1e9)] = 1.0  # what the squares of the weights cost
        # random features that the backbone's are made into; 0: none, its own
        expansion: Annotated[int, Between(0, 65536)] = 0

    config: Settings

    def end(self, stage: Stage) -> dict[str, float]:
        """Add the new images to the sums, and solve again for all classes."""
        features, labels = features_of(self.model, stage.train), stage.train.labels
        if stage.n_old == 0:
            self.own = self.nothing_seen(features.shape[1])
        own = self.own
        own["sums"] = F.pad(own["sums"], (0, 0, 0, stage.n_seen - stage.n_old))
        for some, theirs in zip(features.split(CHUNK), labels.split(CHUNK), strict=True):
            rows = self.expanded(some.to(self.model.device))
            own["gram"] += rows.T @ rows
            own["sums"] += F.one_hot(theirs, stage.n_seen).to(rows).T @ rows
        cost = self.config.ridge * torch.eye(len(own["gram"])).to(own["gram"])
        own["weight"] = torch.linalg.solve(own["gram"] + cost, own["sums"].T).T
        return super().end(stage)

    def nothing_seen(self, num_features: int) -> dict[str, Tensor]:
        """Return empty sums, and the directions of the expansion, if one is asked for."""
        seed, width = self.config.seed, self.config.expansion
        generator = torch.Generator().manual_seed(seed_for(seed, width))
        directions = torch.randn(num_features, width, generator=generator, dtype=torch.float64)
        size = width or num_features
        empty = {"gram": torch.zeros(size, size), "sums": torch.zeros(0, size)}
        own = empty | {"directions": directions / num_features**0.5}
        return {name: copy_on(self.model.device, one.double()) for name, one in own.items()}

    def expanded(self, features: Tensor) -> Tensor:
        """(B, num_features) -> (B, width), in float64, where there is such a thing."""
        rows = features.to(for_float64(features.device)).double()
        return (rows @ self.own["directions"]).relu() if self.config.expansion else rows

    def aside(self, stage: Stage, look: float) -> float:
        """Count the expansion, the sums and the solution, too: they may be most of it."""
        count, width = len(stage.train), len(self.own["gram"])
        expanded = self.model.classifier.num_features if self.config.expansion else 0
        sums = 2 * count * width * (expanded + width + stage.n_seen)
        solution = 2 * width**2 * (width / 3 + stage.n_seen)
        return super().aside(stage, look) + sums + solution

    def scores(self, seen: Seen) -> Tensor:
        """Let the solution answer, once there is one."""
        if "weight" not in self.own:
            return seen.logits
        return self.expanded(seen.features) @ self.own["weight"].T
