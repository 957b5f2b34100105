"""A backbone that learns in the first stage alone: what later stages add, its features must do."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cilkit.config import Config
from cilkit.data.scenario import Stage
from cilkit.learner import Learner, Phase


class FrozenBackbone(Learner):
    """Fine-tuning whose backbone changes no more after the first stage."""

    later: ClassVar[float] = 1 / 3  # no gradients go through the backbone

    @dataclass(frozen=True, kw_only=True)
    class Settings(Config):
        """Nothing of its own: `pretrained` freezes the backbone from the start."""

        @property
        def shares_first_stage(self) -> bool:
            """Tell whether the first stage is plain fine-tuning."""
            return not self.pretrained

    config: Settings

    def is_frozen(self, stage: Stage) -> bool:
        """Tell whether the backbone stays as it is in this stage."""
        return stage.n_old > 0 or self.config.pretrained

    def grow(self, stage: Stage) -> None:
        """Add a head; freeze the backbone where it has learned enough."""
        super().grow(stage)
        if self.is_frozen(stage):
            self.model.freeze("backbone")

    def aside(self, stage: Stage, look: float) -> float:
        """Count the look at each new image, of which something is remembered."""
        return look * len(stage.train)


class Untrained(FrozenBackbone):
    """No step of training on frozen features: whatever is learned from them has a closed form."""

    later: ClassVar[float] = 0.0

    def phases(self, stage: Stage) -> Sequence[Phase]:
        """Train while the backbone learns, then no more."""
        if self.is_frozen(stage):
            return []
        return super().phases(stage)
