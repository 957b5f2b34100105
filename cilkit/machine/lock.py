"""One writer at a time: a folder belongs to the process that works in it. Chapter 9.

The lock is the system's own (`flock`) on a small file that says who holds it. It ends with its
process, however that ends; NFS has it too. Where no such lock is to be had, as on Windows and on
some disks of clusters, the file itself is the lock: one process alone can create it. It then stays
behind when its process is killed. On this machine that is noticed, where processes can be asked for
(not on Windows); else somebody must delete it.
"""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from socket import gethostname
from tempfile import TemporaryFile
from typing import TextIO

from cilkit.errors import InputError
from cilkit.machine.processes import from_main

LOCK = "cilkit.lock"
HELD: set[TextIO] = set()


def let_go() -> None:
    """Close the files in a forked process, which would keep a dead one's locks alive."""
    for file in HELD:
        file.close()


if hasattr(os, "register_at_fork"):  # there is no fork on Windows
    os.register_at_fork(after_in_child=let_go)


@contextmanager
def alone_in(folder: Path | None) -> Iterator[None]:
    """Keep others out of a folder that the main process writes to, if there is one.

    Raises `InputError`, in all processes that work together, if somebody is at work there.
    """
    with ExitStack() as lock:
        if folder is not None:
            from_main(lambda: lock.enter_context(held(folder)))
        yield


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keep every other process, and this one's other threads, from holding a folder.

    One that was made for it, and in which nothing was left, is taken away again. Raises
    `InputError` if somebody holds it.
    """
    was_there = folder.exists()
    file = take(folder)
    try:
        yield
    finally:
        release(file)
        if not was_there:
            with suppress(OSError):  # of a folder that holds something
                folder.rmdir()


def take(folder: Path) -> TextIO:
    """Return the file that is the lock of a folder; raise `InputError` if another one has it."""
    make_writable(folder)
    try:
        while (file := attempt(folder)) is None:
            pass
    except OSError as error:
        raise not_writable(folder, error) from error
    return file


def attempt(folder: Path) -> TextIO | None:
    """Return the lock, or None if its file was deleted just now: then it is to be tried again."""
    with ExitStack() as otherwise:
        file, is_new = opened((folder / LOCK).absolute())
        otherwise.callback(file.close)
        file.seek(0)
        said = file.read()
        if said and not OURS.fullmatch(said):
            raise InputError(f"{file.name!r} is none of cilkit's; name another folder")
        try:
            is_held = lock(file)
        except BlockingIOError:
            raise in_use(folder, said) from None
        if not is_held and not is_new and not is_left_over(said):
            raise in_use(folder, said, by_hand=True)
        if is_held and not is_there(file):
            return None
        sign(file)
        if is_held:  # by the open file
            HELD.add(file)
            otherwise.pop_all()
    return file


def release(file: TextIO) -> None:
    """Give the folder back."""
    HELD.discard(file)
    with suppress(OSError):  # somebody may have deleted the whole folder
        if Path(file.name).read_text(encoding="utf-8") == me():
            Path(file.name).unlink()
    file.close()


# What the file says.
OURS = re.compile(r"process (\d+) on (.*)\n")


def me() -> str:
    """Return this process's line."""
    return f"process {os.getpid()} on {gethostname()}\n"


def opened(path: Path) -> tuple[TextIO, bool]:
    """Return the open file, and whether it is new: one process alone can create it."""
    try:
        return path.open("x+", encoding="utf-8", errors="replace"), True
    except FileExistsError:
        return path.open("a+", encoding="utf-8", errors="replace"), False


def lock(file: TextIO) -> bool:
    """Lock an open file; tell whether there are such locks here.

    Raises `BlockingIOError` if another process has it.
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except (ImportError, OSError):
        return False
    return True


def is_there(file: TextIO) -> bool:
    """Tell whether a file that is open still has its name."""
    with suppress(FileNotFoundError):
        return os.path.samestat(os.fstat(file.fileno()), os.stat(file.name))
    return False


def is_left_over(said: str) -> bool:
    """Tell whether the process that the file speaks of was this machine's, and is no more."""
    found = OURS.fullmatch(said)
    if not found or found[2] != gethostname() or os.name != "posix":
        return False
    try:
        os.kill(int(found[1]), 0)  # no signal: only whether it could be sent
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # it is another user's, or no number of a process
        pass
    return False


def sign(file: TextIO) -> None:
    """Say in the file who has the folder."""
    file.truncate(0)
    file.seek(0)
    file.write(me())
    file.flush()
    if hasattr(os, "fdatasync"):  # other machines are to read it
        os.fdatasync(file.fileno())


def in_use(folder: Path, said: str, by_hand: bool = False) -> InputError:
    """Return the refusal that names who works in the folder."""
    who = said.strip() or "another process"
    cure = f" (if it was killed, delete {str(folder / LOCK)!r})" if by_hand else ""
    return InputError(
        f"{str(folder)!r} is in use by {who}; wait until it has ended, or name another folder{cure}"
    )


def make_writable(folder: Path) -> None:
    """Make a folder, if there is none; refuse a place that cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_writable(folder, error) from error
    check_writable(folder)


def check_writable(folder: Path) -> None:
    """Refuse a place that cannot be written, or in which a folder could not be made."""
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        TemporaryFile(dir=there).close()  # a name that nobody has
    except OSError as error:
        raise not_writable(folder, error) from error


def not_writable(folder: Path, error: OSError) -> InputError:
    """Return the refusal of a place that cannot be written."""
    return InputError(f"cannot write to {str(folder)!r}: {error.strerror}; name another folder")
