"""The learner: all that changes in an experiment. As it stands, it is fine-tuning. Chapter 2."""

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Config
from cilkit.data import Samples, Stage
from cilkit.fingerprint import fingerprint
from cilkit.memory import Memory
from cilkit.model import CilModel


class Learner:
    """A model, and what a method remembers beside it.

    `learn` calls the three verbs in this order, in each stage: `begin` once, `losses` for each
    batch, `end` once. A method overrides those it needs. `begin` may be called twice, so it only
    ever adds what is missing; it is how an interrupted stage goes on.
    """

    # True while every method's first stage is plain cross-entropy: `compare` trains it only once.
    shares_first_stage: ClassVar[bool] = True

    def __init__(self, model: CilModel, config: Config) -> None:
        """Start before the first stage."""
        self.model, self.config = model, config
        self.teacher: CilModel | None = None
        self.memory = Memory(config)
        self.stage, self.epoch = 0, 0  # the next to be done
        self.momentum: dict[str, Tensor] = {}  # of a restored optimizer, until it is built

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
        """Build the optimizer for the stage that is due; in a resumed stage, as it was."""
        config, parameters = self.config, dict(self.model.named_parameters())
        self.optimizer = torch.optim.SGD(
            parameters.values(),
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.plan(self.stage).weight_decay,
        )
        if config.clip_weights:
            self.optimizer.register_step_post_hook(lambda *_: self.model.classifier.clip())
        for name, buffer in self.momentum.items():
            self.optimizer.state[parameters[name]]["momentum_buffer"] = buffer.to(
                self.model.device, copy=True
            )
        self.momentum = {}

    def set_lr(self, lr: float) -> None:
        """Set the learning rate of all parameters."""
        for group in self.optimizer.param_groups:
            group["lr"] = lr

    def finish_stage(self) -> None:
        """Go on to the next stage; its optimizer starts anew."""
        self.stage, self.epoch = self.stage + 1, 0
        del self.optimizer

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return what a checkpoint must hold: named tensors, and numbers."""
        tensors = {f"model.{k}": v for k, v in self.model.state_dict().items()}
        numbers = {
            "stage": self.stage,
            "epoch": self.epoch,
            "heads": self.model.classifier.head_sizes,
        }
        if self.teacher is not None:
            tensors |= {f"teacher.{k}": v for k, v in self.teacher.state_dict().items()}
            numbers["teacher_heads"] = self.teacher.classifier.head_sizes
        tensors |= {f"memory.{k}": v for k, v in self.memory.state().items()}
        tensors |= {f"momentum.{k}": v for k, v in self.momentum_buffers().items()}
        return tensors, numbers

    def momentum_buffers(self) -> dict[str, Tensor]:
        """Return the optimizer's memory of each parameter, in the middle of a stage."""
        if self.epoch == 0:
            return {}
        named = self.model.named_parameters()
        states = ((name, self.optimizer.state[parameter]) for name, parameter in named)
        return {
            name: state["momentum_buffer"]
            for name, state in states
            if state.get("momentum_buffer") is not None
        }

    def fingerprint(self) -> str:
        """Return one text for the whole state; processes, or runs, that agree have the same."""
        tensors, numbers = self.state()
        return fingerprint(tensors, str(numbers))

    def restore(self, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
        """Become what `state` described; nothing of what was before remains."""

        def part(name: str) -> dict[str, Tensor]:
            return {
                k.removeprefix(f"{name}."): v
                for k, v in tensors.items()
                if k.startswith(f"{name}.")
            }

        self.stage, self.epoch = numbers["stage"], numbers["epoch"]
        load(self.model, part("model"), numbers["heads"])
        self.teacher = None
        if "teacher_heads" in numbers:
            self.teacher = self.model.frozen_copy()
            load(self.teacher, part("teacher"), numbers["teacher_heads"])
            self.teacher.freeze()
        self.memory.restore(part("memory"))
        self.momentum = part("momentum")


def load(model: CilModel, weights: dict[str, Tensor], head_sizes: list[int]) -> None:
    """Give `model` these weights, and a classifier of heads of these sizes."""
    model.classifier.heads = torch.nn.ModuleList()
    for n_classes in torch.tensor(head_sizes).cumsum(0).tolist():
        model.grow_to(n_classes)
    model.load_state_dict(weights)
    model.to(model.device)
