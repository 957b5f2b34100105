"""WA: exemplars, distillation and weight alignment (Zhao et al., CVPR 2020). Chapter 5."""

from cilkit.data.scenario import Stage
from cilkit.functional import alignment
from cilkit.methods.replay_kd import ReplayKD


class WA(ReplayKD):
    """Replay and distillation; then the new prototypes get the old ones' mean length."""

    def end(self, stage: Stage) -> dict[str, float]:
        """Align first: the aligned model is tested, teaches, and is where the next stage starts."""
        if stage.n_old == 0:
            return super().end(stage)
        classifier = self.model.classifier
        gamma = alignment(classifier.weight, stage.n_old).item()
        classifier.scale_newest(gamma, bias=self.config.align_bias)
        return {"gamma": gamma} | super().end(stage)
