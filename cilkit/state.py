"""A learner's whole state, as named tensors and a few numbers: what a checkpoint holds.

All processes have the same, but for the middle of an epoch, where each has batch-norm statistics
and sums of its own. Nothing random needs saving: every seed follows from the place in the run.
"""

import random
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cilkit.errors import InputError
from cilkit.learner import Learner
from cilkit.machine.processes import from_all, rank, world_size
from cilkit.model import CilModel
from cilkit.progress import Means
from cilkit.runs.fingerprint import fingerprint

Tensors = dict[str, Tensor]
Numbers = dict[str, Any]


def state_of(learner: Learner) -> tuple[Tensors, Numbers]:
    """Return all that `restore` needs; call it in all processes."""
    model, teacher = learner.model, learner.teacher
    numbers = {
        "stage": learner.stage,
        "epoch": learner.epoch,
        "step": learner.step,
        "processes": world_size(),
        "heads": model.classifier.head_sizes,
        "teacher_heads": teacher.classifier.head_sizes if teacher else None,
    }
    tensors = named("model", model.state_dict())
    tensors |= named("teacher", teacher.state_dict() if teacher else {})
    tensors |= named("memory", learner.memory.state())
    tensors |= named("momentum", momentum_buffers(learner))
    if learner.step:
        for number, own in enumerate(from_all(own_state(learner))):
            tensors |= named(f"process{number}", own)
    return tensors, numbers


def restore(learner: Learner, tensors: Tensors, numbers: Numbers) -> None:
    """Make `learner` what `state_of` described; nothing of what it was before remains."""
    learner.stage, learner.epoch, learner.step = (numbers[k] for k in ("stage", "epoch", "step"))
    load(learner.model, part(tensors, "model"), numbers["heads"])
    learner.teacher = None
    if numbers["teacher_heads"] is not None:
        learner.teacher = learner.model.frozen_copy()
        load(learner.teacher, part(tensors, "teacher"), numbers["teacher_heads"])
        learner.teacher.freeze()
    learner.memory.restore(part(tensors, "memory"))
    restore_momentum(learner, part(tensors, "momentum"))
    learner.means = Means()
    if learner.step:
        restore_own(learner, [part(tensors, f"process{n}") for n in range(numbers["processes"])])


def fingerprint_of(learner: Learner) -> str:
    """Return one text for the whole state; processes, or runs, that agree have the same."""
    tensors, numbers = state_of(learner)
    return fingerprint(tensors, str(numbers))


def named(prefix: str, tensors: Tensors) -> Tensors:
    """Put a prefix before each name."""
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def part(tensors: Tensors, prefix: str) -> Tensors:
    """Return the tensors with this prefix, without it."""
    start = f"{prefix}."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def momentum_buffers(learner: Learner) -> Tensors:
    """Return the optimizer's memory of each parameter, in the middle of a stage."""
    if learner.epoch == learner.step == 0:
        return {}
    states = {n: learner.optimizer.state[p] for n, p in learner.model.named_parameters()}
    buffers = {name: state.get("momentum_buffer") for name, state in states.items()}
    return {name: buffer for name, buffer in buffers.items() if buffer is not None}


def restore_momentum(learner: Learner, buffers: Tensors) -> None:
    """Build the optimizer as it was in the middle of a stage; between two stages there is none."""
    vars(learner).pop("optimizer", None)
    if learner.epoch == learner.step == 0:
        return
    learner.start_optimizer()
    parameters = dict(learner.model.named_parameters())
    for name, buffer in buffers.items():
        mine = buffer.to(learner.model.device, copy=True)
        learner.optimizer.state[parameters[name]]["momentum_buffer"] = mine


def own_buffers(model: CilModel) -> Tensors:
    """Return the buffers that a checkpoint holds; the others are constants."""
    parameters = dict(model.named_parameters())
    return {k: v for k, v in model.state_dict().items() if k not in parameters}


def own_state(learner: Learner) -> Tensors:
    """Return what differs between processes in the middle of an epoch."""
    own = named("buffers", own_buffers(learner.model))
    own |= named("means", learner.means.state())
    return {name: tensor.to("cpu", copy=True) for name, tensor in own.items()}


def restore_own(learner: Learner, states: list[Tensors]) -> None:
    """Take this process's part of an interrupted epoch.

    Another number of processes goes on with the statistics of process 0, and process 0 with
    everybody's sums: the result is the same up to noise.
    """
    if len(states) == world_size():
        mine = states[rank()]
        for name, buffer in own_buffers(learner.model).items():
            buffer.copy_(mine[f"buffers.{name}"])
    else:
        names = [name for name in states[0] if name.startswith("means.")]
        together = {name: torch.stack([state[name] for state in states]).sum(0) for name in names}
        mine = {name: tensor * (rank() == 0) for name, tensor in together.items()}
    learner.means.restore(part(mine, "means"), learner.model.device)


def load(model: CilModel, weights: Tensors, head_sizes: list[int]) -> None:
    """Give `model` these weights, and a classifier of heads of these sizes."""
    model.classifier.heads = nn.ModuleList()
    for n_classes in torch.tensor(head_sizes).cumsum(0).tolist():
        model.grow_to(n_classes)
    model.load_state_dict(weights)


@contextmanager
def whole_or_undone(learner: Learner) -> Iterator[None]:
    """Take back what the block has changed in the learner, if an error or Ctrl-C breaks it off."""
    attributes, exemplars = vars(learner).copy(), learner.memory.by_class
    weights = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    try:
        yield
    except BaseException:
        vars(learner).update(attributes)
        learner.memory.by_class = exemplars
        learner.model.load_state_dict(weights)
        raise


def check_all_is_saved(learner: Learner) -> None:
    """Refuse a learner that owns what no checkpoint holds: resumed, it would go on without it."""
    if lost := lost_attributes(learner) + lost_optimizer_state(learner):
        raise InputError(
            f"no checkpoint would hold {type(learner).__name__}.{lost[0]}, and a resumed run would "
            f"go on without it; compute it anew in `begin` and name it in `remade`, or run without "
            f"a folder"
        )


def lost_attributes(learner: Learner) -> list[str]:
    """Return the names of a learner's attributes, and of its model's, that would be forgotten."""
    saved = {"model", "teacher", "memory", "means", "optimizer", "config"}
    saved |= {name for cls in type(learner).__mro__ for name in getattr(cls, "remade", ())}
    model = learner.model
    seen = {id(part) for part in (learner, *model.modules(), *model.parameters(), *model.buffers())}
    owned = {name: value for name, value in vars(learner).items() if name not in saved}
    owned |= {f"model.{name}": value for name, value in vars(model).items()}
    return [name for name, value in owned.items() if holds_state(value, seen)]


STATE: tuple[type, ...] = (Tensor, np.ndarray, nn.Module, torch.optim.Optimizer)
STATE += (torch.Generator, np.random.Generator, random.Random)


def holds_state(value: Any, seen: set[int]) -> bool:
    """Tell whether a tensor, or what else may change in training, is in a value, however deep."""
    if id(value) in seen:
        return False
    seen.add(id(value))
    if isinstance(value, STATE):
        return True
    parts: Iterable[Any] = value if isinstance(value, list | tuple | set) else ()
    parts = [*parts, *(value.values() if isinstance(value, Mapping) else ())]
    if not isinstance(value, type):
        parts += getattr(value, "__dict__", {}).values()
    return any(holds_state(part, seen) for part in parts)


def lost_optimizer_state(learner: Learner) -> list[str]:
    """Return what the optimizer remembers of a parameter beside its momentum, or of a stranger."""
    known = set(map(id, learner.model.parameters()))
    states = learner.optimizer.state.items() if hasattr(learner, "optimizer") else ()
    return [
        f"optimizer.{name}"
        for parameter, state in states
        for name, value in state.items()
        if value is not None and (name != "momentum_buffer" or id(parameter) not in known)
    ]
