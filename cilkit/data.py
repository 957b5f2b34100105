"""Samples, and the stages in which their classes arrive.

`continuum.ClassIncremental` decides which sample belongs to which stage. It is given row numbers
in place of images, so that it never copies, converts or truncates what it deals out, and it is
given nothing that its version 1.2.7 is known to deal wrongly.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from cilkit.arrays import labels_of, names_of, numbered, pixels_of, statistics
from cilkit.config import Config, fits, plain, whole
from cilkit.errors import InputError, shown
from cilkit.files import Files, Store, joined, kept, picture_of


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
        """Return the number of images."""
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
        class_names: Sequence[str] | Mapping[str, int] | None = None,
        name: str = "arrays",
    ) -> "DataSet":
        """Return a data set of arrays or tensors; `build(config, dataset=...)` takes it.

        Images: (N, H, W), (N, H, W, C) or (N, C, H, W), bytes or floats in [0, 1]; one scale for
        both parts. Labels: (N,) whole numbers from 0 without gaps. Names: a list, or a dict such as
        torchvision's `class_to_idx`. Raises `InputError` for anything else.
        """
        train, test = pixels_of(train_images=train_images, test_images=test_images)
        if (one := tuple(train.shape[1:])) != (other := tuple(test.shape[1:])):
            raise InputError(f"images to train with are {one}, to test with {other}")
        learnt = labels_of(train_labels, len(train), "train_labels")
        tested = labels_of(test_labels, len(test), "test_labels")
        names = names_of(class_names, learnt)
        return cls(
            name,
            Samples.of(train, numbered(learnt, len(names), "train_labels")),
            Samples.of(test, numbered(tested, len(names), "test_labels")),
            names,
            *statistics(train),
        )

    @property
    def channels(self) -> int:
        """Return the number of colour channels."""
        return len(self.mean)


@dataclass(frozen=True)
class Stage:
    """One step of class-incremental learning: new classes arrive, the old ones' data is gone.

    Labels are numbered in the order of arrival: old classes 0 ... n_old - 1, new ones up to n_seen.
    """

    index: int
    n_old: int
    n_seen: int
    train: Samples  # the new classes only
    train_so_far: Samples  # all classes seen so far: for the upper bound alone
    test: Samples  # all classes seen so far


@dataclass(frozen=True)
class Scenario:
    """A data set dealt out in stages."""

    stages: tuple[Stage, ...]
    class_order: tuple[int, ...]  # original label of the class that arrives first, second, ...
    class_names: tuple[str, ...]  # in order of arrival
    dataset: DataSet

    @property
    def classes_per_stage(self) -> tuple[int, ...]:
        """Return how many classes each stage brings."""
        return tuple(stage.n_seen - stage.n_old for stage in self.stages)


def build_scenario(dataset: DataSet, config: Config) -> Scenario:
    """Deal the classes of `dataset` out in the stages that `config` describes."""
    n_classes = len(dataset.class_names)
    order = class_order(config.class_order, n_classes)
    increments = class_increments(config.base, config.increment, n_classes, dataset.name)
    train, test = (deal(part, order, increments) for part in (dataset.train, dataset.test))
    ends = np.cumsum(increments).tolist()
    stages = tuple(
        Stage(i, end - increments[i], end, train[i], join(train[: i + 1]), join(test[: i + 1]))
        for i, end in enumerate(ends)
    )
    return Scenario(stages, order, tuple(dataset.class_names[label] for label in order), dataset)


def class_order(setting: str | int | Sequence[int], n_classes: int) -> tuple[int, ...]:
    """Return the original labels in order of arrival: natural, from a seed, or as listed.

    Raises `InputError` for anything else.
    """
    order = whole(plain(setting))
    if order == "natural":
        return tuple(range(n_classes))
    if fits(order, int):  # the field's generator: 1993 gives 68, 56, 78, 8, 23, ...
        if not 0 <= order < 2**32:
            raise InputError(
                f"class_order is {shown(order)}; a seed must lie between 0 and {2**32 - 1}"
            )
        return tuple(np.random.RandomState(order).permutation(n_classes).tolist())
    if not fits(order, tuple[int, ...]):
        raise InputError(
            f"class_order is {shown(setting)}; it must be 'natural', a seed, or a list of labels"
        )
    if sorted(order) != list(range(n_classes)):
        raise InputError(
            f"class_order must hold each label from 0 to {n_classes - 1} once; it has {len(order)} "
            f"entries, {len(set(order))} of them different: {shown(order)}"
        )
    return tuple(order)


def class_increments(base: int, increment: int, n_classes: int, name: str) -> list[int]:
    """Return how many classes each stage brings: `base`, if any, then `increment` at a time."""
    stages, left_over = divmod(n_classes - base, increment)
    if base > n_classes or left_over:
        raise InputError(
            f"base {base} and increment {increment} do not fit the {n_classes} classes of {name}: "
            f"base must be at most {n_classes}, and the rest must divide into whole increments"
        )
    return [base] * (base > 0) + [increment] * stages


def deal(samples: Samples, order: Sequence[int], increments: list[int]) -> list[Samples]:
    """Split samples by stage, labels renumbered in order of arrival."""
    from continuum import ClassIncremental  # takes seconds to import
    from continuum.datasets import InMemoryDataset
    from continuum.tasks import TaskType

    labels = samples.labels.numpy()
    if not np.array_equal(np.unique(labels), np.arange(len(order))):
        raise InputError(
            f"each of the {len(order)} classes needs an image, with labels from 0 without gaps"
        )
    rows: Any = InMemoryDataset(np.arange(len(labels)), labels, data_type=TaskType.TENSOR)
    scenario = ClassIncremental(rows, increment=increments, class_order=list(order))
    parts = []
    for index in range(len(increments)):  # by index: its iterator is shared by all who iterate
        positions, renumbered, _ = scenario[index].get_raw_samples()
        part = samples.take(torch.as_tensor(positions).long())
        parts.append(Samples(part.store, part.rows, torch.as_tensor(renumbered).long()))
    return parts


def gathered(parts: Sequence[Samples]) -> Samples:
    """Return all parts, one after the other, in a store that holds their images alone."""
    store = joined([kept(part.store, part.rows) for part in parts])
    return Samples.of(store, torch.cat([part.labels for part in parts]))


def join(parts: Sequence[Samples]) -> Samples:
    """Return views of one store as one view."""
    rows, labels = torch.cat([p.rows for p in parts]), torch.cat([p.labels for p in parts])
    return Samples(parts[0].store, rows, labels)
