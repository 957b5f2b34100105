"""Preparing training images: whole batches against one PIL image at a time, on one thread.

Both crop and flip, or both crop, flip and apply two operations of RandAugment. The images are noise
of CIFAR-100's shape: the work does not depend on what they show. The path for one image is cilkit's
own, which seeds each image's draw so that the number of workers changes nothing. Whether networks
learn the same from both strong augmentations takes training runs: `tutorial.py` has them.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import Row, Timing, interleaved, less_time, per, seconds
from benchmarks.step import timed_steps
from cilkit import PRESETS, Config, DataSet
from cilkit.data.loader import OneByOne
from cilkit.data.transforms import BATCHED, timm_transform

CONFIG = PRESETS["cifar100-b50-10"]
BATCH, BATCHES, ONES = 128, 16, 256


def main() -> list[Row]:
    """Compare per image: 12 times less time for crop and flip, 5 times for the strong one."""
    times = per_image(noise())
    weak = less_time("crop + flip, an image", times["crop-flip"], times["timm"], goal=12)
    strong = less_time("RandAugment, an image", times["randaugment"], times["timm rand"], goal=5)
    return [weak, strong, *shares(times["crop-flip"])]


def noise() -> DataSet:
    """Return a data set of CIFAR-100's shape, a few batches large."""
    pixels = np.random.default_rng(0).integers(0, 256, (BATCH * BATCHES, 32, 32, 3), np.uint8)
    labels = np.arange(len(pixels)) % 10
    return DataSet.of(pixels, labels, pixels[:10], labels[:10])


def per_image(dataset: DataSet, rounds: int = 5) -> dict[str, Timing]:
    """Return the time for one image of each way to prepare it."""
    plain = replace(CONFIG, augment="timm", auto_augment="")
    times = interleaved(
        {
            "crop-flip": batched(dataset, "crop-flip"),
            "randaugment": batched(dataset, "randaugment"),
            "timm": one_by_one(dataset, plain),
            "timm rand": one_by_one(dataset, replace(CONFIG, augment="timm")),
        },
        rounds,
    )
    counts = {"timm": ONES, "timm rand": ONES}
    return {name: per(time, counts.get(name, BATCH * BATCHES)) for name, time in times.items()}


def batched(dataset: DataSet, augment: str) -> Callable[[], None]:
    """Return a pass over all images, a batch at a time."""
    images = dataset.train.images()

    def passing() -> None:
        for batch in images.split(BATCH):
            for change in BATCHED[augment]:
                batch = change(batch, CONFIG)

    return passing


def one_by_one(dataset: DataSet, config: Config) -> Callable[[], Tensor]:
    """Return a pass over some images, each a PIL image that timm's transform changes."""
    images = OneByOne(dataset.train, timm_transform(dataset, config))
    return lambda: torch.stack([images[position, 7] for position in range(ONES)])


def shares(preparing: Timing) -> list[Row]:
    """Return what part of a ResNet-32's epoch crop and flip take: under 5 %."""
    rows = []
    for name, time in timed_steps(threads=1, rounds=3).items():
        step = time.cpu / BATCH
        share = 100 * preparing.cpu / (preparing.cpu + step)
        label = f"crop + flip, % of an epoch, ResNet-32 {name}"
        rows.append(Row(label, seconds(preparing.cpu), seconds(step), share, 5, "<="))
    return rows
