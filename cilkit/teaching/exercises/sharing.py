"""What is put together and shared out: a batch, and the images of a test (chapters 8 and 9)."""

from collections.abc import Iterator
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.teaching.exercises.trying import Answer, Exercise, Look

# Chapter 8: one batch of pictures of different sizes.


def pad(pictures: list[Tensor], place: float = 0.0, fill: float = 0.0) -> Tensor:
    """Return one batch; each picture begins at a part of the room that is left."""
    height, width = (max(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    batch = pictures[0].new_full((len(pictures), len(pictures[0]), height, width), fill)
    for room, picture in zip(batch, pictures, strict=True):
        _, high, wide = picture.shape
        top, left = int(place * (height - high)), int(place * (width - wide))
        room[:, top : top + high, left : left + wide] = picture
    return batch


def cut(pictures: list[Tensor]) -> Tensor:
    """Cut all pictures to the smallest sides."""
    height, width = (min(picture.shape[axis] for picture in pictures) for axis in (1, 2))
    return torch.stack([picture[:, :height, :width] for picture in pictures])


def scaled(pictures: list[Tensor]) -> Tensor:
    """Scale all pictures to the largest sides."""
    size = pad(pictures).shape[2:]
    return torch.cat([F.interpolate(picture[None], size) for picture in pictures])


def looks_at_batches(answer: Answer) -> Iterator[Look]:
    """Look at a batch of two small pictures."""

    def batch() -> Tensor:
        lying, standing = torch.tensor([[[1.0, 2.0]]]), torch.tensor([[[3.0], [4.0], [5.0]]])
        return torch.as_tensor(answer([lying, standing]))

    yield "The shape for pictures of 1×2 and 3×1", lambda: tuple(batch().shape)
    yield "The first picture, 1 2", lambda: batch()[0, 0]
    yield "The second picture, 3 4 5 from top to bottom", lambda: batch()[1, 0]


PAD = Exercise(
    pad,
    looks_at_batches,
    {
        "The pictures are cut to the smallest; they are to grow to the largest.": cut,
        "It is to lie in the upper left corner, not in the lower right.": lambda pictures: pad(
            pictures, 1.0
        ),
        "It is to lie in the upper left corner, not in the middle.": lambda pictures: pad(
            pictures, 0.5
        ),
        "The rest is filled with ones, not with zeros.": lambda pictures: pad(pictures, fill=1.0),
        "The picture is scaled; zeros are to fill the rest.": scaled,
    },
)

# Chapter 9: which process tests which image.


def dealt(count: int, rank: int, size: int) -> list[int]:
    """Deal the images like cards."""
    return list(range(rank, count, size))


def cut_off(count: int, rank: int, size: int) -> list[int]:
    """Give each process as many, and leave the rest."""
    each = count // size
    return list(range(rank * each, (rank + 1) * each))


def in_blocks(count: int, rank: int, size: int) -> list[int]:
    """Give each process the next block, rounded up."""
    each = -(-count // size)
    return list(range(count))[rank * each : (rank + 1) * each]


def padded(count: int, rank: int, size: int) -> list[int]:
    """Begin again with the first images, until all shares are equal."""
    return [place % count for place in range(rank, -(-count // size) * size, size)]


def looks_at_shares(answer: Answer) -> Iterator[Look]:
    """Look at the shares of all processes together."""

    def shares(count: int, size: int) -> list[list[int]]:
        return [[*answer(count, rank, size)] for rank in range(size)]

    def all_of(count: int, size: int) -> list[int]:
        return sorted(image for share in shares(count, size) for image in share)

    def uneven(count: int, size: int) -> int:
        lengths = [len(share) for share in shares(count, size)]
        return max(lengths) - min(lengths)

    for count, size in ((6, 4), (8, 8), (3, 5), (0, 2)):
        what = f"{count} images, {size} processes"
        yield f"{what}, all shares together", partial(all_of, count, size)
        yield f"{what}, the largest share less the smallest", partial(uneven, count, size)


SHARE = Exercise(
    dealt,
    looks_at_shares,
    {
        "Each process tests every image.": lambda count, rank, size: list(range(count)),
        "Some images are in no share: the rest of the division is lost.": cut_off,
        "Blocks that are rounded up leave little or nothing to the last one.": in_blocks,
        "Some images are in two shares: that is padding.": padded,
    },
)
