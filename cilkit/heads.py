"""From features to logits: a classifier that grows. Chapters 5 and 6."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CilClassifier(nn.Module):
    """A linear classifier that grows: one small head per stage, their logits side by side.

    Row c of `weight` is the prototype of class c: its logit is the product with the features.
    """

    heads: Any  # an `nn.ModuleList`, all of whose modules are `nn.Linear`

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
    def head_sizes(self) -> list[int]:
        """Return how many classes each stage brought."""
        return [len(head.weight) for head in self.heads]

    @property
    def weight(self) -> Tensor:
        """Return the prototypes of all classes, (n_classes, num_features)."""
        return torch.cat([head.weight for head in self.heads])

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
        newest = self.heads[-1]
        for parameter in newest.parameters() if bias else [newest.weight]:
            parameter.mul_(gamma)

    @torch.no_grad()
    def clip(self) -> None:
        """Set negative weights to zero, as WA's paper does after each step, and PyCIL does not."""
        for head in self.heads:
            head.weight.clamp_(min=0)

    def norms(self) -> list[float]:
        """Return the length of each class's prototype."""
        return [round(norm, 5) for norm in self.weight.detach().norm(dim=1).tolist()]

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, num_features) -> logits (B, n_classes)."""
        return torch.cat([head(features) for head in self.heads], dim=1)


class CosineClassifier(CilClassifier):
    """Logits are eta times the cosines of features and prototypes; eta is learned.

    Prototypes may have any length, and no bias. A class may have several of them, `proxies`: rows
    side by side, whose cosines are averaged with their own softmax as weights (PODNet's local
    similarity classifier).
    """

    proxies = 1  # prototypes of each class; to be set before the first one

    def __init__(self, num_features: int, bias: bool = False, init: str = "torch") -> None:
        """Build a classifier of no classes yet, without a bias whatever is asked for."""
        super().__init__(num_features)
        self.eta = nn.Parameter(torch.ones(()))

    @property
    def head_sizes(self) -> list[int]:
        """Return how many classes each stage brought."""
        return [len(head.weight) // self.proxies for head in self.heads]

    def grow_to(self, n_classes: int) -> None:
        """Add prototypes of the classes that are missing; the rest stays untouched."""
        missing = n_classes - self.n_classes
        if missing > 0:
            self.heads.append(nn.Linear(self.num_features, missing * self.proxies, bias=False))

    def norms(self) -> list[float]:
        """Return the length of each class's prototype, or the mean of its several."""
        lengths = self.weight.detach().norm(dim=1).view(-1, self.proxies).mean(1)
        return [round(length, 5) for length in lengths.tolist()]

    def cosines(self, features: Tensor) -> Tensor:
        """Features (B, num_features) -> each class's cosine, or mean of several, (B, n_classes)."""
        found = F.normalize(features) @ F.normalize(self.weight).T
        of_class = found.unflatten(1, (-1, self.proxies))  # of no image, too
        return (of_class.softmax(2) * of_class).sum(2)

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, num_features) -> logits (B, n_classes)."""
        return self.eta * self.cosines(features)


class CorrectedClassifier(CilClassifier):
    """Logits of each head, times its alpha, plus its beta: numbers that no gradient reaches."""

    corrections: Tensor  # (heads, 2): alpha and beta of each

    def __init__(self, num_features: int, bias: bool = False, init: str = "torch") -> None:
        super().__init__(num_features, bias, init)
        self.register_buffer("corrections", torch.empty(0, 2))

    def grow_to(self, n_classes: int) -> None:
        """Add a head for the classes that are missing, uncorrected."""
        super().grow_to(n_classes)
        missing = len(self.heads) - len(self.corrections)
        fresh = self.corrections.new_tensor([[1.0, 0.0]]).expand(missing, 2)
        self.corrections = torch.cat([self.corrections, fresh])

    def forward(self, features: Tensor) -> Tensor:
        """Features (B, num_features) -> logits (B, n_classes)."""
        pairs = zip(self.heads, self.corrections, strict=True)
        return torch.cat([alpha * head(features) + beta for head, (alpha, beta) in pairs], dim=1)


def draw_as_pycil(head: nn.Linear) -> None:
    """Draw prototypes whose squares sum to 1 on average (`nn.Linear`: 1/3), and a bias of 0.

    As PyCIL's `SimpleLinear` is drawn (convs/linears.py at 25e8156).
    """
    nn.init.kaiming_uniform_(head.weight, nonlinearity="linear")
    if head.bias is not None:
        nn.init.zeros_(head.bias)
