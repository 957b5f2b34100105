"""A network cut in two: what makes the features, and the classifier that grows. Chapters 1, 6."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby
from math import prod
from operator import itemgetter

import torch
from torch import Tensor, nn

from cilkit.backbones import build_backbone
from cilkit.heads import CilClassifier
from cilkit.model import CilModel
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.still import Drawing, Still
from cilkit.teaching.svg import rect, text

WIDE, LINE, TOP = 320, 24, 40  # pixels of the figure: a network, a tensor, the first one
LEFT, MOST = 14, 104  # where a tensor's bar begins, and how long the largest is
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Cut:
    """The two halves of a network, in numbers."""

    shapes: Sequence[Shape]  # of one image and of what becomes of it, the features last
    layers: Sequence[int]  # with weights, that lead to each: none to the image
    weights: int  # of the feature extractor
    prototypes: Shape  # of the classifier's matrix: classes, features
    heads: Sequence[int]  # classes that each stage brought
    logits: int


def cut(model: CilModel, image: Shape) -> Cut:
    """Run a model on one image of this shape, (C, H, W), and tell what it makes, step by step.

    Steps without weights that leave the shape as it is are left out. On the device "meta" nothing
    is computed but the shapes.
    """
    found: list[tuple[Shape, bool]] = [(image, False)]

    def note(layer: nn.Module, _: object, out: Tensor) -> None:
        pools = squeezed(out) != found[-1][0]
        if pools or isinstance(layer, nn.Conv2d | nn.Linear | nn.BatchNorm2d):
            found.append((squeezed(out), isinstance(layer, nn.Conv2d | nn.Linear)))

    leaves = [layer for layer in model.backbone.modules() if not [*layer.children()]]
    hooks = [layer.register_forward_hook(note) for layer in leaves]
    with torch.no_grad():
        features = model.eval().backbone(torch.zeros(1, *image, device=model.device))
        logits = model.classifier(features)
    for hook in hooks:
        hook.remove()
    found.append((squeezed(features), False))
    shapes, layers = runs(found)
    weights = sum(part.numel() for part in model.backbone.parameters())
    head = model.classifier
    return Cut(shapes, layers, weights, tuple(head.weight.shape), head.head_sizes, logits.shape[1])


def squeezed(out: Tensor) -> Shape:
    """Return the shape of one image's tensor: without the batch, and without sides of 1."""
    _, channels, *sides = out.shape
    return (channels, *sides) if max(sides, default=1) > 1 else (channels,)


def runs(found: Sequence[tuple[Shape, bool]]) -> tuple[list[Shape], list[int]]:
    """Return shapes that follow each other, equal ones once, with their numbers of layers."""
    groups = [(shape, [*group]) for shape, group in groupby(found, itemgetter(0))]
    counts = [sum(has_weights for _, has_weights in group) for _, group in groups]
    return [shape for shape, _ in groups], counts


def on_meta(name: str, classes: int) -> CilModel:
    """Return a model of shapes alone: no weights are stored, and nothing is computed."""
    with torch.device("meta"):
        backbone = build_backbone(name, channels=3)
        width = backbone(torch.zeros(1, 3, 224, 224)).shape[1]
        model = CilModel(backbone, CilClassifier(width), nn.Identity())
        model.grow_to(classes)
    return model


def networks_cut_in_two(networks: Mapping[str, tuple[str, int]], sizes: Sequence[int]) -> Moving:
    """Show two networks as a feature extractor and a classifier, which grows by `sizes` of classes.

    `networks` holds a title for each backbone's name and the side of its images. A frame for each
    stage; the shapes are those that the networks make.
    """
    models = {title: on_meta(name, sizes[0]) for title, (name, _) in networks.items()}
    frames = []
    for stage, n_seen in enumerate(accumulate(sizes), 1):
        for model in models.values():
            model.grow_to(n_seen)
        cuts = {t: cut(models[t], (3, side, side)) for t, (_, side) in networks.items()}
        columns, y = enumerate(cuts.items()), cut_at(cuts)
        marks = "".join(column(title, one, WIDE * i, y) for i, (title, one) in columns)
        frames.append(Frame(f"stage {stage}", in_words(cuts), marks))
    return Moving(
        "Two networks, cut in two",
        "For each network, from top to bottom: a bar and a shape for each tensor that becomes of "
        "one image, down to the features; a dashed line, where it is cut; below it the matrix of "
        "the classifier, a row for each class, old ones blue and new ones orange. The slider moves "
        "through the stages: the matrix gets more rows, and nothing else changes.",
        "stage",
        frames,
        width=WIDE * len(networks),
        height=cut_at(cuts) + sum(sizes) + 56,
        printed=1,
    )


def one_network(model: CilModel, image: Shape, name: str, title: str) -> Still:
    """Show one network as a feature extractor and a classifier with all heads that it has by now.

    `image` is the shape of one, (C, H, W); there is room for some twenty classes.
    """
    one, each = cut(model, image), 9  # pixels of height for a class
    y = cut_at({name: one})
    made = ", then ".join(times(shape) for shape in one.shapes)
    alt = (
        f"From top to bottom, a bar for each tensor that becomes of one image: {made} features; a "
        f"dashed line; below it the matrix of the classifier, {times(one.prototypes)}, a row for "
        f"each class: {len(one.heads)} blocks, a stage's each, old ones blue, the new one orange."
    )
    marks = column(name, one, 0, y, each)
    height = int(y) + each * one.logits + 60
    return Still(title, [Drawing(alt, marks, WIDE, height)], in_words({name: one}))


def cut_at(cuts: Mapping[str, Cut]) -> int:
    """Return how far down all networks are cut: the longest has room above."""
    return TOP + 10 + LINE * max(len(one.shapes) for one in cuts.values())


def in_words(cuts: Mapping[str, Cut]) -> str:
    """Say how many weights are above the cut, and how many below."""
    parts = [
        f"{title}: φ {one.weights:,} weights, W {times(one.prototypes)} = {prod(one.prototypes):,}"
        for title, one in cuts.items()
    ]
    return "; ".join(parts)


def times(shape: Shape) -> str:
    """Write a shape."""
    return " × ".join(map(str, shape))


def column(title: str, one: Cut, x: float, y: float, each: float = 1) -> str:
    """Draw one network from top to bottom, cut at `y`; a class is `each` pixels high."""
    top = y - 10 - LINE * len(one.shapes)
    before = sum(one.layers)
    name = f"{title}: {before} layers + classifier"
    marks = text(x + LEFT, top - 20, name, "start", ' font-weight="bold"')
    for number, shape in enumerate(one.shapes):
        marks += tensor(shape, one, x, top + LINE * number)
    marks += f'<path class="axis" stroke-dasharray="7 5" d="M{x + 4:g} {y:g}h{WIDE - 16}"/>'
    marks += text(x + WIDE - 12, y - 8, "feature extractor", "end")
    marks += text(x + WIDE - 12, y + 18, "classifier", "end")
    return marks + classifier(one, x, y + 22, each)


def tensor(shape: Shape, one: Cut, x: float, y: float) -> str:
    """Draw a tensor as a bar, as long as the root of its number of values, and write its shape."""
    length = MOST * (prod(shape) / max(map(prod, one.shapes))) ** 0.5
    bar = rect(x + LEFT, y - 11, length, 13, "", ' fill="currentColor" fill-opacity=".35"')
    ends = {one.shapes[0]: " image", one.shapes[-1]: " features φ"}
    return bar + text(x + LEFT + MOST + 10, y, times(shape) + ends.get(shape, ""))


def classifier(one: Cut, x: float, y: float, each: float) -> str:
    """Draw the matrix, so many pixels of height for each class, head by head, and the logits."""
    marks, top = "", y
    for number, size in enumerate(one.heads, 1):
        name = "new" if number == len(one.heads) else "old"
        marks += rect(x + LEFT, top, MOST, each * size - 1.5, name, ' fill-opacity=".7"')
        top += each * size
    beside, new = x + LEFT + MOST + 10, one.heads[-1]
    marks += text(beside, y + 12, f"W {times(one.prototypes)}")
    if old := sum(one.heads) - new:
        marks += text(beside, y + 12 + LINE, f"{old} old classes")
    marks += text(beside, top - 1, f"{new} new classes")
    return marks + text(x + LEFT, top + 24, f"{one.logits} logits o = Wφ")
