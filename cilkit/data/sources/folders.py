"""Folders of images: a folder for each class, the images anywhere below it. Chapter 8."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor

from cilkit.config import Config
from cilkit.data.arrays import statistics
from cilkit.data.images import SUFFIXES, BadImage, Unreadable
from cilkit.data.samples import DataSet, Samples
from cilkit.data.sources.split import alike, split
from cilkit.data.store import Files
from cilkit.data.validation import marks_of, parted
from cilkit.errors import InputError, some

TEST_FOLDERS = ("val", "test")
# What systems, file managers, network disks and Python leave, in any case; names with a dot too.
LITTER = frozenset(
    (
        *(b"thumbs.db", b"ehthumbs.db", b"desktop.ini", b"icon\r", "icon\uf00d".encode()),
        *(b"$recycle.bin", b"system volume information", b"lost+found", b"__macosx"),
        *(b"@eadir", b"@recycle", b"@recently-snapshot", b"#recycle", b"#snapshot", b"__pycache__"),
    )
)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SAMPLE = 256  # images: their mean is known to about 0.01, which is plenty, and soon
# A class, by the folder's name; None stands for all folders that there are.
Classes = Sequence[str] | None


def read_tree(config: Config, classes: Classes = None) -> tuple[Samples, Samples, tuple[str, ...]]:
    """Return the training images, the test images and the classes' names of a folder.

    Either it holds train/ and val/ (or test/), each with a folder for every class; or it holds
    the classes' folders, and `config.split_file` has a line for each image: its path, a space, and
    "train" or "test" (1 and 0 will do), or `config.test_share` of each class is taken for tests,
    by content. Raises `InputError` for whatever else is there.
    """
    root = config.data_path
    if not root.is_dir():
        raise InputError(f"no folder {str(root)!r}; name the one of the data set with --data-path")
    try:
        first, *others = parts_of(config)
        names = class_folders(root / first, classes)
        shown = tuple(os.fsencode(name).decode(errors="replace") for name in names)
        train = samples_below(config, first, names)
        if config.split_file is not None:
            return *split(train, shown, root / config.split_file), shown
        if config.test_share:
            marks, share = marks_of(train), ("test_share", config.test_share)
            return *parted(train, marks, shown, *share), shown
        [other] = others
        check_same(names, class_folders(root / other, classes), root / first, root / other)
        return train, samples_below(config, other, names), shown
    except OSError as error:
        where = os.fsdecode(error.filename or "")
        raise InputError(f"{where!r} cannot be read: {error.strerror}") from error


def parts_of(config: Config) -> list[str]:
    """Return the folders below the data set's that hold the classes' folders: train and val, say.

    Where one tree is split, by a file or by shares, it is that tree, and the answer is [""].
    """
    root = config.data_path
    both = halves(root)
    if config.test_share and both:
        raise InputError(
            f"{str(root)!r} holds train and {both[1]}: it is split already, so leave test_share "
            f"away"
        )
    if config.split_file is not None or config.test_share:
        return [""]
    if not both:
        raise InputError(
            f"{str(root)!r} holds no folders train and val (or test); make them, or say with "
            f"--test-share 0.2 how much of each class is for tests, or with --split-file which "
            f"images are for training"
        )
    return both


def halves(root: Path) -> list[str]:
    """Return the names of the folders for training and for tests, if there are both."""
    there = [name for name in TEST_FOLDERS if (root / name).is_dir()]
    return ["train", *there[:1]] if there and (root / "train").is_dir() else []


def samples_below(config: Config, below: str, names: Sequence[str]) -> Samples:
    """Return all images of these classes' folders in one folder, class after class."""
    counts: list[int] = []
    names = class_folders(config.data_path / below, names)  # as this folder spells them
    files = Files.of(config, paths_of(config.data_path, below, names, counts))
    return Samples.of(files, torch.arange(len(names)).repeat_interleave(torch.tensor(counts)))


def class_folders(folder: Path, classes: Classes) -> list[str]:
    """Return the names of the class folders in a folder: those asked for, or all there are.

    They are spelt as there; "é" may be one letter, or a letter and an accent, and is the same.
    """
    names = (os.fsdecode(name) for name, is_folder in entries(os.fsencode(folder)) if is_folder)
    found: dict[str, str] = {}
    for name in sorted(names):
        if found.setdefault(alike(name), name) != name:
            raise InputError(
                f"{str(folder)!r} has two folders {name!r}: in one, an accent is a letter of its "
                f"own (NFD), in the other not (NFC); make them one"
            )
    if not found:
        raise InputError(f"{str(folder)!r} holds no folders, one for each class, with its images")
    if missing := [name for name in classes or () if alike(name) not in found]:
        raise InputError(
            f"{str(folder)!r} lacks {len(missing)} of {len(classes or ())} classes: {some(missing)}"
        )
    return list(found.values()) if classes is None else [found[alike(name)] for name in classes]


def entries(folder: bytes) -> list[tuple[bytes, bool]]:
    """Return what is in a folder, by name, and whether each is a folder; litter is none of it."""
    with os.scandir(folder) as found:
        return sorted((entry.name, entry.is_dir()) for entry in found if not is_litter(entry.name))


def is_litter(name: bytes) -> bool:
    """Tell whether something has this name that no person has put there as an image or a class."""
    return name[:1] == b"." or name.lower() in LITTER


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
    for name, is_folder in entries(os.path.join(root, folder)):
        path = folder + b"/" + name
        if is_folder:
            yield from images_below(root, path)
        elif is_image(name):
            yield path
        else:
            raise InputError(
                f"{os.fsdecode(os.path.join(root, path))!r} lies among the images, and is none by "
                f"its name; take it away (images end in {', '.join(sorted(SUFFIXES))})"
            )


def is_image(name: bytes) -> bool:
    """Tell whether a file is an image by its name."""
    return name.rpartition(b".")[2].lower() in KNOWN


KNOWN = frozenset(suffix.encode() for suffix in SUFFIXES)


def check_same(train: Sequence[str], test: Sequence[str], first: Path, second: Path) -> None:
    """Refuse classes of which one of the two folders has no images."""
    for have, lack, there, here in ((test, train, second, first), (train, test, first, second)):
        known = set(map(alike, lack))
        if strange := [name for name in have if alike(name) not in known]:
            raise InputError(
                f"{str(there)!r} has classes that {str(here)!r} lacks: {some(strange)}; each class "
                f"needs images in both"
            )


def skipped(config: Config) -> list[str]:
    """Return what `read_tree` does not look at: litter, and images beside the classes' folders."""
    root = os.fsencode(config.data_path)
    found: list[bytes] = []
    for part in map(os.fsencode, parts_of(config)):
        found += litter_below(root, part)
        files = (name for name, is_folder in entries(os.path.join(root, part)) if not is_folder)
        found += (os.path.join(part, name) for name in files if is_image(name))
    return list(map(os.fsdecode, found))


def inner_folders(samples: Samples) -> list[str]:
    """Return the folders with images that lie within a class's folder: they belong to the class."""
    files = samples.store
    assert isinstance(files, Files)
    depth = len(parts_of(files.config)) > 1  # of a class's folder below the data set's
    names = (os.path.dirname(files.name(row)) for row in samples.rows.tolist())
    found = {name for name in names if name.count(b"/") > depth}
    return sorted(map(os.fsdecode, found))


def litter_below(root: bytes, folder: bytes) -> Iterator[bytes]:
    """Yield the paths below `root` of the litter in a folder and those within it, by name."""
    with os.scandir(os.path.join(root, folder)) as found:
        inside = sorted((entry.name, entry.is_dir()) for entry in found)
    for name, is_folder in inside:
        path = os.path.join(folder, name)
        if is_litter(name):
            yield path
        elif is_folder:
            yield from litter_below(root, path)


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
