"""Files and torchvision are looked at before the training starts, not after its third hour.

Chapter 8.
"""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module

import torch
from torch import Tensor
from tqdm import tqdm

from cilkit.config import Config
from cilkit.data.images import BadImage, Unreadable, check_image, open_image
from cilkit.data.samples import DataSet, Samples
from cilkit.data.store import Files
from cilkit.data.workers import in_workers, results
from cilkit.errors import InputError
from cilkit.machine.processes import from_main

AT_ONCE = 256  # images for which a worker is asked at a time


def check_torchvision() -> None:
    """Refuse a torchvision that was built for another torch: what it says names neither."""
    try:
        import_module("torchvision")
    except (ImportError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(
            f"torchvision does not fit torch {torch.__version__} ({reason}); install both at once, "
            f"from one place: pip install --force-reinstall torch torchvision"
        ) from error


def without_damage(dataset: DataSet, config: Config) -> DataSet:
    """Refuse a data set with files that cannot be used, or leave them out if `config` says so.

    Headers, sizes and ends are looked at; where damaged files are to be left out, every image is
    decoded. Files that the system does not hand over are never left out, nor is a class's last
    image.
    """
    names = dataset.class_names
    train, test = (usable(part, names, config) for part in (dataset.train, dataset.test))
    return replace(dataset, train=train, test=test)


def usable(samples: Samples, names: Sequence[str], config: Config) -> Samples:
    """Return the samples whose files are whole; the main process looks, for all processes."""
    found = from_main(lambda: find_damage(samples, config.damaged == "skip"))
    if not found:
        return samples
    for errors in ([e for e in found.values() if isinstance(e, Unreadable)], [*found.values()]):
        if errors and (config.damaged == "stop" or isinstance(errors[0], Unreadable)):
            raise InputError(f"{counted(errors)}; {CURES[type(errors[0])]}")
    whole = torch.ones(len(samples), dtype=torch.bool)
    whole[list(found)] = False
    check_classes(samples, whole, names, found)
    warnings.warn(f"left out: {counted([*found.values()])}", stacklevel=2)
    return samples.take(whole.nonzero().flatten())


CURES: dict[type[OSError], str] = {
    BadImage: "mend it, take it away, or leave it out by --damaged skip",
    Unreadable: "the file may be whole, so it is not left out; see that it can be read",
}


def counted(errors: Sequence[OSError]) -> str:
    """Return the first sentence, and how many more there are."""
    others = f" (and {len(errors) - 1} more files like it)" if len(errors) > 1 else ""
    return f"{errors[0]}{others}"


def check_classes(
    samples: Samples, whole: Tensor, names: Sequence[str], found: Mapping[int, OSError]
) -> None:
    """Refuse to leave out all images of a class."""
    left = samples.labels[whole].bincount(minlength=len(names))
    for label in samples.labels[~whole].unique().tolist():
        if not left[label]:
            positions = (samples.labels == label).nonzero().flatten().tolist()
            paths = [path_of(samples, position) for position in positions]
            folder = os.path.commonpath(map(os.path.dirname, paths))
            raise InputError(
                f"nothing would be left of class {names[label]!r}: all {len(paths)} files in "
                f"{folder!r} are bad; {found[positions[0]]}; mend one, or take the class away"
            )


def path_of(samples: Samples, position: int) -> str:
    """Return the path of one image."""
    assert isinstance(samples.store, Files)
    return samples.store.path(int(samples.rows[position]))


def find_damage(samples: Samples, thorough: bool = False) -> dict[int, BadImage | Unreadable]:
    """Return what is wrong with which files, by position; nothing, where pixels are in memory."""
    said = look_at(samples, decode if thorough else check_image)
    return {position: answer for position, answer in said.items() if isinstance(answer, OSError)}


Answer = BadImage | Unreadable | bytes | None


def look_at(samples: Samples, look: Callable[[str], bytes | None]) -> dict[int, Answer]:
    """Return what `look` says of each file, by position: an error, where it cannot be used."""
    said: dict[int, Answer] = {}
    if isinstance(samples.store, Files):
        parts = torch.arange(len(samples)).split(AT_ONCE)
        workers = min(os.cpu_count() or 1, len(parts) // 8)  # a few images need none
        loader = in_workers(Examiner(samples, look), workers, sampler=parts, batch_size=None)
        read = results(loader)
        bar = tqdm(read, "checking files", len(parts), delay=2, leave=False, disable=None)
        for answers in bar:
            said |= answers
    return said


def decode(path: str) -> None:
    """Look at all of an image; nothing is kept of it."""
    open_image(path)


def content(path: str) -> bytes:
    """Decode an image; return a checksum of its size and pixels, the same for the same picture."""
    image = open_image(path)
    return hashlib.sha256(b"%d %d " % image.size + image.tobytes()).digest()


@dataclass(frozen=True)
class Examiner:
    """Looks at the files at a list of positions."""

    samples: Samples
    look: Callable[[str], bytes | None]

    def __getitem__(self, positions: Tensor) -> dict[int, Answer]:
        """Return what `look` says of each file: an error, whose sentence names it, if it is bad."""
        said: dict[int, Answer] = {}
        for position in positions.tolist():
            try:
                said[position] = self.look(path_of(self.samples, position))
            except (BadImage, Unreadable) as error:
                said[position] = type(error)(str(error))  # without the frames it came through
        return said
