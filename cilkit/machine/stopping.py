"""Being asked to stop: after a step, at once, or never heard. Chapter 9."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import active_children
from select import select
from socket import socket, socketpair
from threading import Thread, current_thread, main_thread
from time import monotonic

from cilkit.machine.processes import highest, world_size


class Stopped(Exception):
    """Somebody asked the program to stop, and it has finished its step."""

    def __init__(self, number: int) -> None:
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
    if world_size() > 1:
        if step % LOOK_EVERY != 1:
            return
        asked = highest(asked)
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
