"""The data sets by name: pixels where they are small, paths of files where not. Chapter 8."""

from collections.abc import Callable

from cilkit.config import Config
from cilkit.data.samples import DataSet
from cilkit.data.sources.cifar100 import cifar100
from cilkit.data.sources.digits import digits
from cilkit.data.sources.folders import folder
from cilkit.data.sources.glyphs import glyphs, glyphs_held_out
from cilkit.data.sources.imagenet import imagenet100, imagenet1000
from cilkit.data.sources.npz import npz
from cilkit.errors import lookup


def build_dataset(config: Config) -> DataSet:
    """Load the data set that `config` names."""
    return lookup("data set", config.dataset, DATASETS)(config)


# Of these the program brings the images itself: there is no path to them.
BROUGHT = frozenset({"digits", "glyphs", "glyphs-held-out"})
# Of these, images have the size that they have: no setting changes it.
OF_ONE_SIZE = BROUGHT | {"cifar100", "npz"}
DATASETS: dict[str, Callable[[Config], DataSet]] = {
    "digits": digits,
    "cifar100": cifar100,
    "imagenet100": imagenet100,
    "imagenet1000": imagenet1000,
    "folder": folder,
    "npz": npz,
    "glyphs": glyphs,
    "glyphs-held-out": glyphs_held_out,
}
