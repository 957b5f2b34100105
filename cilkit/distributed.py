"""Where the program runs: devices, processes, seeds. With one process, all of it does nothing.

Only this module knows `torch.distributed`; the number of processes shows nowhere else.
Chapter 9.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from cilkit.errors import InputError

# No rank sends its buffers to the others at each step: they are averaged after each epoch. torch
# has changed the option's name.
RENAMED = "forward_sync_buffers" in signature(DistributedDataParallel).parameters
KEEP_BUFFERS: dict[str, Any] = {"forward_sync_buffers" if RENAMED else "broadcast_buffers": False}


@contextmanager
def processes() -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did, and leave them at the end."""
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")
    try:
        yield
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Return this process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return how many processes work together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_main() -> bool:
    """Tell whether this is the process that writes and prints."""
    return rank() == 0


@contextmanager
def one_at_first() -> Iterator[None]:
    """Let one process of each machine go first, to prepare files that the others then find."""
    first = os.environ.get("LOCAL_RANK", "0") == "0"
    if not first and dist.is_initialized():
        dist.barrier()
    try:
        yield
    finally:
        if first and dist.is_initialized():
            dist.barrier()


def find_device(name: str) -> torch.device:
    """Return the device `name`; 'auto' is this process's GPU, else the CPU."""
    if name == "auto" or name == "cuda":
        if torch.cuda.is_available():
            return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        if name == "auto":
            return torch.device("cpu")
    try:
        torch.empty(0, device=name)
        return torch.device(name)
    except (RuntimeError, AssertionError) as error:  # torch raises either where a device is missing
        reason = str(error).splitlines()[0]
        raise InputError(
            f"device {name!r} cannot be used here ({reason}); use auto or cpu"
        ) from error


def parallel(model: nn.Module) -> nn.Module:
    """Return a model whose backward pass averages gradients over the processes."""
    if not dist.is_initialized():
        return model
    return DistributedDataParallel(model, **KEEP_BUFFERS)


def average_buffers(model: nn.Module) -> None:
    """Give every process the mean of all processes' batch-norm statistics.

    Each process sees its own share of the images, so without this the ranks would choose different
    exemplars and count different hits.
    """
    if not dist.is_initialized():
        return
    for buffer in model.buffers():
        if buffer.is_floating_point():
            buffer.copy_(total(buffer) / world_size())


def total(value: Tensor) -> Tensor:
    """Return the sum over all processes."""
    if dist.is_initialized():
        value = value.clone()
        dist.all_reduce(value)
    return value


def agree(mark: str) -> str:
    """Return a text that every process has; raise `RuntimeError` if they differ."""
    if dist.is_initialized():
        marks: list[str] = [""] * world_size()
        dist.all_gather_object(marks, mark)
        if strangers := [rank for rank, other in enumerate(marks) if other != marks[0]]:
            raise RuntimeError(
                f"processes {strangers} hold other weights or exemplars than process 0"
            )
    return mark


def gather(mine: Tensor, lengths: list[int]) -> Tensor:
    """Return all processes' rows, one process after the other; `lengths` says how many each has."""
    if not dist.is_initialized():
        return mine
    padded = mine.new_zeros(max(lengths), *mine.shape[1:])
    padded[: len(mine)] = mine
    parts = [torch.empty_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])


def seed_for(*parts: int) -> int:
    """Return one well-mixed seed for a tuple of numbers, such as (seed, stage, epoch, rank)."""
    mixed = np.random.SeedSequence((*parts, len(parts)))  # it would take no notice of last zeros
    return int(mixed.generate_state(1)[0])


def seed_all(*parts: int) -> None:
    """Seed Python, NumPy and torch; all three, since timm's augmentation draws from each."""
    seed = seed_for(*parts)
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
