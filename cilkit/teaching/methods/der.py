"""DER: three backbones side by side, and the head that reads the features of all."""

from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.methods.der import WideningClassifier
from cilkit.teaching.methods.pixels import training_digits
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import arrow, rect, shades, text

STAGES, WIDTH = 3, 4  # of two digits each; features of a backbone
CELL, BLOCK = 18, 92  # pixels: a weight, and from backbone to backbone
LEFT, TOP = 44, 108  # where the head begins
CLASSES = 2 * STAGES
N_OLD = CLASSES - 2


def features(n_backbones: int) -> Tensor:
    """Return what backbones that were drawn at random make of all digits: (N, 4 n_backbones)."""
    pixels = training_digits().images().flatten(1) / 255
    drawn = torch.randn(64, WIDTH * STAGES, generator=torch.Generator().manual_seed(0))
    return (pixels @ drawn[:, : WIDTH * n_backbones] / 4).relu()


def learn(head: WideningClassifier, stage: int) -> None:
    """Let a head learn the digits of all stages so far, and its auxiliary head the newest."""
    labels = training_digits().labels
    seen = labels < 2 * (stage + 1)
    rows, truth = features(stage + 1)[seen], labels[seen]
    optimizer = torch.optim.SGD(head.parameters(), lr=0.2)
    for _ in range(100):
        optimizer.zero_grad()
        loss = F.cross_entropy(head(rows), truth)
        if stage:
            told = head.auxiliary(rows[:, -WIDTH:])
            loss = loss + F.cross_entropy(told, (truth - 2 * stage + 1).clamp(min=0))
        loss.backward()
        optimizer.step()


@cache
def third_stage() -> tuple[list[Tensor], list[Tensor]]:
    """Return the weights of head and auxiliary head as the stage begins, and as it ends."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        head = WideningClassifier(WIDTH)
        head.grow_to(2)
        for stage in range(1, STAGES):
            learn(head, stage - 1)
            head.widen(WIDTH, 2 * stage, 2 * stage + 2)
    begin = [head.weight.detach().clone(), head.auxiliary.weight.detach().clone()]
    learn(head, STAGES - 1)
    return begin, [head.weight.detach(), head.auxiliary.weight.detach()]


def picture() -> Still:
    """Show the head before and after."""
    begin, end = third_stage()
    alts = (
        "Three boxes: backbones 1 and 2, dashed, are at rest, backbone 3 learns. Below each, four "
        "features, and below these the head as a table of shades, a row for each class. Where "
        "the rows of old classes, in blue, cross the features of backbone 3 there are zeros.",
        "The same boxes. Now there are weights everywhere: the table has no empty part any more.",
    )
    return Still(
        "What is new in the third stage?",
        [
            Drawing(alts[0], text(4, 14, "the third stage begins") + marks(*begin), height=288),
            Drawing(alts[1], text(4, 14, "the third stage ends") + marks(*end), height=288),
        ],
        "A backbone, and the part of the head below it. It begins with zeros for the old classes: "
        "no answer changes before it has learned. The auxiliary head sees the new features alone: "
        "is it any old class, a 4 or a 5? Shades are the sizes of weights, learned from the digits "
        "0 to 5; the backbones are random here.",
    )


def marks(weight: Tensor, auxiliary: Tensor) -> str:
    """Draw backbones, features, and the weights of both heads."""
    drawn = text(4, TOP - 8, "head")
    for block, part in enumerate((weight.abs() / weight.abs().max()).split(WIDTH, dim=1)):
        drawn += backbone(block) + table(LEFT + BLOCK * block, TOP, part, N_OLD)
        if not part[:N_OLD].any():
            drawn += text(LEFT + BLOCK * block + 36, TOP + 40, "zeros", "middle")
    for row, name in enumerate(map(str, range(CLASSES))):
        drawn += text(LEFT - 8, TOP + CELL * row + 13, name, "end")
    x, y = LEFT + BLOCK * (STAGES - 1), TOP + CELL * CLASSES + 10
    for row, name in enumerate(("old", "4", "5")):
        drawn += text(x - 8, y + CELL * row + 13, name, "end")
    told = table(x, y, auxiliary.abs() / auxiliary.abs().max(), 1)
    return drawn + text(x - 40, y + 31, "auxiliary head", "end") + told


def table(x: float, y: float, sizes: Tensor, n_old: int) -> str:
    """Draw weights, those of old classes in blue, those of new ones in orange."""
    frame = rect(x - 1, y - 1, CELL * WIDTH + 1, CELL * len(sizes) + 1, "grid", ' fill="none"')
    old = shades(sizes[:n_old], x, y, CELL, "old")
    return frame + old + shades(sizes[n_old:], x, y + CELL * n_old, CELL, "new")


def backbone(block: int) -> str:
    """Draw a backbone over its features."""
    x, rests = LEFT + BLOCK * block, block < STAGES - 1
    box = rect(x - 5, 24, 82, 37, "line", ' rx="6"' + ' stroke-dasharray="4 3"' * rests)
    name = text(x + 36, 39, f"backbone {block + 1}", "middle")
    state = text(x + 36, 54, "at rest" if rests else "learns", "middle")
    down = arrow([(x + 36, 62), (x + 36, 76)], "faint" if rests else "")
    return box + name + state + down + shades(torch.full((1, WIDTH), 0.25), x, 78, CELL)
