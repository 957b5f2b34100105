"""Replay: train on the new classes and on a few stored exemplars of the old ones. Chapter 3."""

from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.inference import features_of
from cilkit.learner import Learner


class Replay(Learner):
    """Fine-tuning that rehearses: a memory of exemplars joins the data of each stage."""

    def begin(self, stage: Stage) -> Samples:
        """Mix the exemplars of the old classes into the new data."""
        return super().begin(stage) + self.memory.exemplars

    def end(self, stage: Stage) -> dict[str, float]:
        """Keep exemplars of the new classes, and fewer of the old ones where the budget asks it."""
        self.memory.add(stage.train, features_of(self.model, stage.train), stage.n_seen)
        return super().end(stage)
