"""What each command writes, and whether a folder is free for it: nothing is overwritten. Chapter 9.

A new run, or a new comparison, wants a folder in which none of its names is taken. What goes on
with one, and what draws, writes over cilkit's own tables and figures, which can be made again from
the records, and over nothing else.
"""

import json
import os
from collections.abc import Iterable
from glob import glob
from itertools import chain
from pathlib import Path

from cilkit.errors import InputError
from cilkit.machine.lock import make_writable
from cilkit.runs.checkpoint import NEWEST, PREVIOUS, STAGES, UNFINISHED, write
from cilkit.runs.records import RECORDS

RECORDS_UNFINISHED = "records.unfinished"
SUMMARY, SUMMARY_UNFINISHED = "summary.json", "summary.unfinished"
README, README_BEGINS = "README.txt", "What cilkit has left of a"
KEPT, KEPT_UNFINISHED = "exemplars", "exemplars.unfinished"
SHEET = "contact-sheet.png"
EVENTS = "events.out.tfevents.*"
# The tables' columns. Losses and facts that a method does not have stay empty, so that all runs'
# tables look alike.
TABLES = {
    "epochs.csv": ["stage", "epoch", "lr", "accuracy", "ce", "kd"],
    "stages.csv": [
        "stage",
        "n_seen",
        "accuracy",
        "old",
        "new",
        "new_share",
        "calibration_error",
        "gamma",
    ],
}
DRAWN = {"Software": "cilkit"}  # stands in each figure, so that it is known again

# What tells that a folder holds a run, or runs in folders of their own; * is any text.
RUN = (RECORDS, NEWEST, PREVIOUS, KEPT, STAGES)
RUNS = (SUMMARY, "first-stage-seed*", f"*/{RECORDS}")
# What a crash leaves.
HALVES = (RECORDS_UNFINISHED, UNFINISHED, SUMMARY_UNFINISHED, KEPT_UNFINISHED)


def taken(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return what stands in a folder under these names, were it a link that leads nowhere."""
    found = (glob(name, root_dir=folder) if "*" in name else [name] for name in names)
    return [folder / name for name in chain(*found) if os.path.lexists(folder / name)]


def check_free(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder in which one of these names is taken."""
    for path in taken(folder, names):
        raise not_overwritten(path)


def check_new(file: Path) -> None:
    """Refuse a file that exists, were it a link that leads nowhere."""
    if taken(file.parent, [file.name]):
        raise InputError(
            f"{str(file)!r} exists already, and nothing is overwritten; name another file"
        )


def leave(file: Path, content: bytes) -> None:
    """Write a file whole, or not at all."""
    make_writable(file.parent)
    unfinished = file.with_name(f"{file.name}.unfinished")
    check_new(file)
    check_new(unfinished)
    try:
        write(unfinished, content)
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def check_ours(folder: Path, names: Iterable[str]) -> None:
    """Refuse a folder in which one of these names is taken by something that cilkit did not write.

    Event files are let be: TensorBoard's have names of their own.
    """
    for path in taken(folder, (name for name in names if name != EVENTS)):
        if not is_ours(path):
            raise not_overwritten(path)


def not_overwritten(path: Path) -> InputError:
    """Return the refusal of a folder that holds something where something is to be written."""
    return InputError(
        f"{str(path.parent)!r} holds {path.name!r} already, and nothing is overwritten; name "
        f"another folder"
    )


def is_ours(path: Path) -> bool:
    """Tell whether cilkit wrote a figure, a table or a summary, or nothing stands in it."""
    try:
        content = path.read_bytes()
    except OSError:  # a folder, say
        return False
    if path.name in TABLES:
        return content.startswith(",".join(TABLES[path.name]).encode()) or not content
    if path.name == README:
        return content.startswith(README_BEGINS.encode()) or not content
    if path.name == SUMMARY:
        return is_summary(content)
    return b"Software\0cilkit" in content[:4096] or not content


def is_summary(content: bytes) -> bool:
    """Tell whether this is JSON of numbers by method and name, as `compare` leaves it."""
    try:
        found = json.loads(content)
        return all(isinstance(list_, list) for of in found.values() for list_ in of.values())
    except (ValueError, AttributeError):
        return False
