"""The handwritten digits as text: small enough to be written into a page."""

import numpy as np
from numpy.typing import NDArray

from cilkit.config import Config
from cilkit.data.sources.digits import digits

LEVELS = 17  # of grey, 0 to 16
BASE, FIRST = 71, ord("0")  # 71² letters are enough for 17³ levels, and none of them ends a script


def packed_digits() -> dict[str, str | int]:
    """Return the images as text, their labels as digits, and how many are there to train with.

    The images to train with come first, both in the package's order. Three pixels make two letters.
    """
    data = digits(Config())
    parts = [data.train, data.test]
    images = np.concatenate([part.images().numpy() for part in parts])
    labels = np.concatenate([part.labels.numpy() for part in parts])
    levels = np.rint(images.astype(np.float64) * (LEVELS - 1) / 255)  # as scikit-learn counted
    return {
        "images": packed(levels.astype(np.int64)),
        "labels": "".join(map(str, labels)),
        "train": len(data.train),
    }


def packed(levels: NDArray[np.int64]) -> str:
    """Return two letters for each three levels, the first of them counting least."""
    triples = levels.reshape(-1, 3) @ LEVELS ** np.arange(3)
    pairs = np.stack(np.divmod(triples, BASE), axis=1) + FIRST
    return pairs.astype(np.uint8).tobytes().decode("ascii")
