"""Choose the few features that chapter 10 learns from, into cilkit/results/features.

    cilkit features --dataset cifar100 --data-path DIR --enlarge 4 --precision bf16 \
        --channels-last --out photographs.npz
    cilkit features --dataset glyphs --enlarge 4 --precision bf16 --channels-last --out glyphs.npz
    python book/tools/features.py photographs.npz glyphs.npz

Of the first 20 classes in the order of seed 1993, the first 25 training and 15 test images each.
"""

import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cilkit.data.scenario import class_order

FEW = Path(__file__).parents[2] / "cilkit" / "results" / "features"
COUNTS = {"train": 25, "test": 15}  # of a class
CLASSES = class_order(1993, 100)[:20]


def chosen(labels: NDArray[np.int64], each: int) -> NDArray[np.int64]:
    """Return the places of the first so many images of each chosen class, in order."""
    return np.concatenate([np.flatnonzero(labels == label)[:each] for label in CLASSES])


def choose(file: Path) -> dict[str, NDArray[np.generic]]:
    """Return what a small file of features holds."""
    with np.load(file) as arrays:
        few = {name: arrays[name] for name in ("mean", "std")}
        few["class_names"] = arrays["class_names"][list(CLASSES)]
        for part, each in COUNTS.items():
            places = chosen(arrays[f"{part}_labels"], each)
            few[f"{part}_images"] = arrays[f"{part}_images"][places]
            few[f"{part}_labels"] = np.arange(len(CLASSES)).repeat(each)
    return few


if __name__ == "__main__":
    FEW.mkdir(exist_ok=True)
    for name in sys.argv[1:]:
        np.savez_compressed(FEW / Path(name).name, **choose(Path(name)))
