"""Arrays of images and labels, as people have them, made into what the rest expects. Chapter 8."""

from collections.abc import Mapping
from contextlib import suppress
from itertools import combinations
from numbers import Number
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from cilkit.errors import InputError, shown

COLOURS = (1, 3)
ROUNDING = 1e-3  # what other programs' rounding adds: a quarter of the step between two bytes
OVERSHOOT = 0.5  # what a bicubic resize may add (0.45 was met); only its user knows that it did
KNOWN_TO_NUMPY = (torch.float16, torch.float32, torch.float64)


# Anything -> an array of numbers


def numbers_of(values: Any, what: str) -> NDArray[Any]:
    """Return a tensor, an array or a nested list as an array of numbers; `what` names it in errors.

    Raises `InputError` for anything else.
    """
    array = as_array(values, what)
    if array.dtype.kind == "O":
        odd = next(each for each in array.flat if not isinstance(each, Number))
        raise InputError(f"{what} holds objects ({type(odd).__name__}: {shown(odd)}), not numbers")
    if array.size and array.dtype.kind not in "buif":
        raise InputError(f"{what} holds {array.dtype} ({str(array.flat[0])!r:.40}), not numbers")
    return array


def as_array(values: Any, what: str) -> NDArray[Any]:
    """Return whatever NumPy makes of the values; refuse what it can make nothing of."""
    if isinstance(values, Dataset | DataLoader):
        raise InputError(
            f"{what} is a {type(values).__name__} of torch; give images and labels, or the whole "
            f"data sets to DataSet.from_torch"
        )
    if np.ma.is_masked(values):
        raise InputError(f"{what} has masked values; fill them, or leave their images out")
    try:
        array = of_objects(np.asarray(unwrapped(values)))
    except MemoryError:
        raise
    except Exception as error:  # whatever somebody's own object raises
        raise InputError(f"{what} cannot be made an array: {reason(values, error)}") from error
    if array.dtype.kind == "O" and array.ndim == 0:
        raise InputError(f"{what} is a {type(values).__name__}; give an array, a tensor or a list")
    return array


def of_objects(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array of numbers where all objects are some, as in a column of pandas."""
    if array.dtype.kind != "O" or array.ndim == 0:
        return array
    found = np.array(array.tolist())
    exotic = found.dtype.kind == "O" and all(isinstance(each, Number) for each in found.flat)
    return found.astype(np.float64) if exotic else found


def unwrapped(values: Any) -> Any:
    """Return a tensor, or a list of tensors, as NumPy can take it: it knows no bfloat16."""
    if isinstance(values, list | tuple) and any(isinstance(each, Tensor) for each in values):
        return [unwrapped(each) for each in values]
    if not isinstance(values, Tensor):
        return values
    unknown = values.is_floating_point() and values.dtype not in KNOWN_TO_NUMPY
    return (values.float() if unknown else values).detach().cpu()


def reason(values: Any, error: Exception) -> str:
    """Say why no array can be made of the values: most often, images differ in size."""
    with suppress(Exception):
        shapes = list(dict.fromkeys(tuple(np.shape(each)) for each in values))
        if len(shapes) > 1:
            return f"its entries differ in shape, first {shapes[0]} and {shapes[1]}"
    return f"{type(error).__name__}: {error}".splitlines()[0]


# Images


class Scale(NamedTuple):
    """The range of pixels, and what it tells of them."""

    low: float
    high: float
    white: int  # 1 or 255
    sure: bool  # whether the pixels leave no doubt of it

    def agrees(self, other: "Scale") -> bool:
        """Tell whether equal pixels of both would come out equal. Black is black on any scale."""
        if min(self.high, other.high) <= ROUNDING:
            return True
        if self.white != other.white:
            return self.sure and other.sure
        return (self.high > 1 + ROUNDING) == (other.high > 1 + ROUNDING)


def pixels_of(scale: Any = None, **parts: Any) -> list[Tensor]:
    """Return the images of all parts as (N, C, H, W) uint8; the parts' names stand in errors.

    Accepted: (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3; whole numbers from 0 to 255,
    floats from 0 to 1, or truth values, on one scale; or numbers between black and white, where
    `scale` says what these are. Raises `InputError` for anything else.
    """
    arrays = {what: numbers_of(images, what) for what, images in parts.items()}
    if scale is None:
        pixels = [as_bytes(arrays[what], white) for what, white in whites(arrays).items()]
    else:
        pixels = [as_bytes(array, *ends(array, scale, what)) for what, array in arrays.items()]
    pixels = [channels_second(each, what) for each, what in zip(pixels, arrays, strict=True)]
    return [torch.from_numpy(np.require(each, requirements=["C", "W"])) for each in pixels]


def ends(array: NDArray[Any], scale: Any, what: str) -> tuple[float, float]:
    """Return white and black, as they are given; refuse pixels that do not lie between them."""
    try:
        black, white = map(float, scale)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"scale is {shown(scale)}; give two numbers, black and white, such as (0, 255)"
        ) from error
    if not (np.isfinite([black, white]).all() and black != white):
        raise InputError(f"scale is {shown(scale)}; give two different numbers")
    low, high = range_of(array, what)
    shares = [(end - black) / (white - black) for end in (low, high)]
    if min(shares) < -ROUNDING or max(shares) > 1 + ROUNDING:
        raise InputError(
            f"{what} has pixels from {low:.10g} to {high:.10g}, beyond scale=({black:.10g}, "
            f"{white:.10g})"
        )
    return white, black


def whites(arrays: Mapping[str, NDArray[Any]]) -> dict[str, int]:
    """Return which number is white in each part, 1 or 255, where its pixels leave no doubt."""
    scales = {what: scale_of(array, what) for what, array in arrays.items()}
    check_no_doubt(arrays, scales)
    for (one, first), (other, second) in combinations(scales.items(), 2):
        if not first.agrees(second):
            raise InputError(
                f"{one} has pixels from {first.low:.10g} to {first.high:.10g}, {other} from "
                f"{second.low:.10g} to {second.high:.10g}: what is white? Give both as whole "
                f"numbers from 0 to 255, or both as floats from 0 to 1"
            )
    return {what: scale.white for what, scale in scales.items()}


def check_no_doubt(arrays: Mapping[str, NDArray[Any]], scales: Mapping[str, Scale]) -> None:
    """Refuse floats that are all whole and none near 255: white may be 16, as in some digits."""
    bright = any(scale.sure and scale.white == 255 for scale in scales.values())
    for what, (low, high, white, _) in scales.items():
        if not bright and arrays[what].dtype.kind == "f" and white == 255:
            raise InputError(
                f"{what} has floats from {low:.10g} to {high:.10g}, all of them whole: what is "
                f"white? Say scale=(0, 255), or scale=(0, {high:.10g})"
            )


def scale_of(array: NDArray[Any], what: str) -> Scale:
    """Return the scale of pixels; refuse those that are on none."""
    low, high = range_of(array, what)
    between = fractions(array)
    if array.dtype.kind in "bf" and low >= -ROUNDING and high <= 1 + ROUNDING:
        return Scale(low, high, 1, sure=array.dtype.kind == "b" or between.size > 0)
    if low >= -ROUNDING and high <= 255 + ROUNDING and between.size == 0:
        return Scale(low, high, 255, sure=high > 127)
    raise InputError(
        f"{what} has pixels from {low:.10g} to {high:.10g}{closer(low, high, between)}; they must "
        f"be whole numbers from 0 to 255, or floats from 0 to 1, not normalised yet; or say by "
        f"scale=(black, white) what they are"
    )


def range_of(array: NDArray[Any], what: str) -> tuple[float, float]:
    """Return the lowest and the highest pixel."""
    if array.size == 0:
        raise InputError(f"{what} is empty")
    low, high = float(array.min()), float(array.max())
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"{what} holds NaN or infinite pixels")
    return low, high


def closer(low: float, high: float, between: NDArray[Any]) -> str:
    """Say more of pixels whose range alone does not show what is wrong with them."""
    if low >= -OVERSHOOT and high <= 1 + OVERSHOOT:
        return " (what a bicubic resize adds, numpy.clip(images, 0, 1) cuts off)"
    return f", {between[0]:.10g} among them" if between.size and low >= 0 and high <= 255 else ""


def fractions(array: NDArray[Any]) -> NDArray[Any]:
    """Return the numbers that are not whole."""
    if array.dtype.kind != "f":
        return array.flatten()[:0]
    return array[np.abs(array - np.rint(array)) > ROUNDING]


def as_bytes(array: NDArray[Any], white: float, black: float = 0) -> NDArray[np.uint8]:
    """Return pixels as bytes: `black` becomes 0, and `white` 255."""
    if array.dtype == np.uint8 and (black, white) == (0, 255):
        return array
    if array.dtype == np.float16:  # which has no room for all differences
        array = array.astype(np.float32)
    pixels = array - black if black else array
    return np.rint(pixels * (255.0 / (white - black))).clip(0, 255).astype(np.uint8)


def channels_second(array: NDArray[np.uint8], what: str) -> NDArray[np.uint8]:
    """Return (N, C, H, W), whatever the order was."""
    if array.ndim == 3:
        return array[:, None]
    last, second = (array.ndim == 4 and array.shape[axis] in COLOURS for axis in (3, 1))
    if last == second:
        raise InputError(
            f"{what} has the shape {array.shape}; it must be (N, H, W), (N, H, W, C) or "
            f"(N, C, H, W), with one colour or three"
        )
    return array.transpose(0, 3, 1, 2) if last else array


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each channel's mean and standard deviation, of pixels in [0, 1]: (N, C, H, W) uint8.

    Counted from the 256 values a pixel can have, so exact and without a float copy of the images.
    A channel that never changes has the deviation 1: pixels are divided by it.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * values).sum()
        means.append(float(mean))
        stds.append(float((share * (values - mean).square()).sum().sqrt()) or 1.0)
    return tuple(means), tuple(stds)
