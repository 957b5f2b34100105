"""Joint training: keep all data of all stages, as if nothing had to be forgotten. Chapter 2."""

from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.learner import Learner


class Joint(Learner):
    """The upper bound that class-incremental learning is measured against.

    Each stage goes on from the weights of the one before, as all methods here do; others train a
    new network on all data, from nothing.
    """

    def samples(self, stage: Stage) -> Samples:
        """Train on every class seen so far, with all of its images."""
        return stage.train_so_far
