"""Replay: train on the new classes and on a few stored exemplars of the old ones. Chapter 3."""

from dataclasses import dataclass

from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.inference import features_of
from cilkit.learner import Learner
from cilkit.memory import MemorySettings


class Replay(Learner):
    """Fine-tuning that rehearses: a memory of exemplars joins the data of each stage."""

    @dataclass(frozen=True, kw_only=True)
    class Settings(MemorySettings):
        """How many exemplars are kept, and how they are chosen."""

    def samples(self, stage: Stage) -> Samples:
        """Mix the exemplars of the old classes into the new data."""
        return super().samples(stage) + self.memory.exemplars

    def end(self, stage: Stage) -> dict[str, float]:
        """Keep exemplars of the new classes, and fewer of the old ones where the budget asks it."""
        self.memory.add(stage.train, features_of(self.model, stage.train), stage.n_seen)
        return super().end(stage)
