"""The data set `glyphs`: 100 characters in the fonts that matplotlib ships, drawn on the spot.

It has CIFAR-100's shape, 100 classes of 32x32 colour images, and needs no download. It is the same
whatever the run's seed is. Chapter 8.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
import PIL
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from cilkit.config import Config
from cilkit.data.samples import DataSet, Samples, image_set
from cilkit.errors import lookup
from cilkit.machine.seeds import seed_for

# Of characters that look alike in every font only one is here: 0 and not O, A and not the Greek or
# Cyrillic capital, C and not c, 6 and not б or δ. `tests/test_glyphs.py` measures what is left.
CHARACTERS = (
    "0123456789"
    "ABCDEFGHJKLMNPQRSTUVWXYZ"
    "adefghijkmnqrty"
    "ΔΞΣΦΨΩαβγεηλμξσω"
    "ДЖЙЛЦЧШЪЫЭЮЯЉЊЂ"
    "!#$%&*+<>?@{£§©€¶∞√→"
)
TRAINED = (
    *("DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSans-BoldOblique"),
    *("DejaVuSansMono", "DejaVuSansMono-Bold"),
    *("DejaVuSansMono-Oblique", "DejaVuSansMono-BoldOblique"),
    *("DejaVuSerif", "DejaVuSerif-Bold", "DejaVuSerif-Italic", "DejaVuSerif-BoldItalic"),
    *("cmr10", "cmb10", "cmss10", "cmti10", "cmtt10"),  # letters and digits only
)
# A whole family, since a font whose sisters are trained on is hardly new.
HELD_OUT = ("STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta")
SEED = 1993  # of the data set, which is no part of an experiment
SIDE = 32  # pixels of an image; it is drawn at twice the size, and averaged


class Part(NamedTuple):
    """Which images a part of the data set holds."""

    number: int  # each part draws from a stream of its own
    per_class: int
    fonts: tuple[str, ...]


# A fifth of CIFAR-100's counts, in its proportion: a run of four methods takes minutes on a CPU.
PARTS = {
    "train": Part(0, 100, TRAINED),
    "test": Part(1, 20, TRAINED),
    "held-out": Part(2, 20, HELD_OUT),
}


def glyph_samples(name: str) -> Samples:
    """Return a part of the data set: 'train', 'test', or 'held-out' in fonts never trained on.

    Drawn in seconds at first, then found in the user's cache.
    """
    part = lookup("part of glyphs", name, PARTS)
    images = cached(f"glyphs-{name}-{recipe()}.npz", lambda: render(part))
    return Samples.of(images, torch.arange(len(CHARACTERS)).repeat_interleave(part.per_class))


# --- drawing ------------------------------------------------------------------------------------


def render(part: Part) -> Tensor:
    """Draw a part, one class after the other: (N, 3, 32, 32) uint8."""
    generator = torch.Generator().manual_seed(seed_for(SEED, part.number))
    return torch.cat([draw(character, part, generator) for character in CHARACTERS])


def draw(character: str, part: Part, generator: torch.Generator) -> Tensor:
    """Draw one class: (per_class, 3, 32, 32) uint8."""
    fonts = [font for font in part.fonts if has(font, character)]
    masks = torch.stack([mask(font, character) for font in fonts])
    chosen = torch.randint(len(fonts), (part.per_class,), generator=generator)
    return coloured(jittered(masks[chosen], generator), generator)


def has(font: str, character: str) -> bool:
    """Tell whether the font draws this character; one that lacks it would draw a box.

    TeX's own fonts (cm...) claim characters under the numbers of others, except letters and digits.
    """
    of_tex = font.startswith("cm") and not (character.isascii() and character.isalnum())
    return not of_tex and ord(character) in code_points(font)


@cache
def code_points(font: str) -> frozenset[int]:
    """Return the characters that a font of matplotlib's maps to something."""
    from matplotlib.ft2font import FT2Font

    return frozenset(FT2Font(font_file(font)).get_charmap())


def font_file(font: str) -> str:
    """Return where matplotlib keeps a font."""
    import matplotlib  # takes a second

    return str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{font}.ttf"))


@cache
def typeface(font: str) -> ImageFont.FreeTypeFont:
    """Return a font, large enough to be made smaller."""
    return ImageFont.truetype(font_file(font), size=3 * SIDE)


@cache
def mask(font: str, character: str) -> Tensor:
    """Return a character in ink 0 ... 1, centred, its longer side three quarters of (64, 64)."""
    left, top, right, bottom = typeface(font).getbbox(character)
    ink = Image.new("L", (round(right - left), round(bottom - top)))
    ImageDraw.Draw(ink).text((-left, -top), character, fill=255, font=typeface(font))
    ink = ink.crop(ink.getbbox())
    factor = 1.5 * SIDE / max(ink.size)
    width, height = (max(1, round(factor * length)) for length in ink.size)
    canvas = Image.new("L", (2 * SIDE, 2 * SIDE))
    canvas.paste(ink.resize((width, height)), (SIDE - width // 2, SIDE - height // 2))
    return torch.from_numpy(np.array(canvas)).float() / 255


def jittered(masks: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, slant, scale and shift each of (N, 64, 64); return them half as large."""
    turn, slant, scale, right, down = 2 * torch.rand(5, len(masks), generator=generator) - 1
    turn, scale = 0.3 * turn, 1 + 0.25 * scale  # up to 17 degrees and 25 %
    rows = [
        torch.stack([turn.cos(), 0.3 * slant - turn.sin(), 0.2 * right], dim=1),
        torch.stack([turn.sin(), turn.cos(), 0.2 * down], dim=1),  # 0.2: three pixels of 32
    ]
    affine = torch.stack(rows, dim=1) / scale[:, None, None]
    grid = F.affine_grid(affine, [len(masks), 1, 2 * SIDE, 2 * SIDE], align_corners=False)
    warped = F.grid_sample(masks[:, None], grid, align_corners=False)
    return F.avg_pool2d(warped, 2)


def coloured(ink: Tensor, generator: torch.Generator) -> Tensor:
    """Put (N, 1, 32, 32) in one colour on a ground of another, add noise; return uint8 pixels."""
    n = len(ink)
    dark = 0.4 * torch.rand(n, 3, 1, 1, generator=generator)
    light = 1 - 0.4 * torch.rand(n, 3, 1, 1, generator=generator)
    swap = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    front, ground = torch.where(swap, light, dark), torch.where(swap, dark, light)
    noise = 0.15 * torch.randn(n, 3, SIDE, SIDE, generator=generator)
    return (255 * (ground + (front - ground) * ink + noise)).round().clamp(0, 255).byte()


# --- the cache ----------------------------------------------------------------------------------


def recipe() -> str:
    """Return a name for all that decides the pixels: this file, and who draws."""
    import matplotlib

    versions = f"matplotlib {matplotlib.__version__} pillow {PIL.__version__}"
    return hashlib.sha256(Path(__file__).read_bytes() + versions.encode()).hexdigest()[:12]


def cached(name: str, make: Callable[[], Tensor]) -> Tensor:
    """Return the images in the cache, or make them and try to leave them there."""
    path = cache_folder() / name
    try:
        # npz: what is read is checked against its checksum
        with path.open("rb") as opened, np.load(opened) as file:
            return torch.from_numpy(file["images"])
    except UNUSABLE:
        images = make()
    with suppress(OSError):  # no place to write: they are made again next time
        leave(path, images)
    return images


# What a missing, unreadable or damaged file raises.
UNUSABLE = (OSError, BadZipFile, EOFError, ValueError, KeyError)


def leave(path: Path, images: Tensor) -> None:
    """Write the images to the cache; nobody ever sees a half of them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=path.parent) as folder:
        unfinished = Path(folder, path.name)
        np.savez(unfinished, images=images.numpy())
        unfinished.replace(path)


def cache_folder() -> Path:
    """Return the folder for what can be made again: in $XDG_CACHE_HOME, else in ~/.cache.

    Relative paths are no answer: so says the XDG Base Directory Specification, and a user without
    a home keeps his "~".
    """
    places = os.environ.get("XDG_CACHE_HOME", ""), os.path.expanduser("~/.cache"), gettempdir()
    return Path(next(place for place in places if os.path.isabs(place)), "cilkit")


def glyphs(config: Config) -> DataSet:
    """Draw 100 characters in matplotlib's fonts: 10,000 + 2,000 colour images of 32x32."""
    return drawn("glyphs", "test")


def glyphs_held_out(config: Config) -> DataSet:
    """Draw the same images to learn from; 2,000 others to test with, in fonts never trained on."""
    return drawn("glyphs-held-out", "held-out")


def drawn(name: str, test: str) -> DataSet:
    """Return the glyphs, tested on this part of them."""
    return image_set(name, glyph_samples("train"), glyph_samples(test), tuple(CHARACTERS))
