"""Anybody's arrays, in one file. Chapter 8."""

import zlib
from zipfile import BadZipFile

import numpy as np

from cilkit.config import Config
from cilkit.data.samples import DataSet
from cilkit.errors import InputError


def npz(config: Config) -> DataSet:
    """Load the four arrays of a file made by `numpy.savez`; `DataSet.of` says what they may hold.

    `train_images`, `train_labels`, `test_images`, `test_labels`, and `class_names` if you like.
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
    train_images, train_labels, test_images, test_labels = (arrays[name] for name in ARRAYS)
    try:
        return DataSet.of(train_images, train_labels, test_images, test_labels, given, path.stem)
    except InputError as error:
        raise InputError(f"in {str(path)!r}, {error}") from error


# What a file's own wrong bytes raise.
DAMAGED = (BadZipFile, zlib.error, NotImplementedError, OverflowError)
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")
