"""Anybody's arrays, in one file. Chapter 8."""

import zlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from cilkit.config import Config
from cilkit.data.arrays import numbers_of
from cilkit.data.samples import DataSet
from cilkit.errors import InputError


def npz(config: Config) -> DataSet:
    """Load the four arrays of a file made by `numpy.savez`; `DataSet.of` says what they may hold.

    `train_images`, `train_labels`, `test_images`, `test_labels`, and `class_names` and `scale` if
    you like. A file of features has `mean` and `std`, too, in place of the statistics of its
    images.
    """
    path = config.data_path
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except MemoryError as error:
        raise InputError(f"{str(path)!r} holds more than fits into memory ({error})") from error
    except (OSError, ValueError, EOFError, TypeError, *DAMAGED) as error:
        raise InputError(
            f"{str(path)!r} is no whole .npz file of arrays of numbers ({error}); name one with "
            f"--data-path"
        ) from error
    if missing := [name for name in ARRAYS if name not in arrays]:
        raise InputError(
            f"{str(path)!r} lacks {', '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}"
        )
    names = arrays.get("class_names")
    given = None if names is None else names.flatten()
    try:
        train, train_labels, test, test_labels = (arrays[name] for name in ARRAYS)
        how: Any = {"name": path.stem, "scale": arrays.get("scale")}
        dataset = DataSet.of(train, train_labels, test, test_labels, given, **how)
        return with_statistics(dataset, arrays)
    except InputError as error:
        raise InputError(f"in {str(path)!r}, {error}") from error


def with_statistics(dataset: DataSet, arrays: Mapping[str, NDArray[Any]]) -> DataSet:
    """Return the data set with the mean and the deviation of each channel that the file names."""
    if not {"mean", "std"} <= arrays.keys():
        return dataset
    mean, std = (numbers_of(arrays[name], name).astype(float) for name in ("mean", "std"))
    if not (mean.shape == std.shape == (len(dataset.mean),) and np.isfinite(mean).all()):
        raise InputError(f"mean and std are not {len(dataset.mean)} numbers, one for each channel")
    if not (np.isfinite(std).all() and std.min() > 0):
        raise InputError("std has a number that is not above 0")
    return replace(dataset, mean=tuple(mean.tolist()), std=tuple(std.tolist()))


# What a file's own wrong bytes raise.
DAMAGED = (BadZipFile, zlib.error, NotImplementedError, OverflowError)
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
