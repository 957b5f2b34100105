"""Settings are chosen on training images that were held out, not on the test images. Chapter 9."""

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
    marks, labels = from_main(lambda: marks_of(dataset.train)), dataset.train.labels
    held = torch.zeros(len(labels), dtype=torch.bool)
    for label, name in enumerate(dataset.class_names):
        places = (labels == label).nonzero().flatten()
        chosen = lowest([marks[place] for place in places.tolist()], config.validation)
        if chosen.all():
            raise InputError(
                f"validation would take all {len(places)} training images of class {name!r}; give "
                f"more images that differ, or a smaller share"
            )
        held[places[chosen]] = True
    train, test = (dataset.train.take(part.nonzero().flatten()) for part in (~held, held))
    return replace(dataset, train=train, test=test)


def lowest(marks: Sequence[bytes], share: float) -> Tensor:
    """Tell which marks are a share's lowest ones, and at least one: (N,) truth values."""
    last = sorted(marks)[max(1, round(share * len(marks))) - 1]
    return torch.tensor([mark <= last for mark in marks])


def marks_of(samples: Samples) -> list[bytes]:
    """Return a checksum for each image: of its pixels, or of its file's bytes."""
    if not isinstance(samples.store, Files):
        return [hashlib.sha256(image.numpy().tobytes()).digest() for image in samples.images()]
    found = look_at(samples, checksum)
    return [mark for mark in found.values() if isinstance(mark, bytes)]


def checksum(path: str) -> bytes:
    """Return a file's checksum."""
    return hashlib.sha256(Path(path).read_bytes()).digest()
