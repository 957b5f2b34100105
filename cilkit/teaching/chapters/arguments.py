"""The arguments of timm's `create_transform`, each without and with: a picture for chapter 8."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from cilkit.config import Config
from cilkit.data.samples import DataSet
from cilkit.machine.seeds import seed_all
from cilkit.model import Normalise
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import text
from cilkit.teaching.thumbnails import thumbnail

SIDE, GAP, TOP = 66, 6, 38  # pixels of the figure: an image, between two, above them
MOST = 22  # letters that fit over two images
GREY, SHADE = 128, 48  # how 0 is drawn, and how much brighter what is 1 higher
# Nothing random, and the image as it is: each pair changes one thing of this.
QUIET: dict[str, Any] = {"input_size": 32, "is_training": True, "scale": (1, 1), "ratio": (1, 1)}
QUIET |= {"hflip": 0, "color_jitter": None, "interpolation": "bicubic"}
TIMMS_OWN = {"scale": None, "ratio": None, "hflip": 0.5, "color_jitter": 0.4}
SAYS = (
    "Left without it, right with it. Nothing else is random, and both images have one seed. Those "
    "of ratio and of interpolation are parts that scale cuts out; those of re_mode and re_count "
    "have re_prob=1. The last pair shows the numbers themselves: 0 is grey."
)


@dataclass(frozen=True)
class Pair:
    """An argument with two values, and what is to be seen."""

    argument: str
    without: Any
    given: Any
    sees: str
    besides: dict[str, Any] = field(default_factory=dict)  # what both images have


PAIRS = (
    Pair("input_size", 32, 16, "half as many pixels in each direction"),
    Pair("is_training", False, True, "the middle, and a part drawn by chance", TIMMS_OWN),
    Pair("scale", (1, 1), (0.3, 0.3), "a part with 30 % of the area, enlarged"),
    Pair("ratio", (1, 1), (2, 2), "a part twice as wide as high", {"scale": (0.5, 0.5)}),
    Pair("hflip", 0, 1, "the mirror image"),
    Pair("color_jitter", None, 0.4, "another brightness, contrast and saturation"),
    Pair("auto_augment", None, Config.auto_augment, "what two operations of a policy made of it"),
    Pair("interpolation", "nearest", "bicubic", "smooth edges", {"scale": (0.2, 0.2)}),
    Pair("re_prob", 0, 1, "a rectangle in the mean colour"),
    Pair("re_mode", "const", "pixel", "noise in the rectangle", {"re_prob": 1}),
    Pair("re_count", 1, 3, "more rectangles than one", {"re_prob": 1}),
)


def arguments_one_by_one(dataset: DataSet, position: int = 0, seed: int = 0) -> Still:
    """Show an image without and with each argument, as timm itself draws it.

    `position` is the image's in `dataset.train`: in colour, 32 pixels high and wide.
    """
    pixels = Normalise(dataset.mean, dataset.std).undo
    none, own = {"mean": (0.0,) * 3, "std": (1.0,) * 3}, {"mean": dataset.mean, "std": dataset.std}

    def numbers(**arguments: Any) -> Tensor:
        """Return (C, H, W) float."""
        from timm.data.transforms_factory import create_transform

        seed_all(seed)
        transform = create_transform(**QUIET | own | arguments)
        return transform(dataset.train.picture(position))

    drawings = []
    for pair in PAIRS:
        both = [{**pair.besides, pair.argument: value} for value in (pair.without, pair.given)]
        images = [255 * pixels(numbers(**arguments)[None])[0] for arguments in both]
        drawings.append(side_by_side(pair, images))
    statistics = Pair("mean, std", "0, 1", "the data's", "numbers on both sides of 0")
    drawings.append(side_by_side(statistics, [GREY + SHADE * numbers(**s) for s in (none, own)]))
    return Still("One image, without and with each argument", drawings, SAYS)


def side_by_side(pair: Pair, images: list[Tensor]) -> Drawing:
    """Draw both images of a pair, (C, H, W) float from 0 to 255, under the argument's values."""
    values = f"{pair.without} → {pair.given}"
    fitting = values if len(values) <= MOST else f"{values[: MOST - 1]}…"
    marks = text(0, 13, pair.argument, more=' font-weight="600"') + text(0, 30, fitting)
    for column, image in enumerate(images):
        shown = image.round().clamp(0, 255).byte()
        marks += thumbnail(shown, column * (SIDE + GAP), TOP, SIDE)
    alt = f"{pair.argument}: {values}. The image, and beside it {pair.sees}."
    return Drawing(alt, marks, 2 * (SIDE + GAP) + GAP, TOP + SIDE)
