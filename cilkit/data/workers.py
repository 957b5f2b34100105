"""Worker processes that read and prepare images ahead of the training."""

import atexit
import os
import signal
from collections.abc import Iterator
from multiprocessing import active_children
from traceback import clear_frames
from typing import Any

from torch.utils.data import DataLoader

from cilkit.data.images import BadImage, Unreadable
from cilkit.errors import InputError
from cilkit.machine.stopping import ASKED

LOOK_EVERY = 5  # seconds in which workers are waited for without looking up
PATIENCE = 600  # seconds of silence after which they are given up; files may be far away
LAST_WAIT = 10  # the same, where the program was asked to stop


def in_workers(items: Any, workers: int, **order: Any) -> "DataLoader[Any]":
    """Return torch's loader of `items`, read ahead by so many processes that live as long as it.

    What it yields does not depend on their number. `order` is torch's `batch_sampler`, or its
    `sampler` and `batch_size`.
    """
    make_room(workers)
    return DataLoader(
        items,
        num_workers=workers,
        persistent_workers=workers > 0,
        timeout=LOOK_EVERY if workers else 0,
        worker_init_fn=leave_signals,
        **order,
    )


def make_room(workers: int, loaders: int = 1) -> None:
    """Let this program open as many files as workers need; refuse more than the system allows.

    Every batch on its way is an open file, and workers that can open none fall silent.
    """
    if not workers or os.name != "posix":
        return
    import resource

    needed = len(os.listdir("/dev/fd")) + 6 * workers * loaders + 10
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise InputError(
            f"{workers} processes that read images may need {needed} open files, and {hard} are "
            f"allowed here; use fewer --workers, or allow more by `ulimit -n`"
        )
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def results(loader: "DataLoader[Any]") -> Iterator[Any]:
    """Yield what a loader yields; a file that a worker cannot read is named in one sentence."""
    try:
        yield from awaited(iter(loader))
    except (BadImage, Unreadable) as error:  # a worker's is its traceback as text, sentence last
        clear_frames(error.__traceback__)  # where a frame holds torch's iterator, no worker ends
        kind = type(error)
        name = f"{kind.__module__}.{kind.__qualname__}: "
        raise kind(str(error).splitlines()[-1].removeprefix(name)) from error
    except (ConnectionError, EOFError) as error:  # it died while it handed over what it had read
        raise RuntimeError(f"a DataLoader worker died: {error}") from error


def awaited(items: Iterator[Any]) -> Iterator[Any]:
    """Yield the items that come from workers; give up where they do not answer any more."""
    silence = 0
    while True:
        try:
            item = next(items)
        except StopIteration:
            return
        except RuntimeError as error:
            if "DataLoader timed out" not in str(error):
                raise
            silence += LOOK_EVERY
            if silence >= (LAST_WAIT if ASKED else PATIENCE):
                raise RuntimeError("a DataLoader worker does not answer") from error
        else:
            silence = 0
            yield item


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
