"""The stages in which classes arrive. Chapters 1 and 8.

`continuum.ClassIncremental` decides which sample belongs to which stage. It is given row numbers
in place of images, so that it never copies, converts or truncates what it deals out, and it is
given nothing that its version 1.2.7 is known to deal wrongly.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from cilkit.config import Config, fits, plain, whole
from cilkit.data.samples import DataSet, Samples, join
from cilkit.errors import InputError, shown


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


def class_increments(
    base: int, increment: int | Sequence[int], n_classes: int, name: str
) -> list[int]:
    """Return how many classes each stage brings: `base`, if any, then `increment` at a time.

    The last stage is smaller where they do not divide. A list says it stage by stage.
    """
    first = [base] * (base > 0)
    if not isinstance(increment, int):
        sizes = [*first, *increment]
        if increment and sum(sizes) == n_classes and min(increment) > 0:
            return sizes
        if not increment:
            raise InputError("increment is an empty list; it says of each stage how many classes")
        raise InputError(
            f"stages of {', '.join(map(str, sizes))} classes do not fit {name}: they must be "
            f"{n_classes} together, and each stage needs one"
        )
    stages, left_over = divmod(n_classes - base, increment)
    if base > n_classes or (base < n_classes and not stages):
        raise InputError(
            f"base {base} and increment {increment} do not fit the {n_classes} classes of {name}: "
            f"there must be enough for the first stage, and for one more of whole size"
        )
    return [*first, *[increment] * stages, *[left_over] * (left_over > 0)]


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
