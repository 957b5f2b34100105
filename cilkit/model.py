"""The model: a backbone that makes features, and a classifier that grows with the classes."""

from collections.abc import Sequence
from copy import deepcopy
from itertools import chain
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from cilkit.errors import InputError
from cilkit.heads import CilClassifier
from cilkit.machine.arithmetic import PLAIN, Arithmetic


class Seen(NamedTuple):
    """What the model makes of a batch: all that a loss or a test may look at."""

    images: Tensor  # (B, C, H, W) uint8
    logits: Tensor  # (B, n_classes)
    features: Tensor  # (B, num_features)
    maps: tuple[Tensor, ...] = ()  # after each group of the backbone, where a method asks for them


class Normalise(nn.Module):
    """Turn pixels into numbers around 0, with the mean and deviation of each channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], enlarge: int = 1) -> None:
        """Take the statistics of the data set in use, of pixels in [0, 1].

        `enlarge` makes images so many times larger, for a backbone that has learned from large
        ones. Grey images become as many channels as there are statistics.
        """
        super().__init__()
        self.enlarge = enlarge
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Bytes, or floats in [0, 1], (B, C, H, W) -> floats around 0.

        Raises `InputError` for others. Outside of training, where images are the loader's, floats
        of another scale are refused, too.
        """
        pixels = images / 255 if images.dtype == torch.uint8 else self.checked(images)
        if self.enlarge > 1:
            pixels = F.interpolate(pixels, scale_factor=self.enlarge, mode="bicubic")
        return (pixels - self.mean) / self.std

    def checked(self, images: Tensor) -> Tensor:
        """Refuse what is no pixel in [0, 1]; a resized image may reach a little beyond."""
        if not images.is_floating_point():
            raise InputError(f"images are {images.dtype}; they must be uint8, or floats in [0, 1]")
        if not self.training and len(images):
            low, high = (float(value) for value in images.aminmax())
            if not (low > -0.5 and high < 1.5):
                raise InputError(
                    f"images have pixels from {low:.3g} to {high:.3g}; floats must lie in [0, 1], "
                    f"not normalised yet: the model does it"
                )
        return images.to(self.mean.dtype)

    def undo(self, images: Tensor) -> Tensor:
        """Return the pixels, floats in [0, 1], of images that are normalised already."""
        return images * self.std + self.mean


class CilModel(nn.Module):
    """Pixels to logits, in one module that also knows its number format."""

    def __init__(
        self,
        backbone: nn.Module,
        classifier: CilClassifier,
        normalise: nn.Module,
        *,
        arithmetic: Arithmetic = PLAIN,
    ) -> None:
        """Join the parts; another arithmetic makes it faster where the hardware helps."""
        super().__init__()
        self.normalise, self.backbone, self.classifier = normalise, backbone, classifier
        self.arithmetic = arithmetic
        self.backbone.to(memory_format=arithmetic.layout)

    @property
    def device(self) -> torch.device:
        """Return where the weights are; without any, as of features alone, the statistics."""
        return next(chain(self.parameters(), self.buffers())).device

    def grow_to(self, n_classes: int) -> None:
        """Make room for the classes seen so far; nothing happens if there is room."""
        device = self.device  # the backbone's: the classifier may have no weights yet
        self.classifier.grow_to(n_classes)
        self.classifier.to(device)

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> what the backbone sees in them, (B, num_features)."""
        numbers, layout = self.arithmetic.format, self.arithmetic.layout
        with torch.autocast(images.device.type, numbers, enabled=numbers is not torch.float32):
            inputs = self.normalise(images).contiguous(memory_format=layout)
            return self.backbone(inputs).float()

    def see(self, images: Tensor) -> Seen:
        """(B, C, H, W) -> logits, in float32, and what they were made of."""
        features = self.features(images)
        maps = tuple(getattr(self.backbone, "maps", ()))
        return Seen(images, self.classifier(features), features, maps)

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, n_classes), in float32."""
        return self.see(images).logits

    def freeze(self, *parts: str) -> Self:
        """Stop training the parts named, "backbone" or "classifier"; without a name, both."""
        for part in parts or ("backbone", "classifier"):
            self.get_submodule(part).requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training; what is frozen keeps its statistics too, such as an old backbone."""
        super().train(mode)
        for part in self.modules():
            learns = [parameter.requires_grad for parameter in part.parameters()]
            if part is not self and learns and not any(learns):
                part.eval()
        return self

    def frozen_copy(self) -> "CilModel":
        """Return a copy that never changes and asks for no gradients: the next stage's teacher."""
        return deepcopy(self).freeze()
