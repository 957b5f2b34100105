"""Checkpoints: one file that holds the learner and the records so far, written whole or not at all.

The format is safetensors: numbers and text, no code that could run while it is read. The one before
the newest is kept, in case the newest gets damaged. Beside them may be one of each stage, which
holds what answers and no more.
"""

import json
import os
import warnings
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialise
from torch import Tensor

from cilkit.errors import InputError
from cilkit.runs.fingerprint import fingerprint
from cilkit.runs.records import Record, from_json

NEWEST, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"
UNFINISHED = "checkpoint.unfinished"
STAGES = "stages"  # the folder of those that stages have left


@dataclass(frozen=True)
class Checkpoint:
    """A learner's state, and the records of the way there."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]
    records: list[Record]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; whoever reads meanwhile or after a crash finds a whole one."""
    unfinished = folder / UNFINISHED
    write(unfinished, as_bytes(checkpoint))
    if (folder / NEWEST).exists():
        (folder / NEWEST).replace(folder / PREVIOUS)
    unfinished.replace(folder / NEWEST)


def keep(folder: Path, stage: int, content: bytes) -> None:
    """Write what a stage, counted from 1, has left, in place of an earlier one of the same."""
    file = stage_file(folder, stage)
    file.parent.mkdir(exist_ok=True)
    unfinished = file.with_name(UNFINISHED)
    write(unfinished, content)
    unfinished.replace(file)


def stage_file(folder: Path, stage: int) -> Path:
    """Return where a run keeps what a stage, counted from 1, has left."""
    return folder / STAGES / f"stage{stage}.safetensors"


def as_bytes(checkpoint: Checkpoint) -> bytes:
    """Return a checkpoint as the file that holds it."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()}
    lines = [record.line for record in checkpoint.records]
    text = json.dumps({"numbers": checkpoint.numbers, "records": lines})
    return serialise(tensors, {"cilkit": text, "sha256": fingerprint(tensors, text)})


def write(path: Path, content: bytes) -> None:
    """Write a file through to the disk; `OSError` names it, also where the disk is full.

    Safetensors could write itself, but leaves files of its own behind when it is killed, and files
    that only their owner can read.
    """
    try:
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def find(folder: Path) -> Checkpoint | None:
    """Return the newest whole checkpoint in `folder`, or None where there is none at all.

    Raises `InputError` if what is there is damaged.
    """
    damage = None
    for path in (folder / NEWEST, folder / PREVIOUS):
        if path.exists():
            try:
                found = load(path)
            except InputError as error:
                damage = damage or error
            else:
                if damage is not None:  # nothing is lost, and the next one does not push out this
                    (folder / NEWEST).replace(free_name(folder))
                    warnings.warn(f"{damage}; going on from the one before it", stacklevel=2)
                return found
    if damage is not None:
        raise InputError(f"{damage}; there is no whole one: start anew in another folder")
    return None


def free_name(folder: Path) -> Path:
    """Return a name for a damaged checkpoint that is set aside."""
    names = (folder / f"checkpoint.damaged{number}" for number in count(1))
    return next(path for path in names if not path.exists())


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; raise `InputError` if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
            metadata = file.metadata() or {}
        text = metadata.get("cilkit", "")
        if metadata.get("sha256") != fingerprint(tensors, text):
            raise ValueError("its checksum does not fit")
        return parse(text, tensors)
    except (SafetensorError, OSError, ValueError) as error:
        raise InputError(f"the checkpoint {str(path)!r} is damaged: {error}") from error


def parse(text: str, tensors: dict[str, Tensor]) -> Checkpoint:
    """Return what the text says of these tensors; raise `ValueError` where it does not say it."""
    try:
        content = json.loads(text)
        records = [from_json(line) for line in content["records"]]
        return Checkpoint(tensors, content["numbers"], records)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"something is missing, or in another's place ({error})") from error
