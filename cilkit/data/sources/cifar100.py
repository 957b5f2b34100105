"""CIFAR-100 (Krizhevsky 2009), from whatever form of it you have. Chapter 8."""

import tarfile
import zlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from cilkit.config import Config
from cilkit.data.arrays import statistics
from cilkit.data.samples import DataSet, Samples
from cilkit.data.sources.download import fetch, md5_of
from cilkit.errors import InputError

FOLDER, ARCHIVE = "cifar-100-python", "cifar-100-python.tar.gz"


def cifar100(config: Config) -> DataSet:
    """Load 50,000 + 10,000 colour images of 32x32, in 100 classes; all files are checked.

    `config.data_path` is, or holds, an archive of the official files or the folder of them.
    """
    from torchvision.datasets import CIFAR100

    parent = find(config)
    try:
        train, test = (CIFAR100(parent, train=part) for part in (True, False))
    except (RuntimeError, OSError) as error:  # torchvision does not say which file
        wrong = wrong_file(parent / FOLDER) or f"{str(parent)!r} cannot be read: {error}"
        raise InputError(wrong) from error
    samples = samples_of(train)
    mean, std = statistics(samples.images())
    return DataSet("cifar100", samples, samples_of(test), tuple(train.classes), mean, std)


def find(config: Config) -> Path:
    """Return the folder that holds the folder; unpack or download what is in it, if need be."""
    from torchvision.datasets import CIFAR100

    path = config.data_path.absolute()
    if path.is_file():
        return unpack(path)
    if (path / FOLDER).is_dir():
        return path
    if path.name == FOLDER and path.is_dir():
        return path.parent
    if not (path / ARCHIVE).is_file():
        if not config.download:
            raise InputError(missing(config.data_path))
        fetch(CIFAR100.url, path / ARCHIVE, CIFAR100.tgz_md5)
    return unpack(path / ARCHIVE)


def unpack(archive: Path) -> Path:
    """Unpack an archive beside itself, wholly or not at all; return where the folder is.

    You may have packed it yourself: the files in it are checked, not the archive.
    """
    parent = archive.parent
    if (parent / FOLDER).is_dir():
        return parent
    try:
        with archive.open("rb") as stream:
            stream.peek()  # a disk's trouble, which tarfile would take for another kind of file
        with TemporaryDirectory(dir=parent) as unfinished:
            with tarfile.open(archive) as file:
                ours = (member for member in file if FOLDER in member.name)
                file.extractall(unfinished, ours, filter="data")
            if wrong := wrong_file(Path(unfinished, FOLDER)):
                raise tarfile.ReadError(wrong.replace(f"{unfinished}/", ""))
            Path(unfinished, FOLDER).rename(parent / FOLDER)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        reason = str(error).splitlines()[0].rstrip(":")  # tarfile lists all that it has tried
        raise InputError(
            f"{str(archive)!r} is damaged, incomplete or another file ({reason}); delete it, and "
            f"fetch it again"
        ) from error
    except OSError as error:
        raise InputError(f"{str(archive)!r} could not be unpacked: {error}") from error
    return parent


def wrong_file(folder: Path) -> str:
    """Say which file is missing, damaged or withheld; nothing, where all are as published."""
    from torchvision.datasets import CIFAR100

    md5s = dict([*CIFAR100.train_list, *CIFAR100.test_list])
    md5s["meta"] = CIFAR100.meta["md5"]
    for name, md5 in md5s.items():
        path = folder / name
        if not path.is_file():
            return f"{str(path)!r} is missing; {ARCHIVE} holds it"
        try:
            if md5_of(path) != md5:
                return f"{str(path)!r} is damaged: its checksum is not that of CIFAR-100's"
        except OSError as error:
            return f"{str(path)!r} cannot be read: {error.strerror}"
    return ""


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
