"""Batches of training images, dealt anew in each epoch and shared out among the processes."""

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cilkit.config import Config
from cilkit.data import DataSet, Samples
from cilkit.distributed import rank, seed_all, seed_for, world_size
from cilkit.transforms import BATCHED, timm_transform

# Images (B, C, H, W), labels (B,), and the share of the global batch's mean that B images make.
Batch = tuple[Tensor, Tensor, float]


class Loader:
    """The samples of one stage, as batches on the device."""

    def __init__(
        self, samples: Samples, dataset: DataSet, config: Config, device: torch.device
    ) -> None:
        """Bring the samples to `device`, or start the workers that prepare them one by one."""
        self.config, self.device = config, device
        self.count, self.labels = len(samples), samples.labels.to(device)
        if config.augment == "timm":
            self.images = images_one_by_one(samples, timm_transform(dataset, config), config)
        else:
            self.images = images_in_batches(samples.to(device), config)

    def epoch(self, stage: int, epoch: int) -> Iterator[Batch]:
        """Deal every sample once; the order follows from (seed, stage, epoch) alone."""
        config = self.config
        order = torch.Generator().manual_seed(seed_for(config.seed, stage, epoch))
        seed_all(config.seed, stage, epoch, rank())  # augmentation: a stream for each process
        steps = ceil(self.count / config.batch_size)
        batches = torch.randperm(self.count, generator=order).tensor_split(
            steps
        )  # of nearly one size
        mine = [batch[rank() :: world_size()] for batch in batches]
        seeds = seed_for(config.seed, stage, epoch, 0)
        for images, positions, batch in zip(self.images(mine, seeds), mine, batches, strict=True):
            share = len(positions) * world_size() / len(batch)
            yield (
                images.to(self.device, non_blocking=True),
                self.labels[positions.to(self.device)],
                share,
            )


# Lists of positions, and a seed for the epoch -> images, one batch after the other.
ImageSource = Callable[[list[Tensor], int], Iterator[Tensor]]


def images_in_batches(samples: Samples, config: Config) -> ImageSource:
    """Cut whole batches out of the store, on its device, and augment them there."""

    def batches(positions: list[Tensor], seed: int) -> Iterator[Tensor]:
        for batch in positions:
            images = samples.store[samples.rows[batch].to(samples.store.device)]
            for change in BATCHED[config.augment]:
                images = change(images, config)
            yield images

    return batches


def images_one_by_one(
    samples: Samples, transform: Callable[..., Tensor], config: Config
) -> ImageSource:
    """Transform image after image, in `workers` processes that live as long as the stage."""
    sampler: list[list[tuple[int, int]]] = []
    loader: DataLoader[Any] = DataLoader(
        OneByOne(samples, transform),
        batch_sampler=sampler,
        num_workers=config.workers,
        persistent_workers=config.workers > 0,
    )

    def batches(positions: list[Tensor], seed: int) -> Iterator[Tensor]:
        sampler[:] = [[(position, seed) for position in batch.tolist()] for batch in positions]
        yield from loader

    return batches


class OneByOne(Dataset[Tensor]):
    """Images as timm wants them: a PIL image each, transformed with a seed of its own."""

    def __init__(self, samples: Samples, transform: Callable[..., Tensor]) -> None:
        """Read `samples`, change them by `transform`."""
        self.samples, self.transform = samples, transform

    def __getitem__(self, key: tuple[int, int]) -> Tensor:
        """Return the image at a position, as it looks in the epoch of this seed.

        The draw depends on neither the process nor the worker that happens to make it.
        """
        from torchvision.transforms.functional import to_pil_image

        position, epoch_seed = key
        seed_all(epoch_seed, position)
        row = self.samples.rows[position]
        return self.transform(to_pil_image(self.samples.store[row]))
