"""The learner: all that changes in an experiment. As it stands, it is fine-tuning. Chapter 2."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Config
from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.heads import CilClassifier
from cilkit.memory import Memory
from cilkit.model import CilModel, Seen
from cilkit.plan import Plan
from cilkit.progress import Progress


class Phase(NamedTuple):
    """One training: on what, and by which plan. Epochs count on through a stage's phases."""

    samples: Samples
    plan: Plan


def phases_left(phases: Iterable[Phase], epoch: int) -> Iterator[tuple[Phase, int]]:
    """Yield the phases that are not over when an epoch begins, each with its first epoch."""
    first = 0
    for phase in phases:
        if epoch < first + phase.plan.epochs:
            yield phase, first
        first += phase.plan.epochs


class Learner:
    """A model, and what a method remembers beside it.

    In each stage `learn` calls `grow`; `begin`, once; `phases`; for each batch `losses` and
    `stepped`; `end`, once, and `aside`, which says what was done beside the training. A test looks
    at `scores`. A method overrides those it needs. What it remembers beside model, teacher and
    memory it puts in `own`, by name: that is saved, restored, and compared between processes.
    """

    classifier: ClassVar[type[CilClassifier]] = CilClassifier
    backbone: ClassVar[Mapping[str, Any]] = {}  # options of `build_backbone`
    # Attributes that `__init__`, `grow` or `samples` makes, always alike: no checkpoint has them.
    remade: ClassVar[tuple[str, ...]] = ()

    # About how long a step takes after the first stage, beside one of the first: for the time left.
    later: ClassVar[float] = 1.0

    @dataclass(frozen=True, kw_only=True)
    class Settings(Config):
        """The settings of fine-tuning: those that all methods have."""

    def __init__(self, model: CilModel, config: Any) -> None:
        """Start before the first stage; `config` is an instance of `Settings`."""
        self.model, self.config = model, config
        self.teacher: CilModel | None = None
        self.memory = Memory(config)
        self.own: dict[str, Tensor] = {}
        self.progress = Progress()

    def grow(self, stage: Stage) -> None:
        """Give the model this stage's shape, freeze what learns no more.

        Twice is as good as once; a checkpoint's weights are loaded after it.
        """
        self.model.grow_to(stage.n_seen)

    def begin(self, stage: Stage) -> None:
        """Prepare the new weights, and what is remembered, before the first step."""

    def samples(self, stage: Stage) -> Samples:
        """Return what to train on; asked again when a stage goes on, with the same answer."""
        return stage.train

    def phases(self, stage: Stage) -> Sequence[Phase]:
        """Return the trainings of this stage: one, several, or none."""
        return [Phase(self.samples(stage), self.config.plan(stage.index))]

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Return named losses, weighted, ready to be summed: labels (B,) -> name: ()."""
        smoothing = self.config.label_smoothing
        return {"ce": F.cross_entropy(seen.logits, labels, label_smoothing=smoothing)}

    def stepped(self) -> None:
        """Look at the model after a step: clip its weights, say."""

    def end(self, stage: Stage) -> dict[str, float]:
        """Finish the stage: repair and remember; return facts for the record."""
        return {}

    def aside(self, stage: Stage, look: float) -> float:
        """Return the FLOPs of what `begin` and `end` do; those of a look at an image are `look`.

        Whoever keeps exemplars has looked at all new images to choose them.
        """
        return look * len(stage.train) if len(self.memory) else 0.0

    def scores(self, seen: Seen) -> Tensor:
        """Return what a test looks at, (B, n): the class of the highest is the answer."""
        return seen.logits
