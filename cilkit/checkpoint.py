"""Checkpoints: one file that holds the learner and the records so far, written whole or not at all.

The format is safetensors: numbers and text, no code that could run while it is read.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from cilkit.errors import InputError
from cilkit.fingerprint import fingerprint
from cilkit.learner import Learner
from cilkit.records import Record, from_json, to_json


@dataclass(frozen=True)
class Checkpoint:
    """A learner's state, and the records of the way there."""

    tensors: dict[str, Tensor]
    numbers: dict[str, Any]
    records: list[Record]


def save(path: Path, learner: Learner, records: Sequence[Record]) -> None:
    """Write a checkpoint; whoever reads meanwhile or after a crash finds the old one or the new."""
    state, numbers = learner.state()
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}
    text = json.dumps({"numbers": numbers, "records": [to_json(record) for record in records]})
    unfinished = path.with_suffix(".unfinished")
    save_file(tensors, unfinished, {"cilkit": text, "sha256": fingerprint(tensors, text)})
    with unfinished.open("rb+") as file:
        os.fsync(file.fileno())
    unfinished.replace(path)


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
        raise InputError(
            f"the checkpoint {str(path)!r} is damaged: its checksum differs from its content"
        )
    content = json.loads(text)
    return Checkpoint(tensors, content["numbers"], [from_json(line) for line in content["records"]])
