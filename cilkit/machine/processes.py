"""The processes that work together. With one process, all of it does nothing.

Only this module knows `torch.distributed`; the number of processes shows nowhere else.
Chapter 9.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from cilkit.errors import InputError

T = TypeVar("T")


@contextmanager
def processes(timeout: int = 1800) -> Iterator[None]:
    """Join the processes that `torchrun` started, if it did, and leave them at the end.

    Numbers on GPUs travel by NCCL, others by gloo; whoever waits longer than `timeout` seconds for
    another process gives up.
    """
    if "RANK" not in os.environ or dist.is_initialized():
        yield
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        check_gpus()
        torch.cuda.set_device(local_rank())
    patience = timedelta(seconds=timeout)
    store, number, size = next(rendezvous("env://", timeout=patience))
    # After a restart, torchrun's store still holds the addresses of the dead (torch 2.14).
    start = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    fresh = PrefixStore(f"start{start}", store)
    dist.init_process_group(backend, store=fresh, rank=number, world_size=size, timeout=patience)
    try:
        yield
    finally:
        dist.destroy_process_group()


def check_gpus() -> None:
    """Refuse more processes on this machine than it has GPUs."""
    asked, there = int(os.environ.get("LOCAL_WORLD_SIZE", "1")), torch.cuda.device_count()
    if asked > there:
        raise InputError(
            f"this machine has GPUs for {there} processes, not {asked}; start fewer, or hide the "
            f"GPUs by an empty CUDA_VISIBLE_DEVICES"
        )


def rank() -> int:
    """Return this process's number, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def world_size() -> int:
    """Return how many processes work together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def told_rank() -> int:
    """Return the number that `torchrun` gave this process: before they join and after, too."""
    return int(os.environ.get("RANK", "0"))


def is_main() -> bool:
    """Tell whether this is the process that writes and prints; right before they join, too."""
    return (rank() if dist.is_initialized() else told_rank()) == 0


def is_restarted() -> bool:
    """Tell whether `torchrun` has started this process again, after one had died."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


class ProcessesDiffer(RuntimeError):
    """What must be the same in all processes is not."""


def lost_process(error: Exception) -> bool:
    """Tell whether an error means that another process cannot be reached any more."""
    if isinstance(error, dist.DistError):
        return True
    words = ("gloo", "NCCL", "Connection closed by peer", "Connection reset by peer", "Timed out")
    return isinstance(error, RuntimeError) and any(word in str(error) for word in words)


def from_main(function: Callable[[], T]) -> T:
    """Return what `function` returns, or raise what it raises, in the main process alone.

    So all processes go on with what one has read, or fail together.
    """
    if not dist.is_initialized():
        return function()
    answer: list[Any] = [None, None]
    if is_main():
        try:
            answer[0] = function()
        except (InputError, OSError) as error:
            answer[1] = error
    dist.broadcast_object_list(answer)
    if answer[1] is not None:
        raise answer[1]
    return answer[0]


def from_all(value: T) -> list[T]:
    """Return every process's value, in the order of their ranks."""
    if not dist.is_initialized():
        return [value]
    values: list[Any] = [None] * world_size()
    dist.all_gather_object(values, value)
    return values


@contextmanager
def one_at_first() -> Iterator[None]:
    """Let one process of each machine go first, to prepare files that the others then find."""
    first = local_rank() == 0
    if not first:
        wait_for_all()
    try:
        yield
    finally:
        if first:
            wait_for_all()


def wait_for_all() -> None:
    """Go on when every process has come here."""
    total(torch.zeros(1))


def local_rank() -> int:
    """Return this process's number on its machine, which is also its GPU's."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def average_gradients(model: nn.Module) -> None:
    """Give every process the mean of all processes' gradients; call it after each backward pass.

    All of them are one message, in the order of the parameters, at every step of every run. Numbers
    are added in an order that depends on where they lie in a message, and three of them have more
    than one sum: torch's DistributedDataParallel lays its messages out anew after its first step,
    so that a resumed run is another one with 3 processes or more.
    """
    average([parameter.grad for parameter in model.parameters() if parameter.grad is not None])


def average_statistics(model: nn.Module) -> None:
    """Give every process the mean of all processes' batch-norm statistics.

    Each process sees its own share of the images, so without this the ranks would choose different
    exemplars and count different hits. What does not move is left alone: a third of three equal
    numbers' sum may be another number.
    """
    average(running_statistics(model))


def running_statistics(model: nn.Module) -> list[Tensor]:
    """Return the running means and variances of all layers of batch norm that are in training."""
    layers, names = filter(lambda m: m.training, model.modules()), ("running_mean", "running_var")
    found = [getattr(layer, name, None) for layer in layers for name in names]
    return [statistic for statistic in found if isinstance(statistic, Tensor)]


@torch.no_grad()
def average(values: Sequence[Tensor]) -> None:
    """Put the mean over all processes in place of each tensor: one message, in this order."""
    if not dist.is_initialized() or not values:
        return
    message = torch.cat([value.flatten() for value in values])
    dist.all_reduce(message)
    means = (message / world_size()).split([value.numel() for value in values])
    for value, mean in zip(values, means, strict=True):
        value.copy_(mean.view_as(value))


def highest(number: int) -> int:
    """Return the highest of all processes' numbers."""
    everyone = torch.tensor([number])
    if dist.is_initialized():
        dist.all_reduce(everyone, dist.ReduceOp.MAX)
    return int(everyone)


def total(value: Tensor) -> Tensor:
    """Return the sum over all processes."""
    if dist.is_initialized():
        value = value.clone()
        dist.all_reduce(value)
    return value


def agree(mark: str) -> str:
    """Return a text that every process has; raise `RuntimeError` if they differ."""
    marks = from_all(mark)
    if strangers := [number for number, other in enumerate(marks) if other != marks[0]]:
        raise ProcessesDiffer(
            f"processes {strangers} hold other weights or exemplars than process 0; the result "
            f"would be worthless, so the run stops"
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
