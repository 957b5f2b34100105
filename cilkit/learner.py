"""The learner: all that changes in an experiment. As it stands, it is fine-tuning. Chapter 2."""

from math import isfinite
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Config
from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.machine.processes import average_statistics
from cilkit.machine.stopping import stop_if_asked
from cilkit.memory import Memory
from cilkit.model import CilModel
from cilkit.progress import Means


class Learner:
    """A model, and what a method remembers beside it.

    `learn` calls the three verbs in this order, in each stage: `begin` once, `losses` for each
    batch, `end` once. A method overrides those it needs. `begin` may be called twice, so it only
    ever adds what is missing; it is how an interrupted stage goes on.
    """

    # True while every method's first stage is plain cross-entropy: `compare` trains it only once.
    shares_first_stage: ClassVar[bool] = True
    # Attributes that `__init__` or `begin` makes, always the same: no checkpoint needs them.
    remade: ClassVar[tuple[str, ...]] = ()

    def __init__(self, model: CilModel, config: Config) -> None:
        """Start before the first stage."""
        self.model, self.config = model, config
        self.teacher: CilModel | None = None
        self.memory = Memory(config)
        self.stage, self.epoch, self.step = 0, 0, 0  # the next to be done
        self.means = Means()  # of the epoch so far

    def begin(self, stage: Stage) -> Samples:
        """Make room for the new classes; return the samples to train on."""
        self.model.grow_to(stage.n_seen)
        return stage.train

    def losses(self, images: Tensor, logits: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Return named losses, weighted, ready to be summed.

        (B, C, H, W), (B, n_seen), (B,) -> name: ().
        """
        return {"ce": F.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)}

    def end(self, stage: Stage) -> dict[str, float]:
        """Finish the stage: repair and remember; return facts for the record."""
        return {}

    def start_optimizer(self) -> None:
        """Build the optimizer for the stage that is due; it stays until the stage is finished."""
        config = self.config
        self.optimizer: torch.optim.Optimizer = torch.optim.SGD(
            self.model.parameters(),
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.plan(self.stage).weight_decay,
        )
        if config.clip_weights:
            self.optimizer.register_step_post_hook(lambda *_: self.model.classifier.clip())

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of all parameters."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def finish_step(self, count: int, values: dict[str, Tensor]) -> None:
        """Count a step of `count` images; raise `Stopped` if somebody wants the program to end."""
        self.means.add(count, values)
        self.step += 1
        stop_if_asked(self.step)

    def finish_epoch(self) -> dict[str, float]:
        """Go on to the next epoch; return the means of this one.

        Raises `FloatingPointError` if a loss is not a number any more.
        """
        average_statistics(self.model)
        means = self.means.over_processes()
        if lost := [name for name, value in means.items() if not isfinite(value)]:
            raise FloatingPointError(
                f"{lost[0]} is {means[lost[0]]} in stage {self.stage + 1}, epoch {self.epoch + 1}, "
                f"process {self.means.worst_process()}; a lower learning rate may help"
            )
        state = self.model.state_dict()
        if broken := [name for name, tensor in state.items() if not tensor.isfinite().all()]:
            raise FloatingPointError(
                f"{broken[0]} is not finite after stage {self.stage + 1}, epoch {self.epoch + 1}; "
                f"a lower learning rate may help"
            )
        self.epoch, self.step, self.means = self.epoch + 1, 0, Means()
        return means

    def finish_stage(self) -> None:
        """Go on to the next stage; its optimizer starts anew."""
        self.stage, self.epoch = self.stage + 1, 0
        del self.optimizer
