"""`cilkit predict`: what a model says of files, those that cannot be read among them."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from cilkit.config import as_path
from cilkit.data.images import BadImage, Unreadable
from cilkit.data.sources.folders import entries, is_image
from cilkit.errors import InputError
from cilkit.inference import CHUNK
from cilkit.trained.answering import Answer, Trained, cut

# What is said of a path: the best classes, or why there are none.
Reply = tuple[str, list[Answer] | OSError]


def ask(model: Trained, paths: Sequence[Path], top: int = 1) -> Iterator[Reply]:
    """Yield what a model sees in each file, those in folders included, in order of their names."""
    if not paths:
        raise InputError("name at least one image, or a folder of images")
    if top < 1:
        raise InputError(f"top is {top}; ask for one class or more")
    files = [file for path in paths for file in files_in(str(as_path(path)))]
    if not files:
        raise InputError(f"there is no image in {', '.join(map(repr, map(str, paths)))}")
    for start in range(0, len(files), CHUNK):
        named = files[start : start + CHUNK]
        some = [(path, error or attempt(model, path)) for path, error in named]
        pixels = [found for _, found in some if isinstance(found, Tensor)]
        answers = iter(model.answers(torch.stack(pixels), top) if pixels else ())
        for path, found in some:
            yield path, found if isinstance(found, OSError) else next(answers)


def files_in(path: str) -> Iterator[tuple[str, OSError | None]]:
    """Yield a file's path, or those of all images below a folder; with what is wrong with one."""
    if not os.path.isdir(path):
        yield path, None
        return
    try:
        inside = entries(os.fsencode(path))
    except OSError as error:
        yield path, Unreadable(f"{path!r} cannot be read: {error.strerror}")
        return
    for name, is_folder in inside:
        if is_folder or is_image(name):
            yield from files_in(os.path.join(path, os.fsdecode(name)))


def attempt(model: Trained, path: str) -> Tensor | OSError:
    """Return the pixels of a file, or why there are none."""
    try:
        return cut(path, model.shape, model.learner.config)
    except (BadImage, Unreadable) as error:
        return error


def as_line(reply: Reply) -> str:
    """Return path, class and percent, and further classes, between tabs."""
    path, answers = reply
    assert not isinstance(answers, OSError)
    words = [f"{name}\t{100 * probability:.1f}" for name, probability in answers]
    return "\t".join([printable(path), *words])


def as_json(reply: Reply) -> str:
    """Return a line of JSON: a path, and its classes or what is wrong with the file."""
    path, answers = reply
    if isinstance(answers, OSError):
        said: dict[str, object] = {"error": str(answers)}
    else:
        said = {"classes": [answer._asdict() for answer in answers]}
    return json.dumps({"path": printable(path)} | said, ensure_ascii=False)


def printable(path: str) -> str:
    """Return a path without letters that no terminal takes."""
    return os.fsencode(path).decode(errors="replace")
