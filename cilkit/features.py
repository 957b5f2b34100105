"""What a frozen backbone sees in a data set: looked at once, so that methods take seconds.

Chapter 10.
"""

from dataclasses import replace
from io import BytesIO
from math import inf
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm import tqdm

from cilkit.config import Config, as_path
from cilkit.data.samples import Samples
from cilkit.errors import InputError
from cilkit.experiment import build, read
from cilkit.inference import CHUNK, features_of
from cilkit.machine.lock import check_writable
from cilkit.machine.processes import is_main
from cilkit.model import CilModel
from cilkit.runs.outputs import check_new, leave


def keep_features(config: Config, file: Path | str) -> None:
    """Write what the backbone sees in each image to an .npz file, which is a data set itself.

    An image becomes a row of bytes, (N, 1, D): features from the lowest to the highest of all
    training images, in 255 steps; those of test images are cut off there. `mean` and `std` in the
    file say how bytes become features again: a run on it with the backbone `identity` sees them as
    they were, but for that. Nothing is augmented.
    Raises `InputError` before any work starts, and for features that are all the same.
    """
    file = as_path(file)
    if file.suffix != ".npz":
        raise InputError(f"features are written to an .npz file, and {str(file)!r} is none")
    check_new(file)
    check_writable(file.parent)
    dataset = read(config)
    all_at_once = replace(config, base=0, increment=len(dataset.class_names))
    model = build(all_at_once, dataset)[0].model
    train = seen(model, dataset.train, "training")
    low, high = ends(train)
    test = seen(model, dataset.test, "test")
    if is_main():
        content = BytesIO()
        np.savez_compressed(
            content,
            train_images=in_steps(train, low, high),
            train_labels=dataset.train.labels.numpy(),
            test_images=in_steps(test, low, high),
            test_labels=dataset.test.labels.numpy(),
            class_names=np.array(dataset.class_names),
            mean=[(0 - low) / (high - low)],
            std=[1 / (high - low)],
        )
        leave(file, content.getvalue())


def seen(model: CilModel, samples: Samples, name: str) -> Tensor:
    """Return the features of all samples, (N, D), and show how far it is."""
    pieces = torch.arange(len(samples)).split(16 * CHUNK)
    bar = tqdm(pieces, f"looking at {name} images", delay=2, leave=False, disable=None)
    return torch.cat([features_of(model, samples.take(piece)) for piece in bar])


def ends(features: Tensor) -> tuple[float, float]:
    """Return the lowest and the highest of all features, (N, D); refuse those that tell nothing."""
    low, high = float(features.min()), float(features.max())
    if not low < high < inf:
        raise InputError(f"the backbone's features lie between {low:g} and {high:g}: no use")
    return low, high


def in_steps(features: Tensor, low: float, high: float) -> NDArray[np.uint8]:
    """Features (N, D) -> bytes (N, 1, D): 0 is the lowest, 255 the highest."""
    steps = (255 * (features - low) / (high - low)).round().clamp(0, 255)
    return steps.byte()[:, None].numpy()
