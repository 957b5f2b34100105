"""BiC: two numbers correct the newest classes' logits (Wu et al., CVPR 2019)."""

from dataclasses import dataclass
from math import ceil
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import grad, jacrev, vmap

from cilkit.config import Between
from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.heads import CorrectedClassifier
from cilkit.inference import in_chunks
from cilkit.machine.seeds import seed_for
from cilkit.memory import choose_at_random, positions_by_class
from cilkit.methods.replay_kd import ReplayKD

HALVES = 0.5 ** torch.arange(20, dtype=torch.float64)


class BiC(ReplayKD):
    """Replay and distillation; then alpha and beta, fitted on images that were held out.

    The paper fits them by gradient descent. With the network fixed the loss is convex
    in the two, so here Newton's method finds the very minimum, on logits computed once; nothing
    else moves. A stage's two numbers stay as they are ever after; the teacher has them, too.
    """

    classifier = CorrectedClassifier

    @dataclass(frozen=True, kw_only=True)
    class Settings(ReplayKD.Settings):
        """What is held out, and how far the correction may go."""

        # share of an old class's exemplars; of a new class as many images
        held_out: Annotated[float, Between(1e-6, 0.9)] = 0.1
        # pull of alpha to 1 and of beta to 0: without one, held-out images that can be told apart
        # without an error send both to infinity
        correction_decay: Annotated[float, Between(1e-9, 10)] = 1e-3

        @property
        def least(self) -> int:
            """Return how many exemplars a class needs: one to train on, one to hold out."""
            return 2

    config: Settings

    def dealt(self, stage: Stage) -> tuple[Samples, Samples]:
        """Return what to train on, and what is held out: of each class as many images.

        Nothing is held out if some class has but one image.
        """
        everything = stage.train + self.memory.exemplars
        places = positions_by_class(everything.labels)
        fewest = min(map(len, places.values()))
        count = min(ceil(self.config.held_out * fewest), fewest - 1)
        held = torch.zeros(len(everything), dtype=torch.bool)
        for label, where in places.items():
            seed = seed_for(self.config.seed, stage.index, label)
            held[where[choose_at_random(where, count, seed)]] = True
        return everything.take(~held), everything.take(held)

    def samples(self, stage: Stage) -> Samples:
        """Leave out, from the second stage on, what is held out."""
        return self.dealt(stage)[0] if stage.n_old else super().samples(stage)

    def end(self, stage: Stage) -> dict[str, float]:
        """Correct first: the corrected model is tested, and teaches."""
        if stage.n_old == 0:
            return super().end(stage)
        held = self.dealt(stage)[1]
        logits = in_chunks(self.model, held, self.model).double()
        both = correction(logits, held.labels, stage.n_old, self.config.correction_decay)
        classifier = self.model.classifier
        assert isinstance(classifier, CorrectedClassifier)
        classifier.corrections[-1] = both.float()
        return {"alpha": both[0].item(), "beta": both[1].item()} | super().end(stage)


def correction(logits: Tensor, labels: Tensor, n_old: int, decay: float) -> Tensor:
    """Return alpha and beta, with which `alpha * new + beta` has the least cross-entropy.

    Logits (N, C) in float64, the first `n_old` columns of them old, and labels (N,) -> (2,).
    `decay` pulls both to 1 and 0. Newton's method, each step the best of twenty lengths, until
    rounding stops it.
    """
    best = unmoved = logits.new_tensor([1.0, 0.0])

    def loss(both: Tensor) -> Tensor:
        new = both[0] * logits[:, n_old:] + both[1]
        corrected = torch.cat([logits[:, :n_old], new], dim=1)
        pull = decay / 2 * (both - unmoved).square().sum()
        return pull + (F.cross_entropy(corrected, labels) if len(labels) else 0.0)

    for _ in range(30):
        step = torch.linalg.solve(jacrev(grad(loss))(best), grad(loss)(best))
        tried = best - HALVES[:, None] * step
        best = tried[vmap(loss)(tried).argmin()]
    return best
