"""Pairs of an image and its label, as data sets of torch hold them. Chapter 8."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from cilkit.data.images import opened_already
from cilkit.errors import InputError, shown


def pairs_of(dataset: Any, what: str) -> tuple[list[Any], list[Any]]:
    """Return all images and all labels of a data set that has a length and gives pairs.

    Raises `InputError` for another one; `what` names it there.
    """
    if isinstance(dataset, DataLoader | IterableDataset) or not hasattr(dataset, "__len__"):
        raise InputError(
            f"{what} is a {type(dataset).__name__}; give a data set of torch that has a length and "
            f"a pair of an image and its label at each position"
        )
    pairs = [pair(dataset[position], f"{what}[{position}]") for position in range(len(dataset))]
    return [image for image, _ in pairs], [label for _, label in pairs]


def common_names(train: Any, test: Any) -> Any:
    """Return the `classes` of torchvision's data sets, if they have some.

    Raises `InputError` where a label means one class in one of them, and another in the other.
    """
    names, other = getattr(train, "classes", None), getattr(test, "classes", None)
    if isinstance(names, Iterable) and isinstance(other, Iterable) and [*names] != [*other]:
        raise InputError(
            f"the classes of train are {shown(names)}, those of test {shown(other)}; a label must "
            f"mean the same in both: if it does, say what by class_names"
        )
    return names


def pair(given: Any, what: str) -> tuple[Any, Any]:
    """Return an image as an array, of Pillow's too, and a label as a number or a text."""
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise InputError(f"{what} is {shown(given)}; a pair of an image and its label is needed")
    image, label = given
    if isinstance(image, Image.Image):
        grey = image.mode in ("1", "L")
        image = np.asarray(image.convert("L") if grey else opened_already(image))
    return image, label.item() if isinstance(label, Tensor) and label.numel() == 1 else label
