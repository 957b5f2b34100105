"""Devices, and what to say when their memory runs out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from cilkit.errors import InputError
from cilkit.machine.processes import local_rank

M = TypeVar("M", bound=nn.Module)


@contextmanager
def advice(words: str) -> Iterator[None]:
    """Where memory runs out within, note what ran out and what helps; `cilkit` says it."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if lacks_memory(error):
            error.add_note(words)
        raise


def lacks_memory(error: Exception) -> bool:
    """Tell whether an error means that memory ran out; on a CPU, torch has no class for it."""
    words = ("allocate memory", "out of memory", "ALLOC_FAILED")
    named = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return named or any(word in str(error) for word in words)


def find_device(name: str) -> torch.device:
    """Return the device `name`; 'auto' is this process's GPU, else the CPU."""
    if name == "auto" or name == "cuda":
        if torch.cuda.is_available():
            return torch.device("cuda", local_rank())
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


def synchronise(model: M) -> M:
    """Return the model with batch norm over all processes' images together, which needs GPUs."""
    if next(model.parameters()).device.type != "cuda":
        raise InputError("sync_bn needs GPUs: torch's SyncBatchNorm does not run on the CPU")
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)
