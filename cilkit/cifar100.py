"""CIFAR-100 (Krizhevsky 2009), from whatever form of it you have. Chapter 8."""

import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from cilkit.arrays import statistics
from cilkit.config import Config
from cilkit.data import DataSet, Samples
from cilkit.download import checksum, fetch
from cilkit.errors import InputError

FOLDER, ARCHIVE = "cifar-100-python", "cifar-100-python.tar.gz"


def cifar100(config: Config) -> DataSet:
    """Load 50,000 + 10,000 colour images of 32x32, in 100 classes; all files are checked.

    `config.data_path` is, or holds, the archive or the folder that comes out of it.
    """
    from torchvision.datasets import CIFAR100

    parent = find(config)
    try:
        train, test = (CIFAR100(parent, train=part) for part in (True, False))
    except (RuntimeError, OSError) as error:  # torchvision does not say which file
        raise InputError(damaged_file(parent, str(error))) from error
    samples = samples_of(train)
    mean, std = statistics(samples.images())
    return DataSet("cifar100", samples, samples_of(test), tuple(train.classes), mean, std)


def find(config: Config) -> Path:
    """Return the folder that holds the folder; unpack or download what is in it, if need be."""
    from torchvision.datasets import CIFAR100

    path = config.data_path
    if path.is_file():
        return unpack(path, CIFAR100.tgz_md5)
    if path.name == FOLDER and path.is_dir():
        return path.resolve().parent
    if (path / FOLDER).is_dir():
        return path
    if not (path / ARCHIVE).is_file():
        if not config.download:
            raise InputError(missing(path))
        fetch(CIFAR100.url, path / ARCHIVE, CIFAR100.tgz_md5)
    return unpack(path / ARCHIVE, CIFAR100.tgz_md5)


def unpack(archive: Path, md5: str) -> Path:
    """Unpack an archive beside itself, wholly or not at all; return where the folder is."""
    parent = archive.resolve().parent
    if (parent / FOLDER).is_dir():
        return parent
    try:
        if checksum(archive) != md5:
            raise InputError(
                f"{str(archive)!r} is damaged, incomplete or another file: its checksum is not "
                f"that of {ARCHIVE}; fetch it again"
            )
        with TemporaryDirectory(dir=parent) as unfinished:
            with tarfile.open(archive) as file:
                file.extractall(unfinished, filter="data")
            (Path(unfinished) / FOLDER).rename(parent / FOLDER)
    except OSError as error:
        raise InputError(f"{str(archive)!r} could not be unpacked: {error}") from error
    return parent


def damaged_file(parent: Path, reason: str) -> str:
    """Say which of the files is missing or damaged."""
    from torchvision.datasets import CIFAR100

    md5s = dict([*CIFAR100.train_list, *CIFAR100.test_list])
    md5s["meta"] = CIFAR100.meta["md5"]
    for name, md5 in md5s.items():
        path = parent / FOLDER / name
        if not path.is_file():
            return f"{str(path)!r} is missing; {ARCHIVE} holds it"
        if checksum(path) != md5:
            return f"{str(path)!r} is damaged: its checksum is not that of CIFAR-100's"
    return f"CIFAR-100 in {str(parent)!r} cannot be read: {reason}"


def missing(folder: Path) -> str:
    """Say what to put where."""
    return (
        f"no CIFAR-100 in {str(folder)!r}: put {ARCHIVE} there, or the folder {FOLDER!r} with its "
        f"files train, test and meta; name another place with --data-path, or let --download "
        f"fetch it (162 MB)"
    )


def samples_of(split: Any) -> Samples:
    """Return a torchvision split, whose `data` is (N, H, W, C), as samples."""
    images = torch.from_numpy(split.data).permute(0, 3, 1, 2).contiguous()
    return Samples.of(images, torch.tensor(split.targets))
