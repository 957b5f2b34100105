"""iCaRL: the nearest mean of exemplars answers (Rebuffi et al., CVPR 2017)."""

import torch.nn.functional as F

from cilkit.data.scenario import Stage
from cilkit.inference import features_of
from cilkit.methods.nearest_mean import NearestMean, class_means
from cilkit.methods.replay_kd import ReplayKD


class ICaRL(NearestMean, ReplayKD):
    """Replay and distillation; then the classes' mean exemplars answer, and not the head.

    The paper trains a sigmoid for each class; here, as in PyCIL, the losses are `ReplayKD`'s.
    """

    def begin(self, stage: Stage) -> None:
        """Forget the means: they are those of a network that is about to change."""
        super().begin(stage)
        self.own.clear()

    def end(self, stage: Stage) -> dict[str, float]:
        """Compute the means of all classes with the network as it is now (Algorithm 1)."""
        facts = super().end(stage)
        kept = self.memory.exemplars
        means = class_means(F.normalize(features_of(self.model, kept)), kept.labels)
        self.own["means"] = F.normalize(means).to(self.model.device)
        return facts

    def aside(self, stage: Stage, look: float) -> float:
        """Count the look at each exemplar, too."""
        return super().aside(stage, look) + look * len(self.memory)
