"""Files and torchvision are looked at before the training starts, not after its third hour.

Chapter 8.
"""

import os
import warnings
from dataclasses import dataclass, replace
from importlib import import_module

import torch
from torch import Tensor
from tqdm import tqdm

from cilkit.config import Config
from cilkit.data import DataSet, Samples
from cilkit.distributed import from_main
from cilkit.errors import InputError
from cilkit.files import Files
from cilkit.images import BadImage, check_image, open_image
from cilkit.workers import in_workers

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


def without_damage(dataset: DataSet, config: Config, *, thorough: bool = False) -> DataSet:
    """Refuse a data set with files that cannot be used, or leave them out if `config` says so.

    Headers, sizes and ends are looked at; with `thorough`, or where damaged files are to be left
    out, every image is decoded.
    """
    thorough = thorough or config.damaged == "skip"
    train, test = (usable(part, config, thorough) for part in (dataset.train, dataset.test))
    return replace(dataset, train=train, test=test)


def usable(samples: Samples, config: Config, thorough: bool) -> Samples:
    """Return the samples whose files are whole; the main process looks, for all processes."""
    damage = from_main(lambda: find_damage(samples, thorough))
    if not damage:
        return samples
    sentence = next(iter(damage.values()))
    if others := len(damage) - 1:
        sentence += f" (and {others} more files like it)"
    if config.damaged == "stop":
        raise InputError(f"{sentence}; mend it, take it away, or leave it out by --damaged skip")
    warnings.warn(f"left out: {sentence}", stacklevel=2)
    whole = torch.ones(len(samples), dtype=torch.bool)
    whole[list(damage)] = False
    return samples.take(whole.nonzero().flatten())


def find_damage(samples: Samples, thorough: bool = False) -> dict[int, str]:
    """Return what is wrong with which files, by position; nothing, where pixels are in memory."""
    found: dict[int, str] = {}
    if isinstance(samples.store, Files):
        parts = torch.arange(len(samples)).split(AT_ONCE)
        workers = min(os.cpu_count() or 1, len(parts) // 8)  # a few images need none
        loader = in_workers(Examiner(samples, thorough), workers, sampler=parts, batch_size=None)
        bar = tqdm(loader, "checking files", len(parts), delay=2, leave=False, disable=None)
        for damage in bar:
            found |= damage
    return found


@dataclass(frozen=True)
class Examiner:
    """Says what is wrong with the files at a list of positions."""

    samples: Samples
    thorough: bool

    def __getitem__(self, positions: Tensor) -> dict[int, str]:
        """Return a sentence for each file that cannot be used."""
        files, found = self.samples.store, {}
        assert isinstance(files, Files)
        for position in positions.tolist():
            path = files.path(int(self.samples.rows[position]))
            try:
                if self.thorough:
                    open_image(path)
                else:
                    check_image(path)
            except BadImage as error:
                found[position] = str(error)
        return found
