"""The model: a backbone that makes features, and a classifier that grows with the classes."""

from collections.abc import Sequence
from copy import deepcopy
from typing import Self

import torch
from torch import Tensor, nn

from cilkit.errors import InputError


class Normalise(nn.Module):
    """Turn pixels into numbers around 0, with the mean and deviation of each channel."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        """Take the statistics of the data set in use, of pixels in [0, 1]."""
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Bytes, or floats in [0, 1], (B, C, H, W) -> floats around 0.

        Raises `InputError` for others. Outside of training, where images are the loader's, floats
        of another scale are refused, too.
        """
        pixels = images / 255 if images.dtype == torch.uint8 else self.checked(images)
        normalised: Tensor = (pixels - self.mean) / self.std
        return normalised

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
        pixels: Tensor = images * self.std + self.mean
        return pixels


class CilClassifier(nn.Module):
    """A linear classifier that grows: one small head per stage, their logits side by side.

    Row c of `weight` is the prototype of class c: its logit is the product with the features.
    """

    def __init__(self, num_features: int, bias: bool = False, init: str = "torch") -> None:
        """Build a classifier of no classes yet; `init` is how new heads are drawn."""
        super().__init__()
        self.num_features, self.has_bias, self.init = num_features, bias, init
        self.heads = nn.ModuleList()

    @property
    def n_classes(self) -> int:
        """Return how many classes it knows."""
        return sum(self.head_sizes)

    @property
    def linears(self) -> list[nn.Linear]:
        """Return the heads as what they are, which a `ModuleList` does not tell a type checker."""
        return [head for head in self.heads if isinstance(head, nn.Linear)]

    @property
    def head_sizes(self) -> list[int]:
        """Return how many classes each stage brought."""
        return [len(head.weight) for head in self.linears]

    @property
    def weight(self) -> Tensor:
        """Return the prototypes of all classes, (n_classes, num_features)."""
        return torch.cat([head.weight for head in self.linears])

    def grow_to(self, n_classes: int) -> None:
        """Add a head for the classes that are missing; the rest stays untouched."""
        missing = n_classes - self.n_classes
        if missing > 0:
            head = nn.Linear(self.num_features, missing, bias=self.has_bias)
            if self.init == "pycil":
                draw_as_pycil(head)
            self.heads.append(head)

    @torch.no_grad()
    def scale_newest(self, gamma: float, bias: bool = False) -> None:
        """Multiply the newest head's prototypes by `gamma`, and its bias too if asked."""
        if not 0 < gamma < float("inf"):
            raise ArithmeticError(
                f"gamma is {gamma}: prototypes of length 0 or infinity cannot be aligned"
            )
        newest = self.linears[-1]
        for parameter in newest.parameters() if bias else [newest.weight]:
            parameter.mul_(gamma)

    @torch.no_grad()
    def clip(self) -> None:
        """Set negative weights to zero, as WA's paper does after each step, and PyCIL does not."""
        for head in self.linears:
            head.weight.clamp_(min=0)

    def norms(self) -> list[float]:
        """Return the length of each class's prototype."""
        return [round(norm, 5) for norm in self.weight.detach().norm(dim=1).tolist()]

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, num_features) -> logits (B, n_classes)."""
        return torch.cat([head(features) for head in self.heads], dim=1)


def draw_as_pycil(head: nn.Linear) -> None:
    """Draw prototypes whose squares sum to 1 on average (`nn.Linear`: 1/3), and a bias of 0.

    As PyCIL's `SimpleLinear` is drawn (convs/linears.py at 25e8156).
    """
    nn.init.kaiming_uniform_(head.weight, nonlinearity="linear")
    if head.bias is not None:
        nn.init.zeros_(head.bias)


class CilModel(nn.Module):
    """Pixels to logits, in one module that also knows its number format."""

    def __init__(
        self,
        backbone: nn.Module,
        classifier: CilClassifier,
        normalise: nn.Module,
        *,
        bf16: bool = False,
        channels_last: bool = False,
    ) -> None:
        """Join the parts; `bf16` and `channels_last` make it faster where the hardware helps."""
        super().__init__()
        self.normalise, self.backbone, self.classifier = normalise, backbone, classifier
        self.bf16 = bf16
        self.layout = torch.channels_last if channels_last else torch.contiguous_format
        self.backbone.to(memory_format=self.layout)

    @property
    def device(self) -> torch.device:
        """Return where the weights are."""
        return next(self.parameters()).device

    def grow_to(self, n_classes: int) -> None:
        """Make room for the classes seen so far; nothing happens if there is room."""
        device = self.device  # the backbone's: the classifier may have no weights yet
        self.classifier.grow_to(n_classes)
        self.classifier.to(device)

    def features(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> what the backbone sees in them, (B, num_features)."""
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.bf16):
            inputs = self.normalise(images).contiguous(memory_format=self.layout)
            features: Tensor = self.backbone(inputs)
        return features.float()

    def forward(self, images: Tensor) -> Tensor:
        """(B, C, H, W) -> logits (B, n_classes), in float32."""
        logits: Tensor = self.classifier(self.features(images))
        return logits

    def freeze(self, *parts: str) -> Self:
        """Stop training the parts named, "backbone" or "classifier"; without a name, both."""
        for part in parts or ("backbone", "classifier"):
            self.get_submodule(part).requires_grad_(False)
        return self.train(self.training)

    def train(self, mode: bool = True) -> Self:
        """Switch to training; parts that are frozen keep their statistics too."""
        super().train(mode)
        for part in (self.backbone, self.classifier):
            if not any(parameter.requires_grad for parameter in part.parameters()):
                part.eval()
        return self

    def frozen_copy(self) -> "CilModel":
        """Return a copy that never changes and asks for no gradients: the next stage's teacher."""
        return deepcopy(self).freeze()
