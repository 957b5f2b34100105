"""Arrays of images and labels, as people have them, made into what the rest expects. Chapter 8."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cilkit.errors import InputError

COLOURS = (1, 3)


def pixels_of(images: Any, what: str) -> Tensor:
    """Return images as (N, C, H, W) uint8; `what` names them in errors.

    Accepted: (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3; whole numbers from 0 to 255,
    floats from 0 to 1, or truth values. Raises `InputError` for anything else.
    """
    array = as_numpy(images, what)
    return torch.from_numpy(np.ascontiguousarray(channels_second(as_bytes(array, what), what)))


def as_numpy(values: Any, what: str) -> NDArray[Any]:
    """Return a tensor, an array or a nested list as an array of numbers."""
    array = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    if array.size == 0:
        raise InputError(f"{what} is empty")
    if array.dtype.kind not in "buif":
        raise InputError(f"{what} holds {array.dtype} ({str(array.flat[0])!r:.40}), not numbers")
    return array


def as_bytes(array: NDArray[Any], what: str) -> NDArray[np.uint8]:
    """Return pixels as bytes: 0 stays black, and white is 255."""
    if array.dtype == np.uint8:
        return array
    if not np.isfinite(array).all():
        raise InputError(f"{what} holds NaN or infinite pixels")
    low, high = array.min(), array.max()
    if array.dtype.kind in "bf" and low >= 0 and high <= 1:
        return np.rint(array * 255.0).astype(np.uint8)
    if low < 0 or high > 255 or (array.dtype.kind == "f" and (array != np.rint(array)).any()):
        raise InputError(
            f"{what} has pixels from {low:g} to {high:g}; they must be whole numbers from 0 to "
            f"255, or floats from 0 to 1, not normalised yet"
        )
    return array.astype(np.uint8)


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


def labels_of(labels: Any, count: int, what: str) -> Tensor:
    """Return `count` labels as (N,) int64; raises `InputError` if they are no whole numbers."""
    array = np.asarray(labels.detach().cpu() if isinstance(labels, Tensor) else labels)
    if array.dtype.kind in "USO":
        raise InputError(
            f"{what} holds text ({str(array.flat[0])!r:.40}); give whole numbers from 0, and the "
            f"names as class_names: names, labels = numpy.unique(labels, return_inverse=True)"
        )
    if array.shape != (count,):
        raise InputError(f"{what} has the shape {array.shape}; {count} images need ({count},)")
    if array.dtype.kind not in "iu" and (array != np.rint(array)).any():
        raise InputError(
            f"{what} must be whole numbers; one is {array[array != np.rint(array)][0]}"
        )
    return torch.from_numpy(array.astype(np.int64))


def check_labels(labels: Tensor, n_classes: int, what: str) -> None:
    """Refuse labels that do not run from 0 to `n_classes` - 1 without a gap."""
    found = set(labels.tolist())
    if strange := sorted(found - set(range(n_classes))):
        raise InputError(f"{what} holds {strange[0]}; labels run from 0 to {n_classes - 1}")
    if missing := sorted(set(range(n_classes)) - found):
        raise InputError(
            f"{what} lacks {', '.join(map(str, missing[:5]))}; each of the {n_classes} classes "
            f"needs an image: numpy.unique(labels, return_inverse=True)[1] has no gaps"
        )


def statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return each channel's mean and standard deviation, of pixels in [0, 1]: (N, C, H, W) uint8.

    Counted from the 256 values a pixel can have, so exact and without a float copy of the images.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.unbind(1):
        share = torch.bincount(channel.flatten(), minlength=256).double() / channel.numel()
        mean = (share * values).sum()
        means.append(float(mean))
        stds.append(float((share * (values - mean).square()).sum().sqrt()))
    return tuple(means), tuple(stds)
