"""A teacher's words at every temperature, on real images. Chapter 4."""

from collections.abc import Sequence

from torch import Tensor

from cilkit.teaching.chapters.side_by_side import WIDTH, side_by_side
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot, text
from cilkit.teaching.thumbnails import thumbnail

HEIGHT = 300


def teacher_by_temperature(
    images: Tensor,
    logits: Tensor,
    captions: Sequence[str],
    names: Sequence[str],
    temperatures: Sequence[float],
    start: int = 0,
) -> Moving:
    """Show softmax(logits / T) over the slider's T: a panel for each of two images.

    Images (2, C, H, W) uint8, the teacher's logits of them (2, n_old), the classes' names.
    """
    xs = (-0.6, len(names) - 0.4)
    plot = Plot(xs, (0, 100), "class", "percent", width=WIDTH, height=HEIGHT, top=64)
    axes = plot.axes(dict(enumerate(names)), [0, 50, 100])
    heads = [
        axes + thumbnail(image, 90, 4, 48) + text(150, 34, caption)
        for image, caption in zip(images, captions, strict=True)
    ]
    return Moving(
        "What the teacher says, at temperature T",
        "Two panels, one for each image, with a bar for each class that the teacher knows. With a "
        "low temperature one bar takes all; the higher the temperature, the more alike they are.",
        "T",
        [softened(plot, logits, captions, names, t) for t in temperatures],
        side_by_side(heads),
        height=HEIGHT,
        start=start,
    )


def softened(
    plot: Plot, logits: Tensor, captions: Sequence[str], names: Sequence[str], temperature: float
) -> Frame:
    """Draw the probabilities at one temperature."""
    panels, says = [], []
    for row, caption in zip((logits.double() / temperature).softmax(1), captions, strict=True):
        panels.append(plot.bars(100 * row, ["old"] * len(names)))
        (first, second), classes = (100 * row).topk(2)
        a, b = (names[int(c)] for c in classes)
        says.append(f"{caption}: {a} with {first:.1f} %, {b} with {second:.1f} %")
    return Frame(f"T = {temperature:.2g}", "; ".join(says), side_by_side(panels))
