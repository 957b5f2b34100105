"""LwF: imitate the previous model while learning (Li and Hoiem, ECCV 2016). Chapter 4."""

from torch import Tensor

from cilkit.learner import Learner
from cilkit.methods.distilling import Distilling
from cilkit.model import Seen


class AmongNew(Learner):
    """Fine-tuning in which only the new classes compete for a label."""

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Leave the old classes out: no image here is theirs, so each would push them down."""
        n_old = seen.logits.shape[1] - self.model.classifier.head_sizes[-1]
        return super().losses(seen._replace(logits=seen.logits[:, n_old:]), labels - n_old)


class LwF(Distilling, AmongNew):
    """A teacher for the old classes and labels for the new ones, without exemplars.

    The paper trains the new head alone at first; here, as in PyCIL, all is trained from the start.
    """
