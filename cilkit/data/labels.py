"""Labels as people have them, texts or any whole numbers, made into 0, 1, 2, ... Chapter 8."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cilkit.data.arrays import as_array, numbers_of
from cilkit.errors import InputError, shown, some


def labels_of(labels: Any, count: int, what: str) -> NDArray[Any]:
    """Return `count` labels as an array (N,) of whole numbers, or of texts.

    Raises `InputError` for anything else; `what` names the labels in it.
    """
    array = as_array(labels, what)
    texts = array.dtype.kind in "US" and array.size > 0
    array = as_texts(labels, array, what) if texts else numbers_of(array, what)
    if array.shape != (count,):
        raise InputError(f"{what} has the shape {array.shape}; {count} images need ({count},)")
    if not texts:
        check_whole(array, what)
    return array


def as_texts(labels: Any, array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return labels as texts; NumPy makes one of a number, too, where others are texts."""
    for label in np.asarray(labels, dtype=object).flat:
        if not isinstance(label, str | bytes):
            raise InputError(f"{what} holds texts and {shown(label)}; give texts, or numbers")
    return array if array.dtype.kind == "U" else np.char.decode(array, errors="replace")


def check_whole(array: NDArray[Any], what: str) -> None:
    """Refuse numbers that are not whole, or too large for the floats that they are."""
    wrong = array[~np.isfinite(array) | (array != np.rint(array))]
    if wrong.size:
        raise InputError(f"{what} must be whole numbers, or texts; one is {wrong[0]}")
    highest = float(np.abs(array).max(initial=0))
    if array.dtype.kind == "f" and highest > 2 / float(np.finfo(array.dtype).eps):
        raise InputError(
            f"{what} holds {highest:.10g}, a float too large to be told from the next whole "
            f"number; give texts"
        )


def classes_of(class_names: Any, labels: NDArray[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Return what the labels of each class are, and its name, in the order of the classes.

    Without names, these are the labels found, in their order, and their names what they are. A list
    names the labels 0, 1, 2, ..., or is all texts. A dict, such as `class_to_idx`, has the labels
    on one side, and the names on the other.
    """
    if class_names is None:
        found = values_of(labels)
        return found, tuple(map(str, found))
    if isinstance(class_names, Mapping):
        classes, names = by_label(class_names, labels)
    else:
        try:
            names = tuple(map(as_text, class_names))
        except TypeError as error:
            sentence = f"class_names is {shown(class_names)}; give a list of names"
            raise InputError(sentence) from error
        classes = [*names] if labels.dtype.kind == "U" else [*range(len(names))]
    if len({*names}) < len(names):
        twice = max(names, key=names.count)
        raise InputError(f"class_names has {twice!r} twice; give each class a name of its own")
    return classes, names


def as_text(name: Any) -> str:
    """Return a name as a text."""
    return name.decode(errors="replace") if isinstance(name, bytes) else str(name)


def values_of(labels: NDArray[Any]) -> list[Any]:
    """Return the labels that there are, each once, as Python's own numbers or texts."""
    found = np.unique(labels).tolist()
    return found if labels.dtype.kind == "U" else [*map(int, found)]


def by_label(pairs: Mapping[Any, Any], labels: NDArray[Any]) -> tuple[list[Any], tuple[str, ...]]:
    """Return labels and names of a dict from names to labels, or from labels to names.

    Numbers are sorted, texts come in the order of the dict.
    """
    found, keys, values = {*values_of(labels)}, [*pairs], [*pairs.values()]
    for one, other in ((values, keys), (keys, values)):
        with suppress(TypeError):  # of what cannot be a label
            if found <= {*one} and len({*one}) == len(one):
                names = dict(zip(one, map(as_text, other), strict=True))
                order = one if labels.dtype.kind == "U" else sorted(one)
                return order, tuple(names[label] for label in order)
    raise InputError(
        f"class_names is a dict from {shown(keys)} to {shown(values)}; it must give each label "
        f"once, as class_to_idx does"
    )


def numbered(labels: NDArray[Any], classes: list[Any], what: str) -> Tensor:
    """Return labels as (N,) int64, each the place of its class; all classes must be there."""
    found, rows = values_of(labels), np.unique(labels, return_inverse=True)[1]
    place = {label: number for number, label in enumerate(classes)}
    if strange := [label for label in found if label not in place]:
        known = f"the classes are {some([*map(str, classes)])}"
        if classes == [*range(len(classes))]:
            known = f"labels run from 0 to {len(classes) - 1}"
        raise InputError(f"{what} holds {shown(strange[0])}; {known}")
    if missing := [label for label in classes if label not in {*found}]:
        raise InputError(
            f"{what} lacks {some([*map(str, missing)])}; each of the {len(classes)} classes needs "
            f"an image"
        )
    return torch.tensor([place[label] for label in found])[torch.from_numpy(rows)]
