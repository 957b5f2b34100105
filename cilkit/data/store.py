"""The second kind of store: images that stay in their files until somebody asks for them.

A tensor holds the pixels of a small data set; `Files` holds the paths of a large one, and answers
to the same few verbs. Chapter 8.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from cilkit.config import Config
from cilkit.data.images import open_image, square
from cilkit.data.workers import in_workers, results


@dataclass(frozen=True)
class Files:
    """Images by their paths below `config.data_path`, in one piece of memory.

    Python's own strings would take five times as much, and would be copied into every worker.
    """

    config: Config  # data_path, image_size, crop_pct, workers
    paths: Tensor  # uint8: all paths, one after the other, as the file system spells them
    ends: Tensor  # (M,) int64: where each path ends
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @classmethod
    def of(cls, config: Config, paths: Iterable[bytes]) -> "Files":
        """Keep these paths."""
        joined, lengths = bytearray(), []
        for path in paths:
            joined += path
            lengths.append(len(path))
        letters = torch.frombuffer(joined, dtype=torch.uint8) if joined else torch.empty(0).byte()
        return cls(config, letters, torch.tensor(lengths, dtype=torch.int64).cumsum(0))

    @property
    def shape(self) -> torch.Size:
        """Return (M, 3, H, W), the shape of all images together."""
        size = self.config.image_size
        return torch.Size((len(self), 3, size, size))

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Read images: rows (N,) -> (N, 3, H, W) uint8; raises `BadImage`, `Unreadable`."""
        pixels = torch.empty((len(rows), *self.shape[1:]), dtype=torch.uint8)
        for place, row in enumerate(rows.tolist()):
            pixels[place] = self.read(row)
        return pixels

    def read(self, row: int) -> Tensor:
        """Return the pixels of one image, (3, H, W) uint8: the middle of it, without a draw."""
        size, crop_pct = self.config.image_size, self.config.crop_pct
        return square(self.picture(row, at_least=round(size / crop_pct)), size, crop_pct)

    def picture(self, row: int, at_least: int = 0) -> Image.Image:
        """Return one image whole, as Pillow has it."""
        return open_image(self.path(row), at_least)

    def name(self, row: int) -> bytes:
        """Return one path below the data set's folder."""
        start = int(self.ends[row - 1]) if row else 0
        return self.paths[start : int(self.ends[row])].numpy().tobytes()

    def path(self, row: int) -> str:
        """Return one path."""
        return os.path.join(self.config.data_path, os.fsdecode(self.name(row)))

    def take(self, rows: Tensor) -> "Files":
        """Return only these images, in this order."""
        starts = torch.cat([torch.zeros(1, dtype=torch.int64), self.ends])[:-1]
        lengths = (self.ends - starts)[rows]
        ends = lengths.cumsum(0)
        letters = torch.arange(int(lengths.sum()))
        shift = (starts[rows] - (ends - lengths)).repeat_interleave(lengths)
        return Files(self.config, self.paths[letters + shift], ends)

    def below(self, config: Config) -> "Files":
        """Return the same files for other settings, by whole paths where the folder differs."""
        if config.data_path == self.config.data_path:
            return Files(config, self.paths, self.ends)
        paths = (os.fsencode(os.path.abspath(self.path(row))) for row in range(len(self)))
        return Files.of(config, paths)

    def batches(self, rows: Sequence[Tensor]) -> Iterator[Tensor]:
        """Yield `self[rows]` for each, read ahead by `config.workers` processes."""
        loader = in_workers(self, self.config.workers, sampler=list(rows), batch_size=None)
        yield from results(loader)


Store = Tensor | Files


def joined(stores: Sequence[Store]) -> Store:
    """Return all stores' images in one store, in this order: paths as long as all have paths."""
    files = [store for store in stores if isinstance(store, Files)]
    pixels = [store for store in stores if isinstance(store, Tensor)]
    if files and pixels:
        raise TypeError("images in files and images in memory cannot be joined")
    if not files:
        return torch.cat(pixels)
    before = torch.tensor([0, *(len(each.paths) for each in files[:-1])]).cumsum(0)
    ends = torch.cat([each.ends + start for each, start in zip(files, before, strict=True)])
    return Files(files[0].config, torch.cat([each.paths for each in files]), ends)


def kept(store: Store, rows: Tensor) -> Store:
    """Return a store of these images alone; it shares nothing with the one it comes from."""
    return store.take(rows) if isinstance(store, Files) else store[rows]


def store_state(store: Store) -> dict[str, Tensor]:
    """Return what a checkpoint must hold: pixels, or paths below the data set's folder."""
    if isinstance(store, Files):
        return {"paths": store.paths, "ends": store.ends}
    return {"images": store}


def restored_store(state: dict[str, Tensor], config: Config) -> Store:
    """Return the store of a checkpoint; the data set's folder may be another one than it was."""
    return Files(config, state["paths"], state["ends"]) if "paths" in state else state["images"]


def picture_of(store: Store, row: int) -> Any:
    """Return one image as Pillow has it: a file's in its own size."""
    from torchvision.transforms.functional import to_pil_image

    return store.picture(row) if isinstance(store, Files) else to_pil_image(store[row])
