"""WA: the prototypes of two stages, as they were trained and as they are aligned."""

import torch
from torch import Tensor

from cilkit.functional import alignment
from cilkit.teaching.methods.plane import DIRECTIONS, WIDE, quarter, rays, sectors
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import arrow, text

LENGTHS = torch.tensor([0.8, 0.9, 1.2, 1.0])
PROTOTYPES = LENGTHS[:, None] * rays(torch.tensor([82.0, 58.0, 30.0, 6.0]))
N_OLD = 2
GAMMA = float(alignment(PROTOTYPES, N_OLD))
IMAGE = rays(torch.tensor([60.0]))  # of an old class
STAGES = ["old", "new"]


def aligned() -> Tensor:
    """Return the prototypes, the new ones multiplied by gamma: (4, 2)."""
    return torch.cat([PROTOTYPES[:N_OLD], GAMMA * PROTOTYPES[N_OLD:]])


def answers(features: Tensor, prototypes: Tensor) -> Tensor:
    """Return 0 where an old class has the highest logit, else 1: (N, 2), (4, 2) -> (N,)."""
    return ((features @ prototypes.T).argmax(1) >= N_OLD).long()


def picture() -> Still:
    """Show the plane twice: with the new prototypes as they grew, and aligned."""
    old, new = (float(each.mean()) for each in LENGTHS.split(N_OLD))
    return Still(
        "What does one number change?",
        [
            plane(
                "as trained",
                "Two short arrows for old prototypes, two longer ones for new. The border lies "
                "near the old ones, and a cross, an image of an old class, on the new side.",
                PROTOTYPES,
            ),
            plane(
                "aligned",
                "The new arrows are shorter now, in the same directions. The border lies "
                "half-way between old and new, and the cross on the old side.",
                aligned(),
            ),
        ],
        f"The old prototypes are {old:.2f} long on average, the new ones {new:.2f}, so γ is "
        f"{GAMMA:.2f}. Both new ones are multiplied by it: their directions stay, and so does "
        "which of them is the longer one. The cross, an image of an old class, changes sides.",
    )


def plane(title: str, alt: str, prototypes: Tensor) -> Drawing:
    """Draw prototypes and the image over the sides on which old and new classes win."""
    says = STAGES[int(answers(IMAGE, prototypes))]
    drawn = text(4, 14, f"{title}, the answer is {says}")
    drawn += sectors(WIDE, answers(DIRECTIONS, prototypes), STAGES) + quarter(WIDE)
    for number, prototype in enumerate(prototypes):
        look = STAGES[number >= N_OLD]
        drawn += arrow([WIDE.at(0, 0), WIDE.of(prototype)], look, ' style="stroke-width:3"')
    drawn += WIDE.word(1.08 * prototypes[0], "old", "middle")
    drawn += WIDE.word(0.75 * prototypes[N_OLD:].mean(0), "new", "middle")
    return Drawing(alt, drawn + WIDE.cross(IMAGE[0]), height=298)
