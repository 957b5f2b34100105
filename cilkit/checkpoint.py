"""Checkpoints: one file that holds the learner and the records so far, written whole or not at all.

The format is safetensors: numbers and text, no code that could run while it is read. The one before
the newest is kept, in case the newest gets damaged.
"""

import json
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cilkit.errors import InputError
from cilkit.fingerprint import fingerprint
from cilkit.records import Record, from_json, to_json

NEWEST, PREVIOUS = "checkpoint.safetensors", "checkpoint.previous.safetensors"


@dataclass(frozen=True)
class Checkpoint:
    """A learner's state, and the records of the way there."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]
    records: list[Record]


def save(folder: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint; whoever reads meanwhile or after a crash finds a whole one."""
    tensors = {k: v.detach().cpu().contiguous() for k, v in checkpoint.tensors.items()}
    lines = [to_json(record) for record in checkpoint.records]
    text = json.dumps({"numbers": checkpoint.numbers, "records": lines})
    unfinished = folder / "checkpoint.unfinished"
    save_file(tensors, unfinished, {"cilkit": text, "sha256": fingerprint(tensors, text)})
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    if (folder / NEWEST).exists():
        (folder / NEWEST).replace(folder / PREVIOUS)
    unfinished.replace(folder / NEWEST)


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
                if damage is not None:
                    warnings.warn(f"{damage}; going on from the one before it", stacklevel=2)
                return found
    if damage is not None:
        raise damage
    return None


def load(path: Path) -> Checkpoint:
    """Read a checkpoint; raise `InputError` if it is damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no dict
            metadata = file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise InputError(f"the checkpoint {str(path)!r} is damaged: {error}") from error
    text = metadata.get("cilkit", "")
    if metadata.get("sha256") != fingerprint(tensors, text):
        raise InputError(f"the checkpoint {str(path)!r} is damaged: its checksum does not fit")
    content = json.loads(text)
    return Checkpoint(tensors, content["numbers"], [from_json(line) for line in content["records"]])
