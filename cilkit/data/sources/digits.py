"""The handwritten digits that come with scikit-learn. Chapter 1."""

import numpy as np
import torch

from cilkit.config import Config
from cilkit.data.samples import DataSet, Samples, image_set


def digits(config: Config) -> DataSet:
    """Load scikit-learn's handwritten digits: 1797 grey images of 8x8, a quarter of them for tests.

    They ship with scikit-learn. The split is stratified and always the same.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    bunch = load_digits()
    rows = np.arange(len(bunch.target))
    train, test = train_test_split(rows, test_size=0.25, stratify=bunch.target, random_state=0)
    images = torch.from_numpy(bunch.images * (255 / 16)).round().byte().unsqueeze(1)
    labels = torch.from_numpy(bunch.target)
    train, test = (Samples.of(images[part], labels[part]) for part in (train, test))
    return image_set("digits", train, test, tuple(map(str, bunch.target_names)))
