"""Class means: each stage leaves one point for each class, and no point ever moves."""

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.methods.nearest_mean import class_means
from cilkit.teaching.methods.plane import DIRECTIONS, NARROW, cloud, quarter, sectors
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import text

STAGES = ((13, 71), (36, 54), (25, 82))  # the directions of each stage's classes
COUNT = 20  # images of a class


def images(stage: int) -> Tensor:
    """Return the unit features of a stage's images, class by class: (2 COUNT, 2)."""
    clouds = [cloud(angle, COUNT, seed=angle, spread=2.5) for angle in STAGES[stage]]
    return F.normalize(torch.cat(clouds))


def means(stages: int) -> Tensor:
    """Return the mean of each class of the first so many stages."""
    labels = torch.tensor([0, 1]).repeat_interleave(COUNT)
    return torch.cat([class_means(images(stage), labels) for stage in range(stages)])


def picture() -> Still:
    """Show what each of three stages sees, and what it leaves."""
    alts = [
        "Two orange heaps of points on a quarter circle, with a ring in the middle of each.",
        "The two rings are where they were, in blue, without their points; two orange heaps have "
        "come, each with its ring. Each ring has a sector of its own.",
        "Four blue rings where they were, two new orange heaps; six sectors.",
    ]
    return Still(
        "What is left of a class when its images are gone?",
        [Drawing(alt, marks(stage), 226, 206) for stage, alt in enumerate(alts)],
        "One point, the mean of its features. New classes take their share of the directions, and "
        "no point moves. Images were drawn at random, with two features of length 1; in each "
        "sector another mean is nearest.",
    )


def marks(stage: int) -> str:
    """Draw a stage: its images, the means so far, and where each is nearest."""
    found, n_old = means(stage + 1), 2 * stage
    looks = ["old"] * n_old + ["new"] * 2
    drawn = sectors(NARROW, torch.cdist(DIRECTIONS, found).argmin(1), looks) + quarter(NARROW)
    drawn += NARROW.points(images(stage), "new", 2.5)
    drawn += NARROW.points(found[:n_old], "line old", 6) + NARROW.points(found[n_old:], "line", 6)
    for label, mean in enumerate(found):
        drawn += NARROW.word(0.8 * mean, str(label), "middle")
    return text(4, 14, f"stage {stage + 1}") + drawn
