"""What a data set holds, before anything is trained on it: `cilkit data`. Chapter 8."""

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure

from cilkit.config import Config, as_path
from cilkit.data.damage import Answer, check_torchvision, content, look_at
from cilkit.data.datasets import build_dataset
from cilkit.data.samples import DataSet, Samples
from cilkit.data.sources.folders import inner_folders, skipped
from cilkit.data.store import Files
from cilkit.errors import InputError, some
from cilkit.machine.lock import make_writable
from cilkit.runs.outputs import DRAWN, SHEET, check_ours
from cilkit.runs.provenance import checksum
from cilkit.show.fonts import legible
from cilkit.show.layout import Picture, short

# Images to learn from and to test with, as published; None: it depends on the list of classes.
PUBLISHED: dict[str, tuple[int | None, int]] = {
    "cifar100": (50_000, 10_000),
    "imagenet100": (None, 5_000),
    "imagenet1000": (1_281_167, 50_000),
}
LOOKED_AT = 1000  # files whose size in pixels is read
Row = tuple[str, str]


def survey(config: Config, out: Path) -> list[Row]:
    """Prepare a data set, look at every image, draw a sheet of some; return what there is to say.

    The sheet takes the place of an earlier one. Raises `InputError` if `out` cannot be written, or
    holds something else under its name, or if a file cannot be used; it names each of them.
    """
    out = as_path(out)
    check_ours(out, [SHEET])
    check_torchvision()
    dataset = build_dataset(config)
    found = [contents(part) for part in (dataset.train, dataset.test)]
    if damage := [answer for part in found for answer in part if isinstance(answer, OSError)]:
        count = len(dataset.train) + len(dataset.test)
        sentences = [f"{len(damage)} of {count} files cannot be used", *map(str, damage)]
        raise InputError("; ".join(sentences))
    make_writable(out)
    sheet = out / SHEET
    contact_sheet(dataset).savefig(sheet, metadata=DRAWN)
    return [*facts(dataset), ("in both parts", repeated(*found)), ("contact sheet", str(sheet))]


def contents(samples: Samples) -> list[Answer]:
    """Return a short text for the pixels of each image, of a file as it is decoded, before a crop.

    For a file that cannot be used it is an error.
    """
    if isinstance(samples.store, Files):
        return list(look_at(samples, content).values())
    return [sha256(image.numpy()).digest() for image in samples.images()]


def repeated(train: Sequence[Answer], test: Sequence[Answer]) -> str:
    """Say how many test images a network can have learnt by heart."""
    known = set(train)
    count = sum(image in known for image in test)
    return f"{count:,} of {len(test):,} test images are also training images"


def facts(dataset: DataSet) -> list[Row]:
    """Return names and values of what a data set holds."""
    names, shape = dataset.class_names, dataset.train.store.shape
    published = PUBLISHED.get(dataset.name, (None, None))
    parts = zip(("training", "test"), (dataset.train, dataset.test), published, strict=True)
    return [
        ("data set", dataset.name),
        ("classes", f"{len(names)}: {', '.join(names[:4])}{', …' if len(names) > 4 else ''}"),
        *((f"{part} images", counted(samples, known)) for part, samples, known in parts),
        ("images as read", " × ".join(map(str, shape[1:])) + " (colours, height, width)"),
        *sizes(dataset.train),
        *folders(dataset),
        ("mean", ", ".join(f"{value:.4f}" for value in dataset.mean)),
        ("deviation", ", ".join(f"{value:.4f}" for value in dataset.std)),
        ("checksum", f"{checksum(dataset.train)} training, {checksum(dataset.test)} test"),
    ]


def counted(samples: Samples, published: int | None) -> str:
    """Return how many images there are, of each class too, and how many there should be."""
    of_class = samples.labels.bincount()
    low, high = int(of_class.min()), int(of_class.max())
    text = f"{len(samples):,}, {low if low == high else f'{low} to {high}'} of each class"
    if published is None:
        return text
    right = len(samples) == published
    return f"{text} ({'as published' if right else f'{published:,} are published'})"


def sizes(samples: Samples) -> list[Row]:
    """Return the range of the sizes that files have, of a sample; nothing, where there are none."""
    if not isinstance(samples.store, Files):
        return []
    chance = torch.Generator().manual_seed(0)
    some = torch.randperm(len(samples), generator=chance)[:LOOKED_AT].tolist()
    sides = np.array([samples.picture(position).size for position in some])
    text = " to ".join(" × ".join(map(str, edge)) for edge in (sides.min(0), sides.max(0)))
    return [(f"sizes of {len(some)} files", f"{text} (width, height)")]


def folders(dataset: DataSet) -> list[Row]:
    """Return what a folder holds beside classes and their images, where there is any of it."""
    if not isinstance(dataset.train.store, Files):
        return []
    inner = [*inner_folders(dataset.train), *inner_folders(dataset.test)]
    found = {"folders in classes": inner, "skipped": skipped(dataset.train.store.config)}
    some_of = {name: f"{len(paths)}: {some([*map(repr, paths)])}" for name, paths in found.items()}
    return [(name, some_of[name]) for name, paths in found.items() if paths]


def table(rows: list[Row]) -> str:
    """Return the rows as lines of text, values below each other."""
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)


def contact_sheet(dataset: DataSet) -> Figure:
    """Draw up to a hundred training images: ten of each class, or one of each, by their names."""
    n = len(dataset.class_names)
    names = legible(dataset.class_names, range(n))
    each = max(1, min(10, 100 // n))
    shown = np.unique(np.linspace(0, n - 1, min(n, 100)).round().astype(int))
    tiles = [(label, i) for label in shown.tolist() for i in range(each)]
    figure = Picture((10.0, 0.2 + 1.15 * -(-len(tiles) // 10)), dpi=100, layout="constrained")
    axes = figure.subplots(-(-len(tiles) // 10), 10, squeeze=False).flatten()
    for ax in axes:
        ax.set_axis_off()
    for ax, (label, i) in zip(axes, tiles, strict=False):
        positions = (dataset.train.labels == label).nonzero().flatten()
        if i < len(positions):
            image = dataset.train.take(positions[i : i + 1]).images()[0].permute(1, 2, 0).numpy()
            ax.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
            ax.set_title(short(names[label]), fontsize=7, pad=2, parse_math=False)
    return figure
