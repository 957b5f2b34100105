"""Moving figures of images: what augmentation makes of them. Chapter 8."""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from cilkit.config import Config
from cilkit.data.samples import DataSet, Samples
from cilkit.data.transforms import BATCHED, timm_transform
from cilkit.machine.seeds import seed_all
from cilkit.model import Normalise
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import text
from cilkit.teaching.thumbnails import address, drawn

SIDE, LEFT, TOP = 72, 8, 24  # pixels of the figure: an image, the left edge, the first row


def draws_by_recipe(
    samples: Samples, dataset: DataSet, config: Config, recipes: Sequence[str], draws: int = 8
) -> Moving:
    """Show some images as each augmentation draws them: a column for each, a frame for each draw.

    `samples` are a few of `dataset`; `recipes` are names that `config.augment` may have.
    """
    original, frames = samples.images(), []
    for number in range(draws):
        marks, says = "", []
        for column, name in enumerate(recipes, 1):
            after = augmented(samples, dataset, replace(config, augment=name), number)
            marks += shown(after, LEFT + column * (SIDE + 12))
            says.append(f"{name} {(after.float() - original).abs().mean():.0f}")
        change = f"mean change of a pixel, of 255: {', '.join(says)}"
        frames.append(Frame(f"draw {number + 1}", change, marks))
    return Moving(
        "The same images, as each augmentation shows them to the network",
        "Images on the left, and beside them a column for each augmentation. Each step of the "
        "slider draws them anew.",
        "draw",
        frames,
        headings(["original", *recipes]) + shown(original, LEFT),
        width=LEFT + (1 + len(recipes)) * (SIDE + 12),
        height=TOP + len(samples) * SIDE + 4,
    )


def operations_of_timm(samples: Samples, magnitude: int = 9) -> Moving:
    """Show what each of the operations that timm's `rand` policy picks from does to some images."""
    from timm.data.auto_augment import rand_augment_choices, rand_augment_ops
    from torchvision.transforms.functional import pil_to_tensor

    names = rand_augment_choices("")
    original, frames = samples.images(), []
    pictures = [samples.picture(position) for position in range(len(samples))]
    grey = {"img_mean": (128,) * original.shape[1]}  # what moves in, for each colour
    for name, change in zip(names, rand_augment_ops(magnitude, 1.0, grey, names), strict=True):
        seed_all(0)
        after = torch.stack([pil_to_tensor(change(picture)) for picture in pictures])
        says = f"mean change of a pixel, of 255: {(after.float() - original).abs().mean():.0f}"
        frames.append(Frame(name, says, shown(after, LEFT, TOP + SIDE + 12, across=True)))
    return Moving(
        f"Fifteen operations, one at a time, at magnitude {magnitude}",
        "A row of images, and below it what one operation makes of them. Each step of the slider "
        "shows the next operation.",
        "operation",
        frames,
        shown(original, LEFT, TOP, across=True),
        width=2 * LEFT + len(samples) * SIDE,
        height=TOP + 2 * SIDE + 16,
        printed=3,
    )


def augmented(samples: Samples, dataset: DataSet, config: Config, seed: int) -> Tensor:
    """Return the images once augmented, as pixels: (N, C, H, W) uint8."""
    if config.augment == "timm":
        return one_by_one(samples, dataset, config, seed)
    images = samples.images()
    seed_all(seed)
    for change in BATCHED[config.augment]:
        images = change(images, config)
    return images


def one_by_one(samples: Samples, dataset: DataSet, config: Config, seed: int) -> Tensor:
    """Return the images as timm's transform draws them; what it normalised is made pixels again."""
    transform, done = timm_transform(dataset, config), []
    for position in range(len(samples)):
        seed_all(seed, position)
        done.append(transform(samples.picture(position)))
    pixels = Normalise(dataset.mean, dataset.std).undo(torch.stack(done))
    return (255 * pixels).round().clamp(0, 255).byte()


def headings(names: Sequence[str]) -> str:
    """Write a name over each column."""
    middles = (LEFT + column * (SIDE + 12) + SIDE / 2 for column in range(len(names)))
    return "".join(text(x, 16, name, "middle") for x, name in zip(middles, names, strict=True))


def shown(images: Tensor, x: float, y: float = TOP, across: bool = False) -> str:
    """Draw images below or beside one another: (N, C, H, W) uint8, in one file within the page."""
    joined = torch.cat(list(images.expand(-1, 3, -1, -1)), 2 if across else 1)
    long = len(images) * SIDE
    width, height = (long, SIDE) if across else (SIDE, long)
    return drawn(address(joined, "webp", quality=40), x, y, width, height)
