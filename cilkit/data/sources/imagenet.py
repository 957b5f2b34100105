"""ImageNet, all of it or 100 of its classes, from the folder that you have. Chapter 8."""

from typing import Any

import numpy as np

from cilkit.config import Config
from cilkit.data.samples import DataSet
from cilkit.data.sources.folders import IMAGENET_MEAN, IMAGENET_STD, read_tree


def imagenet1000(config: Config) -> DataSet:
    """Load ImageNet (Russakovsky et al., IJCV 2015): train/ and val/, a folder for each WordNet id.

    The images of val/ come in one folder; they must be sorted into class folders first.
    """
    return image_net("imagenet1000", config, wordnet_ids())


def imagenet100(config: Config) -> DataSet:
    """Load 100 of ImageNet's classes; the folder may hold the others too.

    Two lists are in use, and have 9 classes in common. "first": the first 100 WordNet ids (BiC,
    PODNet, DER, DyTox). "seed-1993": the first 100 of a permutation (LUCIR), in that order.
    """
    ids = wordnet_ids()
    if config.class_list == "seed-1993":
        ids = [ids[label] for label in np.random.RandomState(1993).permutation(1000)]
    return image_net("imagenet100", config, ids[:100])


def image_net(name: str, config: Config, classes: list[str]) -> DataSet:
    """Load these classes, with the statistics that everybody uses for ImageNet."""
    train, test, _ = read_tree(config, classes)
    info = class_info()
    numbers = {wordnet: number for number, wordnet in enumerate(info.label_names())}
    described = (info.index_to_description(numbers[each]) for each in classes)
    names = tuple(words.split(",")[0] for words in described)
    return DataSet(name, train, test, names, IMAGENET_MEAN, IMAGENET_STD)


def wordnet_ids() -> list[str]:
    """Return the ids of ImageNet's 1000 classes, sorted."""
    return sorted(class_info().label_names())


def class_info() -> Any:
    """Return the list of classes that ships with timm."""
    from timm.data.imagenet_info import ImageNetInfo  # takes a second

    return ImageNetInfo()
