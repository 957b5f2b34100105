"""Where the program runs: devices, processes, seeds. With one process, all of it does nothing.

Only this module knows `torch.distributed`; the number of processes shows nowhere else.
Chapter 9.
"""

import os
import random
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from multiprocessing import active_children
from select import select
from socket import socket, socketpair
from threading import Thread, current_thread, main_thread
from time import monotonic
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous

from cilkit.errors import InputError

T = TypeVar("T")
M = TypeVar("M", bound=nn.Module)


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


class Stopped(Exception):
    """Somebody asked the program to stop, and it has finished its step."""

    def __init__(self, number: int) -> None:
        """Remember the signal's number."""
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def stoppable() -> Iterator[None]:
    """Let SIGTERM and Ctrl-C stop the program after a step; a second Ctrl-C stops it at once.

    Where no step ends any more, since something does not answer, it ends after `PATIENCE` seconds.
    """

    def ask(number: int, frame: object) -> None:
        if ASKED and number == signal.SIGINT:
            raise KeyboardInterrupt
        ASKED.append(number)
        if AT_ONCE:
            raise Stopped(number)

    before = {number: signal.signal(number, ask) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with watched():
            yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        ASKED.clear()


ASKED: list[int] = []  # the signal that asked to stop, if one did
AT_ONCE: list[bool] = []  # whether nothing is half done now, and so nothing to be finished first
STEPS: list[float] = []  # when the last step ended
LOOK_EVERY = 8  # steps: processes must agree on where to stop, which costs a message
PATIENCE = 25.0  # seconds: torchrun and batch systems kill, without a word, after 30


@contextmanager
def at_once() -> Iterator[None]:
    """Let a stoppable program stop wherever it is, where there is no step to be finished."""
    if ASKED:
        raise Stopped(ASKED[0])
    AT_ONCE.append(True)
    try:
        yield
    finally:
        AT_ONCE.pop()


@contextmanager
def whole_step() -> Iterator[None]:
    """Let Ctrl-C wait for the end of a step, in a notebook; a second one does not wait.

    Half a step cannot be taken back: batch norm has seen its images.
    """
    asked: list[int] = []

    def ask(number: int, frame: object) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    usual = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not usual or current_thread() is not main_thread():  # `stoppable` does so anyway
        yield
        return
    signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if asked:
        raise KeyboardInterrupt


def stop_if_asked(step: int) -> None:
    """Raise `Stopped`, in all processes after the same step, if one of them was asked to stop."""
    STEPS[:] = [monotonic()]
    asked = ASKED[0] if ASKED else 0
    if dist.is_initialized():
        if step % LOOK_EVERY != 1:
            return
        everyone = torch.tensor([asked])
        dist.all_reduce(everyone, dist.ReduceOp.MAX)
        asked = int(everyone)
    if asked:
        raise Stopped(asked)


OVER = 0  # no signal has this number


@contextmanager
def watched() -> Iterator[None]:
    """End the program if it was asked to stop, and no step ends: it waits for what never comes.

    A thread watches. Python's own handlers have to wait while the main thread waits in C.
    """
    ears, mouth = socketpair()
    mouth.setblocking(False)
    before = signal.set_wakeup_fd(mouth.fileno(), warn_on_full_buffer=False)
    watcher = Thread(target=watch, args=(ears,), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        mouth.send(bytes([OVER]))  # workers hold copies of it: closing it would not be heard
        watcher.join()
        mouth.close()
        ears.close()


def watch(ears: socket) -> None:
    """Wait for a signal that asks to stop; then for steps to end, or for the program."""
    while (number := ears.recv(1)[0]) not in (signal.SIGTERM, signal.SIGINT):
        if number == OVER:  # other signals come when workers end
            return
    asked = monotonic()
    while (left := max([asked, *STEPS]) + PATIENCE - monotonic()) > 0:
        if select([ears], [], [], left)[0] and ears.recv(1)[0] == OVER:
            return
    give_up(number)


def give_up(number: int) -> None:
    """Say why, and end without asking the main thread, which does not answer."""
    name, status = signal.Signals(number).name, 128 + number
    sys.stderr.write(
        f"cilkit: stopped by {name} in the middle of a wait: for {PATIENCE:g} seconds no step has "
        f"ended; what was saved is whole: go on with the same command and --resume\n"
    )
    sys.stderr.flush()
    for worker in active_children():
        worker.kill()
    os._exit(status)


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
    result: T = answer[0]
    return result


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
    synchronised: M = nn.SyncBatchNorm.convert_sync_batchnorm(model)
    return synchronised


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


def seeds_for(*parts: int) -> list[int]:
    """Return three well-mixed seeds for a tuple of numbers, such as (seed, stage, epoch, rank)."""
    mixed = np.random.SeedSequence((*parts, len(parts)))  # it would take no notice of last zeros
    return [int(word) for word in mixed.generate_state(3)]


def seed_for(*parts: int) -> int:
    """Return one of them, torch's."""
    return seeds_for(*parts)[0]


def seed_all(*parts: int) -> None:
    """Seed Python, NumPy and torch; all three, since timm's augmentation draws from each."""
    seed_cpu(*parts)
    torch.manual_seed(seed_for(*parts))  # GPUs too


def seed_cpu(*parts: int) -> None:
    """Seed the same, but for GPUs, on which torch spends a millisecond: too much for each image.

    Each gets a seed of its own: NumPy's generator is torch's, and would draw the same numbers.
    """
    seed, for_numpy, for_python = seeds_for(*parts)
    torch.default_generator.manual_seed(seed)
    np.random.seed(for_numpy)
    random.seed(for_python)
