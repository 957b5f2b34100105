"""One image file: read as RGB pixels, or refused in one sentence that names it. Chapter 8."""

import errno
import os
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil, sqrt

import numpy as np
import torch
from PIL import Image, ImageOps, PngImagePlugin, UnidentifiedImageError
from torch import Tensor

# What Pillow may try: it knows others that run programs (EPS) or are no photographs at all.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
SUFFIXES = frozenset(
    ("jpg", "jpeg", "jpe", "png", "gif", "bmp", "tif", "tiff", "webp", "ppm", "pgm", "pbm")
)
# Pillow's names for what becomes RGB without loss of meaning; I;16 is scaled, not clipped.
MODES = frozenset(("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "LAB", "HSV"))
SIXTEEN_BITS = frozenset(("I;16", "I;16L", "I;16B", "I;16N"))
# What Pillow is known to raise of a damaged file.
DAMAGE = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, struct.error, zlib.error),
)
LARGEST = 10**9  # pixels: decoded, they take up to 4 GB
ENOUGH = 64 * 10**6  # pixels: of a larger image, every second or third is kept, as a mean
# Pillow's own limits are for strangers' uploads: whole files of yours go beyond them.
PILLOWS_LIMITS = (
    (Image, "MAX_IMAGE_PIXELS", None),
    (PngImagePlugin, "MAX_TEXT_CHUNK", 1 << 28),  # bytes of a colour profile or a text
    (PngImagePlugin, "MAX_TEXT_MEMORY", 1 << 30),
)
LAST_BYTES = {"JPEG": b"\xff\xd9", "MPO": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


class BadImage(OSError):
    """A file that is no image that we can use; the message names it and says why."""


class Unreadable(OSError):
    """A file that the system does not hand over, whole as it may be; the message names it."""


def open_image(path: str, at_least: int = 0) -> Image.Image:
    """Return the image of a file, upright, as RGB: palettes, CMYK, grey and 16 bits converted.

    Transparent pixels are laid on white. Where only `at_least` pixels of a side are needed, a JPEG
    is decoded no larger than about twice that; beyond `ENOUGH` pixels, every image is made smaller.
    Raises `BadImage` and `Unreadable`.
    """
    with opened(path) as image:
        if at_least:
            image.draft(image.mode, (2 * at_least, 2 * at_least))
        ImageOps.exif_transpose(image, in_place=True)
        return no_larger(image)


def opened_already(image: Image.Image) -> Image.Image:
    """Return an image that somebody has opened as `open_image` would; raise `BadImage`."""
    refuse_kinds(image, "the image")
    return no_larger(ImageOps.exif_transpose(image))


def check_image(path: str) -> None:
    """Raise `BadImage` if a file cannot be used, as far as its header and last bytes tell.

    Only where these leave a doubt is the file decoded. What is damaged in between is found by
    `open_image`, a hundred times slower.
    """
    with opened(path) as image:
        last = LAST_BYTES.get(image.format or "")
        if last is None or not ends_with(path, last):
            image.load()


@contextmanager
def opened(path: str) -> Iterator[Image.Image]:
    """Open a file; whatever goes wrong within, say it in one sentence."""
    try:
        # what Pillow warns of is strange metadata, which nobody needs here, and its limits
        with (
            warnings.catch_warnings(action="ignore"),
            beyond_limits(),
            Image.open(path, formats=FORMATS) as image,
        ):
            refuse_kinds(image, path)
            yield image
    except (BadImage, MemoryError):
        raise
    except DAMAGE as error:
        raise fault(path, error) from error


@contextmanager
def beyond_limits() -> Iterator[None]:
    """Lift Pillow's limits; `refuse_kinds` has ours."""
    before = [getattr(module, name) for module, name, _ in PILLOWS_LIMITS]
    for module, name, limit in PILLOWS_LIMITS:
        setattr(module, name, limit)
    try:
        yield
    finally:
        for (module, name, _), limit in zip(PILLOWS_LIMITS, before, strict=True):
            setattr(module, name, limit)


def refuse_kinds(image: Image.Image, path: str) -> None:
    """Refuse an image of which nobody can say what it looks like as one RGB image of our size."""
    if (size := image.width * image.height / 1e6) > LARGEST / 1e6:
        raise BadImage(
            f"{path!r} is too large ({size:,.0f} megapixels; up to {LARGEST / 1e6:,.0f} can be "
            f"read); save it smaller"
        )
    if getattr(image, "is_animated", False) and image.format != "MPO":  # a camera's first is it
        raise BadImage(f"{path!r} holds more than one image; save the one to be used")
    if image.mode not in MODES | SIXTEEN_BITS:
        raise BadImage(
            f"{path!r} has pixels of kind {image.mode!r}, whose range is unknown; save it with 8 "
            f"or 16 bits"
        )


def fault(path: str, error: Exception) -> OSError:
    """Return what is wrong where Pillow could not read a file: the file, or the way to it."""
    try:
        trouble: Exception | None = error
        read_through(path)
    except OSError as found:
        trouble = found
    number = getattr(trouble, "errno", None)
    if number and number != errno.EINVAL:  # which is a damaged file's: it leads to no place
        return Unreadable(f"{path!r} cannot be read: {os.strerror(number)}")
    return BadImage(f"{path!r} {reason(path, error)}")


def read_through(path: str) -> None:
    """Read a file to its end; raise `OSError` where the system does not let us."""
    with open(path, "rb") as file:
        while file.read(1 << 20):
            pass


def reason(path: str, error: Exception) -> str:
    """Say what is wrong with a file that is ours to read, and that Pillow could not read."""
    if os.path.getsize(path) == 0:
        return "is empty (0 bytes)"
    if isinstance(error, UnidentifiedImageError):
        return f"is no image of a known format ({', '.join(FORMATS)})"
    return f"is damaged: {error}"


def ends_with(path: str, last: bytes) -> bool:
    """Tell whether these are the last bytes of a file."""
    with open(path, "rb") as file:
        file.seek(-min(len(last), os.path.getsize(path)), os.SEEK_END)
        return file.read() == last


def as_rgb(image: Image.Image) -> Image.Image:
    """Return an image of any of the kinds above as RGB, 8 bits per colour."""
    if image.mode in SIXTEEN_BITS:
        values = np.asarray(image.convert("I"), dtype=np.int64)
        return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return image.convert("RGB")


def no_larger(image: Image.Image) -> Image.Image:
    """Return an image as RGB, so much smaller that it has no more than `ENOUGH` pixels."""
    factor = ceil(sqrt(image.width * image.height / ENOUGH))
    return as_rgb(image) if factor == 1 else smaller(image, factor)


def smaller(image: Image.Image, factor: int) -> Image.Image:
    """Return a large image as RGB, `factor` times smaller; strip by strip, to save room."""
    width, height = image.size
    small = Image.new("RGB", (ceil(width / factor), ceil(height / factor)))
    for top in range(0, height, 256 * factor):
        strip = image.crop((0, top, width, min(height, top + 256 * factor)))
        small.paste(as_rgb(strip).reduce(factor), (0, top // factor))
    return small


def square(image: Image.Image, size: int, crop_pct: float) -> Tensor:
    """Return the middle of an image, (3, size, size) uint8: `crop_pct` of the shorter side."""
    side = crop_pct * min(image.size)
    left, top = ((length - side) / 2 for length in image.size)
    box = (left, top, left + side, top + side)
    resized = image.resize((size, size), Image.Resampling.BICUBIC, box=box)
    return torch.from_numpy(np.array(resized)).permute(2, 0, 1).contiguous()
