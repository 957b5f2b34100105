"""The handwritten digits, as the methods' pictures need them."""

from functools import cache

from cilkit.config import Config
from cilkit.data.samples import Samples
from cilkit.data.sources.digits import digits


@cache
def training_digits() -> Samples:
    """Return scikit-learn's digits to train on: 8x8 pixels."""
    return digits(Config()).train
