"""The data sets by name: pixels where they are small, paths of files where not. Chapter 8."""

import zlib
from collections.abc import Callable
from zipfile import BadZipFile

import numpy as np
import torch

from cilkit.arrays import statistics
from cilkit.cifar100 import cifar100
from cilkit.config import Config
from cilkit.data import DataSet, Samples
from cilkit.errors import InputError, lookup
from cilkit.imagenet import imagenet100, imagenet1000
from cilkit.trees import folder


def build_dataset(config: Config) -> DataSet:
    """Load the data set that `config` names."""
    return lookup("data set", config.dataset, DATASETS)(config)


def digits(config: Config) -> DataSet:
    """Load scikit-learn's handwritten digits: 1797 grey images of 8x8, a quarter of them for tests.

    They ship with scikit-learn. The split is stratified and always the same.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    rows = np.arange(len(bunch.target))
    train, test = train_test_split(rows, test_size=0.25, stratify=bunch.target, random_state=0)
    images = torch.from_numpy(bunch.images * (255 / 16)).round().byte().unsqueeze(1)
    labels = torch.from_numpy(bunch.target)
    names = tuple(str(name) for name in bunch.target_names)
    return image_set(
        "digits",
        Samples.of(images[train], labels[train]),
        Samples.of(images[test], labels[test]),
        names,
    )


def glyphs(config: Config) -> DataSet:
    """Draw 100 characters in matplotlib's fonts: 10,000 + 2,000 colour images of 32x32."""
    return drawn("glyphs", "test")


def glyphs_held_out(config: Config) -> DataSet:
    """Draw the same images to learn from; 2,000 others to test with, in fonts never trained on."""
    return drawn("glyphs-held-out", "held-out")


def drawn(name: str, test: str) -> DataSet:
    """Return the glyphs, tested on this part of them."""
    from cilkit.glyphs import CHARACTERS, glyph_samples  # matplotlib takes a second

    return image_set(name, glyph_samples("train"), glyph_samples(test), tuple(CHARACTERS))


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


def image_set(name: str, train: Samples, test: Samples, class_names: tuple[str, ...]) -> DataSet:
    """Complete a data set with the statistics of its own training images."""
    mean, std = statistics(train.images())
    return DataSet(name, train, test, class_names, mean, std)


DATASETS: dict[str, Callable[[Config], DataSet]] = {
    "digits": digits,
    "cifar100": cifar100,
    "imagenet100": imagenet100,
    "imagenet1000": imagenet1000,
    "folder": folder,
    "npz": npz,
    "glyphs": glyphs,
    "glyphs-held-out": glyphs_held_out,
}
