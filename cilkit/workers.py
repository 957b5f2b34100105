"""Worker processes that read and prepare images ahead of the training."""

import atexit
import signal
from collections.abc import Iterator
from multiprocessing import active_children
from traceback import clear_frames
from typing import Any

from torch.utils.data import DataLoader

from cilkit.images import BadImage, Unreadable


def in_workers(items: Any, workers: int, **order: Any) -> "DataLoader[Any]":
    """Return torch's loader of `items`, read ahead by so many processes that live as long as it.

    What it yields does not depend on their number. `order` is torch's `batch_sampler`, or its
    `sampler` and `batch_size`.
    """
    return DataLoader(
        items,
        num_workers=workers,
        persistent_workers=workers > 0,
        worker_init_fn=leave_signals,
        **order,
    )


def results(loader: "DataLoader[Any]") -> Iterator[Any]:
    """Yield what a loader yields; a file that a worker cannot read is named in one sentence."""
    try:
        yield from loader
    except (BadImage, Unreadable) as error:  # a worker's is its traceback as text, sentence last
        clear_frames(error.__traceback__)  # where a frame holds torch's iterator, no worker ends
        kind = type(error)
        name = f"{kind.__module__}.{kind.__qualname__}: "
        raise kind(str(error).splitlines()[-1].removeprefix(name)) from error
    except (ConnectionError, EOFError) as error:  # it died while it handed over what it had read
        raise RuntimeError(f"a DataLoader worker died: {error}") from error


def lost_worker(error: Exception) -> bool:
    """Tell whether an error means that a worker died; torch raises it wherever we happen to be."""
    return isinstance(error, RuntimeError) and "DataLoader worker" in str(error)


def leave_signals(worker: int) -> None:
    """Let the main process alone stop: a terminal and torchrun signal its whole group."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


@atexit.register
def end_workers() -> None:
    """Kill the workers that torch could not end: deaf as they are, Python would wait for ever.

    Torch asks a worker to end by a queue, and fails to when the cyclic garbage collector has closed
    that queue first.
    """
    for process in active_children():
        if process.daemon:  # Python is about to terminate these, and to wait until they have ended
            process.terminate()
            process.join(1)
            process.kill()
