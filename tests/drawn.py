"""Folders of little images, drawn for the tests: a colour for each class, noise for each image."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from cilkit import Config


def draw(path: Path, label: int, number: int, size: tuple[int, int] = (40, 30)) -> None:
    """Save an image of this class."""
    path.parent.mkdir(parents=True, exist_ok=True)
    chance = np.random.default_rng((label, number))
    colour = np.random.default_rng(label).integers(30, 226, 3)
    pixels = colour + chance.integers(-25, 26, (size[1], size[0], 3))
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def grow(root: Path, classes: Sequence[str], counts: dict[str, int], suffix: str = "jpg") -> Path:
    """Make a tree: in each part, so many images of each class, of several sizes."""
    for part, count in counts.items():
        for label, name in enumerate(classes):
            for number in range(count):
                size = (40 + 7 * number % 23, 30 + 11 * label % 29)
                path = root / part / name / f"{part}{number}.{suffix}"
                draw(path, label, number + 1000 * (part != "train"), size)
    return root


def settings_for(root: Path, **changes: Any) -> Config:
    """Return settings with which a run on such a tree takes a second."""
    settings: dict[str, Any] = {"dataset": "folder", "data_path": root, "augment": "none"}
    settings |= {"image_size": 16, "increment": 2, "budget": 8, "epochs": 1, "batch_size": 5}
    return Config(**(settings | {"lr": 0.02, "threads": 1} | changes))
