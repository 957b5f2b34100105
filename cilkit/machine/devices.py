"""Devices, and what to say when their memory runs out."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from cilkit.errors import InputError
from cilkit.machine.processes import local_rank, world_size

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


def accelerator() -> str:
    """Return the kind of device that torch finds beside the CPU, cuda, mps or xpu; '' for none."""
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return found.type if found else ""


def find_device(name: str) -> torch.device:
    """Return the device `name`; 'auto' is what is there: this process's GPU, else the CPU.

    Several processes share CPUs or CUDA cards: torch passes numbers between no others.
    """
    kind, several = accelerator(), world_size() > 1
    if name == "auto":
        name = kind if kind and (kind == "cuda" or not several) else "cpu"
    if name == kind == "cuda":
        return torch.device("cuda", local_rank())
    try:
        device = torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:  # torch raises either where a device is missing
        reason = str(error).splitlines()[0].partition(". ")[0]  # of MPS, a page follows
        raise InputError(
            f"device {name!r} cannot be used here ({reason}); use auto or cpu"
        ) from error
    if several and device.type not in ("cpu", "cuda"):
        raise InputError(f"several processes need CUDA cards or CPUs, not {name}; use auto or cpu")
    return torch.device(name)


def for_float64(device: torch.device) -> torch.device:
    """Return where float64 is computed for a device: MPS has none, nor have some XPUs."""
    return device if device.type in ("cpu", "cuda") else torch.device("cpu")


def copy_on(device: torch.device, tensor: Tensor) -> Tensor:
    """Return a copy on a device, or on the CPU where the device lacks its numbers."""
    fits = tensor.dtype is not torch.float64
    return tensor.to(device if fits else for_float64(device), copy=True)


def synchronise(model: M) -> M:
    """Return the model with batch norm over all processes' images together, which needs GPUs."""
    if next(model.parameters()).device.type != "cuda":
        raise InputError("sync_bn needs GPUs: torch's SyncBatchNorm does not run on the CPU")
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)
