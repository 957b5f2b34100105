"""A share of each class, chosen by content. Chapter 9.

It is held out for the choice of settings, or is for tests where a folder has no others.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from cilkit.config import Config
from cilkit.data.damage import look_at
from cilkit.data.samples import DataSet, Samples
from cilkit.data.store import Files
from cilkit.errors import InputError
from cilkit.machine.processes import from_main


def with_validation(dataset: DataSet, config: Config) -> DataSet:
    """Return the data set with a share of each class's training images in place of the test images.

    The share is `config.validation`; without one, nothing changes. Images are chosen by their
    content, the same ones in whatever order they come; equal ones stay together. Mean and deviation
    stay those of all training images.
    """
    if not config.validation:
        return dataset
    marks = from_main(lambda: marks_of(dataset.train))
    share = ("validation", config.validation)
    train, test = parted(dataset.train, marks, dataset.class_names, *share)
    return replace(dataset, train=train, test=test)


def parted(
    samples: Samples, marks: Sequence[bytes], names: Sequence[str], setting: str, share: float
) -> tuple[Samples, Samples]:
    """Return what stays of samples, and the share of each class with the lowest marks."""
    held = torch.zeros(len(samples), dtype=torch.bool)
    for label, name in enumerate(names):
        places = (samples.labels == label).nonzero().flatten()
        chosen = lowest([marks[place] for place in places.tolist()], share)
        if chosen.all():
            raise InputError(
                f"{setting} would take all {len(places)} training images of class {name!r}; give "
                f"more images that differ, or a smaller share"
            )
        held[places[chosen]] = True
    stay, go = (samples.take(part.nonzero().flatten()) for part in (~held, held))
    return stay, go


def lowest(marks: Sequence[bytes], share: float) -> Tensor:
    """Tell which marks are a share's lowest ones, and at least one: (N,) truth values."""
    last = sorted(marks)[max(1, round(share * len(marks))) - 1]
    return torch.tensor([mark <= last for mark in marks])


def marks_of(samples: Samples) -> list[bytes]:
    """Return a checksum for each image: of its pixels, or of its file's bytes.

    A file that cannot be read has its name in place of it; whoever looks for damage will find it.
    """
    if not isinstance(samples.store, Files):
        return [hashlib.sha256(image.numpy().tobytes()).digest() for image in samples.images()]
    found, files = look_at(samples, checksum), samples.store
    return [
        mark if isinstance(mark, bytes) else files.name(int(samples.rows[place]))
        for place, mark in sorted(found.items())
    ]


def checksum(path: str) -> bytes:
    """Return a file's checksum."""
    return hashlib.sha256(Path(path).read_bytes()).digest()
