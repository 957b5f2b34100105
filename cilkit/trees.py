"""Folders of images: a folder for each class, the images anywhere below it. Chapter 8."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from cilkit.arrays import statistics
from cilkit.config import Config
from cilkit.data import DataSet, Samples
from cilkit.errors import InputError
from cilkit.files import Files
from cilkit.images import SUFFIXES, BadImage, Unreadable

TEST_FOLDERS = ("val", "test")
LITTER = frozenset((b"Thumbs.db", b"desktop.ini"))  # what file managers leave; dot files too
WORDS = {"train": True, "1": True, "test": False, "val": False, "0": False}  # of a split file
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SAMPLE = 256  # images: their mean is known to about 0.01, which is plenty, and soon
# A class, by the folder's name; None stands for all folders that there are.
Classes = Sequence[str] | None


def read_tree(config: Config, classes: Classes = None) -> tuple[Samples, Samples, tuple[str, ...]]:
    """Return the training images, the test images and the classes' names of a folder.

    Either it holds train/ and val/ (or test/), each with a folder for every class; or it holds
    the classes' folders, and `config.split_file` has a line for each image: its path, a space, and
    "train" or "test" (1 and 0 will do). Raises `InputError` for whatever else is there.
    """
    root = config.data_path
    if not root.is_dir():
        raise InputError(f"no folder {str(root)!r}; name the one of the data set with --data-path")
    if config.split_file is not None:
        samples, names = samples_below(config, "", classes)
        return *split(samples, root / config.split_file), names
    below = next((name for name in TEST_FOLDERS if (root / name).is_dir()), None)
    if below is None or not (root / "train").is_dir():
        raise InputError(
            f"{str(root)!r} holds no folders train and val (or test); make them, or say with "
            f"--split-file which images are for training"
        )
    train, names = samples_below(config, "train", classes)
    test, test_names = samples_below(config, below, classes)
    check_same(names, test_names, root / "train", root / below)
    return train, test, names


def samples_below(config: Config, below: str, classes: Classes) -> tuple[Samples, tuple[str, ...]]:
    """Return all images of the class folders in one folder, class after class, by name."""
    try:
        names = class_folders(config.data_path / below, classes)
        counts: list[int] = []
        files = Files.of(config, paths_of(config.data_path, below, names, counts))
    except OSError as error:
        where = os.fsdecode(error.filename or "")
        raise InputError(f"{where!r} cannot be read: {error.strerror}") from error
    labels = torch.arange(len(names)).repeat_interleave(torch.tensor(counts))
    shown = (os.fsencode(name).decode(errors="replace") for name in names)
    return Samples.of(files, labels), tuple(shown)


def class_folders(folder: Path, classes: Classes) -> list[str]:
    """Return the names of the class folders in a folder: those asked for, or all there are."""
    with os.scandir(folder) as entries:
        found = sorted(e.name for e in entries if e.is_dir() and not e.name.startswith("."))
    if not found:
        raise InputError(f"{str(folder)!r} holds no folders, one for each class, with its images")
    missing = [name for name in classes or () if name not in set(found)]
    if missing:
        raise InputError(
            f"{str(folder)!r} lacks {len(missing)} of {len(classes or ())} classes: {some(missing)}"
        )
    return list(found if classes is None else classes)


def paths_of(root: Path, below: str, names: Sequence[str], counts: list[int]) -> Iterator[bytes]:
    """Yield the paths below `root` of each class's images, and note how many they are."""
    for name in names:
        folder = os.path.join(os.fsencode(below), os.fsencode(name))
        paths = list(images_below(os.fsencode(root), folder))
        if not paths:
            raise InputError(f"the class folder {str(root / below / name)!r} holds no image")
        counts.append(len(paths))
        yield from paths


def images_below(root: bytes, folder: bytes) -> Iterator[bytes]:
    """Yield the paths below `root` of all images in a folder and those within it, by name."""
    with os.scandir(os.path.join(root, folder)) as entries:
        found = sorted((entry.name, entry.is_dir()) for entry in entries)
    for name, is_folder in found:
        path = folder + b"/" + name
        if name[:1] == b"." or name in LITTER:
            continue
        if is_folder:
            yield from images_below(root, path)
        elif name.rpartition(b".")[2].lower() in KNOWN:
            yield path
        else:
            raise InputError(
                f"{os.fsdecode(os.path.join(root, path))!r} lies among the images, and is none by "
                f"its name; take it away (images end in {', '.join(sorted(SUFFIXES))})"
            )


KNOWN = frozenset(suffix.encode() for suffix in SUFFIXES)


def check_same(train: Sequence[str], test: Sequence[str], first: Path, second: Path) -> None:
    """Refuse classes of which one of the two folders has no images."""
    for have, lack, there, here in ((test, train, second, first), (train, test, first, second)):
        if strange := sorted(set(have) - set(lack)):
            raise InputError(
                f"{str(there)!r} has classes that {str(here)!r} lacks: {some(strange)}; each class "
                f"needs images in both"
            )


def split(samples: Samples, file: Path) -> tuple[Samples, Samples]:
    """Part the images of one tree as a file says, line by line: path, space, train or test."""
    files = samples.store
    assert isinstance(files, Files)
    said = read_split(file)
    for_training = torch.empty(len(samples), dtype=torch.bool)
    for row in range(len(samples)):
        name = os.fsdecode(files.name(row))
        if name not in said:
            raise InputError(f"{str(file)!r} does not say whether {name!r} is for training")
        for_training[row] = said.pop(name)
    if said:
        raise InputError(f"{str(file)!r} names images that are not there: {some(list(said))}")
    return samples.take(positions(for_training)), samples.take(positions(~for_training))


def read_split(file: Path) -> dict[str, bool]:
    """Return which paths a split file gives to training, and which to tests."""
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise InputError(f"{str(file)!r} cannot be read: {error.strerror}") from error
    said = {}
    for number, line in enumerate(map(os.fsdecode, lines), 1):
        if line.strip():
            path, _, word = line.rstrip().rpartition(" ")
            if not path or word not in WORDS:
                raise InputError(
                    f"line {number} of {str(file)!r} is {line[:80]!r}; it must be a path, a space, "
                    f"and train or test"
                )
            said[path.removeprefix("./")] = WORDS[word]
    return said


def positions(mask: Tensor) -> Tensor:
    """Return where a mask is true."""
    return mask.nonzero().flatten()


def some(names: Sequence[str]) -> str:
    """Return the first few of many names."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def folder(config: Config) -> DataSet:
    """Load a folder of your own, with statistics measured on a fixed sample of its images.

    For CUB-200, say, `--data-path CUB_200_2011/images`, and a split file made from its lists by
    `paste -d' ' <(cut -d' ' -f2 images.txt) <(cut -d' ' -f2 train_test_split.txt)`.
    """
    train, test, names = read_tree(config)
    return DataSet(config.data_path.resolve().name, train, test, names, *measured(train))


def measured(samples: Samples) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of a few images, the same ones each time."""
    chance = torch.Generator().manual_seed(0)
    step = -(-samples.store.shape[-1] // 64)  # 64 x 64 pixels of each will do
    seen: list[Tensor] = []
    for place, position in enumerate(torch.randperm(len(samples), generator=chance).tolist()):
        if place >= SAMPLE and seen:
            break
        with suppress(BadImage, Unreadable):  # the check before training says which
            seen.append(samples.take(torch.tensor([position])).images()[:, :, ::step, ::step])
    return statistics(torch.cat(seen)) if seen else (IMAGENET_MEAN, IMAGENET_STD)
