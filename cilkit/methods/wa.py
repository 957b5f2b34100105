"""WA: exemplars, distillation and weight alignment (Zhao et al., CVPR 2020). Chapter 5."""

from dataclasses import dataclass

from cilkit.data.scenario import Stage
from cilkit.functional import alignment
from cilkit.methods.replay_kd import ReplayKD


class WA(ReplayKD):
    """Replay and distillation; then the new prototypes get the old ones' mean length."""

    @dataclass(frozen=True, kw_only=True)
    class Settings(ReplayKD.Settings):
        """What alignment may do."""

        align_bias: bool = False  # gamma scales the new classes' bias too
        clip_weights: bool = False  # clip the classifier's weights at zero after each step

        @property
        def shares_first_stage(self) -> bool:
            """Tell whether it is plain cross-entropy: clipping begins with the first stage."""
            return not self.clip_weights

        def without_effect(self) -> list[tuple[bool, str]]:
            """Return what is asked for and would change nothing."""
            sentence = "align_bias needs a bias: head_bias"
            return [*super().without_effect(), (self.align_bias and not self.head_bias, sentence)]

    config: Settings

    def stepped(self) -> None:
        """Keep all weights from falling below zero, if asked."""
        if self.config.clip_weights:
            self.model.classifier.clip()

    def end(self, stage: Stage) -> dict[str, float]:
        """Align first: the aligned model is tested, teaches, and is where the next stage starts."""
        if stage.n_old == 0:
            return super().end(stage)
        classifier = self.model.classifier
        gamma = alignment(classifier.weight, stage.n_old).item()
        classifier.scale_newest(gamma, bias=self.config.align_bias)
        return {"gamma": gamma} | super().end(stage)
