"""LUCIR: two prototypes and an image, by their products and by their cosines."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.methods.lucir import LUCIR, ranking_loss
from cilkit.teaching.methods.plane import DIRECTIONS, WIDE, quarter, rays, sectors
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import arrow, text

PROTOTYPES = torch.tensor([[0.8], [1.15]]) * rays(torch.tensor([72.0, 14.0]))  # old, new
IMAGE = rays(torch.tensor([50.0]))  # an exemplar of the old class
CLASSES = ["old", "new"]
MARGIN = LUCIR.Settings.ranking_margin


def cosines(features: Tensor) -> Tensor:
    """Return the cosines with both prototypes: (N, 2) -> (N, 2)."""
    return F.normalize(features) @ F.normalize(PROTOTYPES).T


def picture() -> Still:
    """Show the plane twice: with prototypes as they grew, and with their directions alone."""
    old, new = cosines(IMAGE)[0].tolist()
    short = ranking_loss(cosines(IMAGE), torch.tensor([0]), 1, MARGIN, rivals=2)
    return Still(
        "Does it count how long a prototype is?",
        [by_product(), by_cosine()],
        "The cross is an exemplar of the old class. By the products it looks new, since the new "
        f"prototype is longer. Its cosines are {old:.2f} and {new:.2f}: old, but not by the margin "
        f"of {MARGIN:g}. What is missing, {float(short):.2f}, is a loss, which pushes it on until "
        "it lies below the thick arc.",
    )


def by_product() -> Drawing:
    """Draw the prototypes with their lengths."""
    products = DIRECTIONS @ PROTOTYPES.T
    says = CLASSES[int((IMAGE @ PROTOTYPES.T).argmax())]
    return Drawing(
        "Two arrows, a short one for the old prototype and a long one for the new. The border "
        "lies nearer to the old one, and a cross, an old image, on the new side.",
        backdrop(f"products say: {says}", products, PROTOTYPES),
        height=298,
    )


def by_cosine() -> Drawing:
    """Draw the prototypes with length 1, and where the image is pushed."""
    says = CLASSES[int(cosines(IMAGE).argmax())]
    old, new = cosines(DIRECTIONS).T
    rim, begin = DIRECTIONS[old - new >= MARGIN], int((DIRECTIONS @ IMAGE[0]).argmax())
    way = DIRECTIONS[begin + 8 : -len(rim) : 4]
    push = arrow([WIDE.of(1.06 * ray) for ray in way])
    goal = WIDE.path(1.12 * rim, more=' style="stroke-width:5"')
    goal += WIDE.word(torch.tensor([0.34, 1.12]), "the margin is kept")
    drawn = backdrop(f"cosines say: {says}", cosines(DIRECTIONS), F.normalize(PROTOTYPES))
    return Drawing(
        "Both arrows have the same length now, the border lies half-way between them, the cross "
        "on the old side. A curved arrow leads from the cross to a thick arc, close to the "
        "old prototype and beyond it.",
        drawn + push + goal,
        height=298,
    )


def backdrop(title: str, logits: Tensor, prototypes: Tensor) -> str:
    """Draw prototypes and the image over the sides on which they win."""
    drawn = text(4, 14, title) + sectors(WIDE, logits.argmax(1), CLASSES) + quarter(WIDE)
    for name, prototype in zip(CLASSES, prototypes, strict=True):
        drawn += arrow([WIDE.at(0, 0), WIDE.of(prototype)], name, ' style="stroke-width:3"')
    old, new = 0.85 * prototypes[0], 0.6 * prototypes[1]
    drawn += WIDE.word(old - torch.tensor([0.05, 0]), "old", "end")
    drawn += WIDE.word(new + torch.tensor([0, 0.07]), "new", "middle")
    return drawn + WIDE.cross(IMAGE[0])
