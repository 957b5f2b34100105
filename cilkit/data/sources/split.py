"""A split file: which images of one tree are for training, and which for tests. Chapter 8."""

import codecs
import io
import os
import posixpath
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch

from cilkit.data.samples import Samples
from cilkit.data.store import Files
from cilkit.errors import InputError, some

WORDS = {"train": True, "1": True, "test": False, "val": False, "0": False}


class Said(NamedTuple):
    """What one line says of one image."""

    path: str  # as the line spells it
    number: int  # of the line, from 1
    for_training: bool


def split(samples: Samples, names: Sequence[str], file: Path) -> tuple[Samples, Samples]:
    """Part the images of one tree as a file says, line by line: path, space, train or test.

    `names` are the classes'. Raises `InputError` unless the file says of each image where it goes,
    and of nothing else, and gives images of every class to both parts.
    """
    files, said = samples.store, read_split(file)
    assert isinstance(files, Files)
    paths: dict[str, str] = {}
    for name in (os.fsdecode(files.name(row)) for row in range(len(samples))):
        if (other := paths.setdefault(alike(name), name)) != name:
            raise InputError(f"{other!r} and {name!r} are one path to a split file; rename one")
        if alike(name) not in said:
            raise InputError(f"{str(file)!r} does not say whether {name!r} is for training")
    if absent := [line.path for path, line in said.items() if path not in paths]:
        raise InputError(f"{str(file)!r} names images that are not there: {some(absent)}")
    for_training = torch.tensor([said[path].for_training for path in paths])
    parts = {"training": samples.take(positions(for_training))}
    parts["tests"] = samples.take(positions(~for_training))
    for word, part in parts.items():
        check_every_class(part, names, f"{str(file)!r} gives to {word}")
    return parts["training"], parts["tests"]


def positions(mask: torch.Tensor) -> torch.Tensor:
    """Return where a mask is true."""
    return mask.nonzero().flatten()


def check_every_class(samples: Samples, names: Sequence[str], what: str) -> None:
    """Refuse a part that lacks a class."""
    counts = samples.labels.bincount(minlength=len(names)).tolist()
    if lacking := [name for name, count in zip(names, counts, strict=True) if not count]:
        raise InputError(f"{what} no image of {some(lacking)}; each class needs images in both")


def read_split(file: Path) -> dict[str, Said]:
    """Return what a split file says, by the path that all spellings share (see `alike`).

    Raises `InputError` for a line that is none, and for two lines that contradict each other.
    """
    said: dict[str, Said] = {}
    again: dict[str, None] = {}
    for number, line in enumerate(lines_of(file), 1):
        path, word = [*line.rsplit(None, 1), "", ""][:2]
        if path and word.lower() not in WORDS:
            raise InputError(
                f"line {number} of {str(file)!r} is {line[:80]!r}; it must be a path, a space, "
                f"and train or test"
            )
        if path:
            now = Said(path, number, WORDS[word.lower()])
            first = said.setdefault(alike(path), now)
            check_agrees(first, now, file)
            again |= {path: None} if first is not now else {}
    if again:
        warnings.warn(
            f"{str(file)!r} says more than once where to put {some(list(again))}", stacklevel=2
        )
    return said


def lines_of(file: Path) -> list[str]:
    """Return a file's lines: as UTF-16 where it says so, else as the system spells its paths."""
    content = file.read_bytes()
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = content.decode("utf-16", errors="replace")
    else:
        text = os.fsdecode(content.removeprefix(codecs.BOM_UTF8))
    return [line.rstrip("\n") for line in io.StringIO(text, newline=None)]


def check_agrees(first: Said, second: Said, file: Path) -> None:
    """Refuse two lines of which each says something else of one path."""
    if first.for_training != second.for_training:
        raise InputError(
            f"lines {first.number} and {second.number} of {str(file)!r} contradict each other: "
            f"{second.path!r} is for training in one, for tests in the other"
        )


def alike(path: str) -> str:
    r"""Return a path as all its spellings share it: ./a, a//b, a\b, and both forms of an accent.

    A Mac spells é as a letter and an accent (NFD), most others as one letter (NFC).
    """
    return unicodedata.normalize("NFC", posixpath.normpath(path.replace("\\", "/")))
