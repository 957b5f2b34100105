"""Feature extractors by name: networks for small images, and all of timm's."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from cilkit.backbones.small import MLP, Block, Identity, ResNet
from cilkit.errors import InputError, unknown

__all__ = ["BACKBONES", "MLP", "Block", "ResNet", "build_backbone", "feature_size"]

RESNETS: dict[str, Callable[..., nn.Module]] = {
    f"resnet{depth}": partial(ResNet, depth) for depth in (8, 20, 32, 44, 56, 110)
}
RESNETS["resnet8-stride2"] = partial(ResNet, 8, stride=2)
OURS = RESNETS | {"mlp": MLP}
BACKBONES: dict[str, Callable[..., nn.Module]] = OURS | {"identity": Identity}


def build_backbone(name: str, channels: int, **options: Any) -> nn.Module:
    """Return the network `name`, untrained: images (B, channels, H, W) -> features (B, D).

    Options are those of `ResNet` and `MLP`, for methods that need them.
    """
    if options and name not in OURS:
        raise InputError(
            f"backbone is {name!r}; this method needs one of cilkit's own: {', '.join(OURS)}"
        )
    check_known(name)
    if name in BACKBONES:
        return BACKBONES[name](channels, **options)
    import timm  # takes a second

    return timm.create_model(name, num_classes=0, in_chans=channels)


def check_known(name: str) -> None:
    """Refuse a name that neither cilkit nor timm knows."""
    if name in BACKBONES:
        return
    import timm

    if not timm.is_model(name):
        near = timm.list_models(f"*{name[:6]}*")[:5] if name else []
        raise unknown("backbone", name, [*BACKBONES, *near, "any other of timm.list_models()"])


def feature_size(backbone: nn.Module, channels: int, height: int, width: int) -> int:
    """Return how many features the network makes of one image; refuse images that do not fit it."""
    backbone.eval()
    try:
        with torch.no_grad():
            return int(backbone(torch.zeros(1, channels, height, width)).shape[1])
    except (AssertionError, RuntimeError) as error:
        raise InputError(
            f"this backbone cannot take images of {height} × {width} pixels ({error}); give "
            f"another --backbone, or another --image-size where the images are files"
        ) from error
