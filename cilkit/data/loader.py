"""Batches of training images, dealt anew in each epoch and shared out among the processes."""

from collections.abc import Callable, Iterator
from math import ceil

import torch
from torch import Tensor
from torch.utils.data import Dataset

from cilkit.config import Config
from cilkit.data.samples import DataSet, Samples
from cilkit.data.transforms import BATCHED, timm_transform
from cilkit.data.workers import in_workers, results
from cilkit.errors import InputError
from cilkit.machine.processes import rank, world_size
from cilkit.machine.seeds import seed_all, seed_cpu, seed_for
from cilkit.model import Normalise

# Images (B, C, H, W), labels (B,), and the share of the global batch's mean that B images make.
Batch = tuple[Tensor, Tensor, float]


class Loader:
    """The samples of one stage, as batches on the device."""

    def __init__(
        self, samples: Samples, dataset: DataSet, config: Config, device: torch.device
    ) -> None:
        """Bring the samples to `device`, or start the workers that prepare them one by one."""
        check_enough(len(samples), config)
        self.config, self.device = config, device
        self.count, self.labels = len(samples), samples.labels.to(device)
        if config.augment == "timm":
            self.images = images_one_by_one(samples, dataset, config, device)
        else:
            self.images = images_in_batches(samples.to(device), config, device)

    def epoch(self, stage: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        """Deal every sample once; the order follows from (seed, stage, epoch) alone.

        What is random follows from (seed, stage, epoch, rank, step), so that an interrupted epoch
        goes on with step `start` as if nothing had happened.
        """
        config = self.config
        order = torch.Generator().manual_seed(seed_for(config.seed, stage, epoch))
        steps = ceil(self.count / config.batch_size)
        batches = torch.randperm(self.count, generator=order).tensor_split(steps)[start:]
        mine = [batch[rank() :: world_size()] for batch in batches]
        source = self.images(mine, seed_for(config.seed, stage, epoch), start)
        for step, (positions, batch) in enumerate(zip(mine, batches, strict=True), start):
            images = next(source)
            seed_all(config.seed, stage, epoch, rank(), step)  # for what the model draws
            share = len(positions) * world_size() / len(batch)
            yield images, self.labels[positions.to(self.device)], share


# Lists of positions, the epoch's seed, the first step -> images, one batch after the other.
ImageSource = Callable[[list[Tensor], int, int], Iterator[Tensor]]


def images_in_batches(samples: Samples, config: Config, device: torch.device) -> ImageSource:
    """Take whole batches out of the store, and augment them on the device."""

    def batches(positions: list[Tensor], seed: int, start: int) -> Iterator[Tensor]:
        for step, images in enumerate(samples.batches(positions), start):
            images = images.to(device, non_blocking=True)
            torch.manual_seed(seed_for(seed, rank(), step))  # a stream for each process
            for change in BATCHED[config.augment]:
                images = change(images, config)
            yield images

    return batches


def images_one_by_one(
    samples: Samples, dataset: DataSet, config: Config, device: torch.device
) -> ImageSource:
    """Transform image after image, in `workers` processes that live as long as the stage.

    timm's normalisation, which must come before it erases, is taken back: the model does it again.
    """
    sampler: list[list[tuple[int, int]]] = []
    items = OneByOne(samples, timm_transform(dataset, config))
    loader = in_workers(items, config.workers, batch_sampler=sampler)
    normalise = Normalise(dataset.mean, dataset.std).to(device)

    def batches(positions: list[Tensor], seed: int, start: int) -> Iterator[Tensor]:
        sampler[:] = [[(position, seed) for position in batch.tolist()] for batch in positions]
        for images in results(loader):
            yield normalise.undo(images.to(device, non_blocking=True))

    return batches


class OneByOne(Dataset[Tensor]):
    """Images as timm wants them: a PIL image each, transformed with a seed of its own."""

    def __init__(self, samples: Samples, transform: Callable[..., Tensor]) -> None:
        self.samples, self.transform = samples, transform

    def __getitem__(self, key: tuple[int, int]) -> Tensor:
        """Return the image at a position, as it looks in the epoch of this seed.

        The draw depends on neither the process nor the worker that happens to make it.
        """
        position, epoch_seed = key
        seed_cpu(epoch_seed, position)
        return self.transform(self.samples.picture(position))


def smallest_batch(count: int, config: Config) -> int:
    """Return how many of so many images the smallest batch holds: they differ by one at most."""
    return count // ceil(count / config.batch_size) if count else 0


def smallest_share(count: int, config: Config) -> int:
    """Return how many images a process gets at least, of every batch."""
    return smallest_batch(count, config) // world_size()


def check_enough(count: int, config: Config) -> None:
    """Refuse batches that leave a process without an image."""
    if smallest_share(count, config) == 0:
        raise InputError(
            f"a batch of {smallest_batch(count, config)} images cannot be shared by {world_size()} "
            f"processes (the stage has {count} images, batch_size is {config.batch_size}); use "
            f"fewer processes"
        )
