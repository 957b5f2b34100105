"""A learner's whole state, as named tensors and a few numbers: what a checkpoint holds.

All processes have the same, but for the middle of an epoch, where each has batch-norm statistics
and sums of its own. Nothing random needs saving: every seed follows from the place in the run.
"""

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from cilkit.data.scenario import Stage
from cilkit.errors import InputError
from cilkit.learner import Learner
from cilkit.machine.devices import copy_on
from cilkit.machine.processes import from_all, rank, world_size
from cilkit.model import CilModel
from cilkit.runs.fingerprint import fingerprint

Tensors = dict[str, Tensor]
Numbers = dict[str, Any]


def state_of(learner: Learner) -> tuple[Tensors, Numbers]:
    """Return all that `restore` needs; call it in all processes."""
    progress, teacher = learner.progress, learner.teacher
    numbers = {
        "stage": progress.stages_done,
        "epoch": progress.epoch,
        "step": progress.step,
        "processes": world_size(),
    }
    tensors = named("model", learner.model.state_dict())
    tensors |= named("teacher", teacher.state_dict() if teacher else {})
    tensors |= named("memory", learner.memory.state())
    tensors |= named("own", learner.own)
    tensors |= named("momentum", momentum_buffers(learner))
    tensors |= named("scaling", scaling_of(learner))
    if progress.step:
        for number, mine in enumerate(from_all(state_of_process(learner))):
            tensors |= named(f"process{number}", mine)
    return tensors, numbers


def restore(learner: Learner, stages: Sequence[Stage], tensors: Tensors, numbers: Numbers) -> None:
    """Make `learner`, which must be new, what `state_of` described.

    Its shape comes from the method: `grow` for each stage, then the weights.
    """
    progress, model = learner.progress, learner.model
    progress.stages_done, progress.epoch = numbers["stage"], numbers["epoch"]
    progress.step = numbers["step"]
    for stage in stages[: progress.stages_done]:
        learner.grow(stage)
    if taught := part(tensors, "teacher"):
        learner.teacher = model.frozen_copy()
        learner.teacher.load_state_dict(taught)
    if progress.in_stage:
        learner.grow(stages[progress.stages_done])
    model.load_state_dict(part(tensors, "model"))
    if remembered := part(tensors, "memory"):  # what a stage has left has none
        learner.memory.restore(remembered)
    learner.own = {k: copy_on(model.device, v) for k, v in part(tensors, "own").items()}
    progress.momentum, progress.scaling = part(tensors, "momentum"), part(tensors, "scaling")
    if progress.step:
        states = [part(tensors, f"process{number}") for number in range(numbers["processes"])]
        restore_process(learner, states)


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
    progress = learner.progress
    if not progress.in_stage:
        return {}
    if progress.optimizer is None:  # as it came from a checkpoint
        return progress.momentum
    state = progress.optimizer.state
    found = {n: state[p] for n, p in learner.model.named_parameters() if p in state}
    buffers = {name: of_one.get("momentum_buffer") for name, of_one in found.items()}
    return {name: buffer for name, buffer in buffers.items() if buffer is not None}


def scaling_of(learner: Learner) -> Tensors:
    """Return what the scaler of gradients has found, in the middle of a stage; fp16 has one."""
    progress = learner.progress
    if progress.optimizer is None:  # as it came from a checkpoint
        return progress.scaling
    state = progress.scaler.state_dict() if progress.in_stage else {}
    return {name: torch.tensor(value) for name, value in state.items()}


def buffers_of(model: CilModel) -> Tensors:
    """Return the buffers that a checkpoint holds; the others are constants."""
    parameters = dict(model.named_parameters())
    return {k: v for k, v in model.state_dict().items() if k not in parameters}


def state_of_process(learner: Learner) -> Tensors:
    """Return what differs between processes in the middle of an epoch."""
    mine = named("buffers", buffers_of(learner.model))
    mine |= named("means", learner.progress.means.state())
    return {name: tensor.to("cpu", copy=True) for name, tensor in mine.items()}


def restore_process(learner: Learner, states: list[Tensors]) -> None:
    """Take this process's part of an interrupted epoch.

    Another number of processes goes on with the statistics of process 0, and process 0 with
    everybody's sums: the result is the same up to noise.
    """
    if len(states) == world_size():
        mine = states[rank()]
        for name, buffer in buffers_of(learner.model).items():
            buffer.copy_(mine[f"buffers.{name}"])
    else:
        names = [name for name in states[0] if name.startswith("means.")]
        together = {name: torch.stack([state[name] for state in states]).sum(0) for name in names}
        mine = {name: tensor * (rank() == 0) for name, tensor in together.items()}
    learner.progress.means.restore(part(mine, "means"), learner.model.device)


@contextmanager
def whole_or_undone(learner: Learner) -> Iterator[None]:
    """Take back what the block has changed in the learner, if an error or Ctrl-C breaks it off."""
    kept = [(thing, vars(thing).copy()) for thing in (learner, learner.progress, learner.memory)]
    own = {name: tensor.clone() for name, tensor in learner.own.items()}
    weights = {name: tensor.clone() for name, tensor in learner.model.state_dict().items()}
    try:
        yield
    except BaseException:
        for thing, attributes in kept:
            vars(thing).update(attributes)
        learner.own = own
        learner.model.load_state_dict(weights)
        raise


def check_all_is_saved(learner: Learner) -> None:
    """Refuse a learner that owns what no checkpoint holds: resumed, it would go on without it."""
    if lost := lost_attributes(learner) + lost_optimizer_state(learner):
        raise InputError(
            f"no checkpoint would hold {type(learner).__name__}.{lost[0]}, and a resumed run would "
            f"go on without it; put it in `own`, or compute it anew in `grow` and name it in "
            f"`remade`"
        )


def lost_attributes(learner: Learner) -> list[str]:
    """Return the names of a learner's attributes, and of its model's, that would be forgotten."""
    saved = {"model", "teacher", "memory", "own", "progress", "config"}
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
    optimizer = learner.progress.optimizer
    states = optimizer.state.items() if optimizer else ()
    return [
        f"optimizer.{name}"
        for parameter, state in states
        for name, value in state.items()
        if value is not None and (name != "momentum_buffer" or id(parameter) not in known)
    ]
