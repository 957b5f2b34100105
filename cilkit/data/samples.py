"""Images and their labels, side by side; a data set of them. Chapter 1."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from cilkit.data.arrays import pixels_of, statistics
from cilkit.data.labels import classes_of, labels_of, numbered
from cilkit.data.pairs import common_names, pairs_of
from cilkit.data.store import Files, Store, joined, kept, picture_of
from cilkit.errors import InputError


@dataclass(frozen=True)
class Samples:
    """Images and their labels, side by side: a view of rows of a store of images."""

    store: Store  # (M, C, H, W) uint8, or the files they are in; shared by all views of it
    rows: Tensor  # (N,) int64: which images of the store
    labels: Tensor  # (N,) int64

    @classmethod
    def of(cls, images: Store, labels: Tensor) -> "Samples":
        """Return all of `images`, (N, C, H, W) uint8 or files, with their labels (N,)."""
        return cls(images, torch.arange(len(images)), labels.long())

    def __len__(self) -> int:
        return len(self.rows)

    def __add__(self, other: "Samples") -> "Samples":
        """Return both one after the other; neither is changed."""
        if len(other) == 0:
            return self
        return gathered([self, other])

    def take(self, positions: Tensor) -> "Samples":
        """Return the samples at these positions, in this order, without copying an image."""
        return Samples(self.store, self.rows[positions], self.labels[positions])

    def images(self) -> Tensor:
        """Return the images, (N, C, H, W) uint8."""
        return self.store[self.rows]

    def batches(self, positions: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield the images at each list of positions; those in files are read ahead by workers."""
        rows = [self.rows[each].to(self.store.device) for each in positions]
        if isinstance(self.store, Files):
            yield from self.store.batches(rows)
        else:
            yield from (self.store[each] for each in rows)

    def picture(self, position: int) -> Any:
        """Return one image as Pillow has it; a file's in its own size."""
        return picture_of(self.store, int(self.rows[position]))

    def to(self, device: torch.device) -> "Samples":
        """Return the samples with their pixels on `device`, if they are not in files."""
        if isinstance(self.store, Files) or self.store.device == device:
            return self
        return Samples.of(self.images().to(device), self.labels)


@dataclass(frozen=True)
class DataSet:
    """What a data set brings: images to learn from, images to test with, names and statistics."""

    name: str
    train: Samples
    test: Samples
    class_names: tuple[str, ...]
    mean: tuple[float, ...]  # per channel, of pixels in [0, 1]
    std: tuple[float, ...]

    @classmethod
    def of(
        cls,
        train_images: Any,
        train_labels: Any,
        test_images: Any,
        test_labels: Any,
        class_names: Sequence[str] | Mapping[Any, Any] | None = None,
        name: str = "arrays",
        *,
        scale: Sequence[float] | None = None,
    ) -> "DataSet":
        """Return a data set of arrays or tensors; `build(config, dataset=...)` takes it.

        Images: (N, H, W), (N, H, W, C) or (N, C, H, W), bytes or floats in [0, 1]; one scale for
        both parts. What else they are, `scale` says: the numbers that are black and white, such as
        (-1, 1). Labels: (N,) texts or whole numbers, which name their classes and order them, too,
        unless there are names: a list for the labels 0, 1, 2, ..., or a dict such as torchvision's
        `class_to_idx`. Raises `InputError` for anything else.
        """
        train, test = pixels_of(scale, train_images=train_images, test_images=test_images)
        if (one := tuple(train.shape[1:])) != (other := tuple(test.shape[1:])):
            raise InputError(f"images to train with are {one}, to test with {other}")
        learnt = labels_of(train_labels, len(train), "train_labels")
        tested = labels_of(test_labels, len(test), "test_labels")
        classes, names = classes_of(class_names, learnt)
        return cls(
            name,
            Samples.of(train, numbered(learnt, classes, "train_labels")),
            Samples.of(test, numbered(tested, classes, "test_labels")),
            names,
            *statistics(train),
        )

    @classmethod
    def from_torch(
        cls,
        train: Any,
        test: Any,
        class_names: Sequence[str] | Mapping[Any, Any] | None = None,
        name: str = "torch",
        *,
        scale: Sequence[float] | None = None,
    ) -> "DataSet":
        """Return a data set of two of torch's, each with a length and pairs of image and label.

        Images are Pillow's or tensors, all of one size, and labels as for `of`, which says what
        `scale` is. Names are by default torchvision's `classes`. Each image is read once, into
        memory: leave random transforms out, training has its own (`augment`).
        """
        images, labels = pairs_of(train, "train")
        test_images, test_labels = pairs_of(test, "test")
        names = common_names(train, test) if class_names is None else class_names
        return cls.of(images, labels, test_images, test_labels, names, name, scale=scale)


def gathered(parts: Sequence[Samples]) -> Samples:
    """Return all parts, one after the other, in a store that holds their images alone."""
    store = joined([kept(part.store, part.rows) for part in parts])
    return Samples.of(store, torch.cat([part.labels for part in parts]))


def join(parts: Sequence[Samples]) -> Samples:
    """Return views of one store as one view."""
    rows, labels = torch.cat([p.rows for p in parts]), torch.cat([p.labels for p in parts])
    return Samples(parts[0].store, rows, labels)


def image_set(name: str, train: Samples, test: Samples, class_names: tuple[str, ...]) -> DataSet:
    """Complete a data set with the statistics of its own training images."""
    mean, std = statistics(train.images())
    return DataSet(name, train, test, class_names, mean, std)
