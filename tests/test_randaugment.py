"""The batched RandAugment does to each image what Pillow does to one, with draws of its own."""

from collections.abc import Callable
from math import cos, radians, sin

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from cilkit.config import Config
from cilkit.data.randaugment import OPERATIONS, move, randaugment

Pixels = NDArray[np.uint8]
One = Callable[[Image.Image, float, float], Image.Image]
STRENGTHS = torch.tensor([0.875, 0.8125, 0.40625, 0.0, 0.875, 0.78125])  # exact in float32
SIGNS = torch.tensor([1.0, -1.0, 1.0, -1.0, -1.0, 1.0])


def photographs(channels: int = 3, height: int = 20, width: int = 26) -> Tensor:
    """Six images: noise, noise of little contrast, a gradient, one colour, black, dark noise."""
    chance = torch.Generator().manual_seed(0)
    noise = torch.randint(256, (channels, height, width), generator=chance)
    ramp = torch.arange(height * width).view(1, height, width).expand(channels, -1, -1)
    flat = torch.full_like(noise, 77)
    images = [noise, 90 + noise // 8, ramp * 255 // (height * width), flat, 0 * flat, noise // 3]
    return torch.stack(images).byte()


def factor(strength: float, sign: float) -> float:
    return max(0.1, 1 + sign * strength * 0.9)


def solarize_add(image: Image.Image, strength: float, sign: float) -> Image.Image:
    pixels = np.asarray(image).astype(int)
    added = np.minimum(255, pixels + int(strength * 110))
    return Image.fromarray(np.where(pixels < 128, added, pixels).astype(np.uint8))


BY_PILLOW: dict[str, One] = {
    "AutoContrast": lambda image, *_: ImageOps.autocontrast(image),
    "Equalize": lambda image, *_: ImageOps.equalize(image),
    "Invert": lambda image, *_: ImageOps.invert(image),
    "Posterize": lambda image, m, _: ImageOps.posterize(image, 4 - int(m * 4)),
    "Solarize": lambda image, m, _: ImageOps.solarize(image, 256 - int(m * 256)),
    "SolarizeAdd": solarize_add,
    "Color": lambda image, m, s: ImageEnhance.Color(image).enhance(factor(m, s)),
    "Contrast": lambda image, m, s: ImageEnhance.Contrast(image).enhance(factor(m, s)),
    "Brightness": lambda image, m, s: ImageEnhance.Brightness(image).enhance(factor(m, s)),
    "Sharpness": lambda image, m, s: ImageEnhance.Sharpness(image).enhance(factor(m, s)),
}


def as_image(image: Tensor) -> Image.Image:
    pixels = image.permute(1, 2, 0).numpy()
    return Image.fromarray(pixels[:, :, 0] if len(image) == 1 else pixels)


def by_pillow(change: One, images: Tensor) -> Tensor:
    """Change image after image."""
    changed = []
    for image, strength, sign in zip(images, STRENGTHS.tolist(), SIGNS.tolist(), strict=True):
        pixels = np.asarray(change(as_image(image), strength, sign))
        changed.append(torch.from_numpy(pixels.reshape(*pixels.shape[:2], -1).copy()))
    return torch.stack(changed).permute(0, 3, 1, 2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", BY_PILLOW)
def test_an_operation_on_a_batch_equals_pillows_on_each_image(name: str, channels: int) -> None:
    images = photographs(channels)
    found = OPERATIONS[name](images, STRENGTHS, SIGNS)
    expected = by_pillow(BY_PILLOW[name], images)
    different = (found.int() - expected.int()).abs()
    assert different.max() <= 1  # where float32 falls on the other side of a whole number
    assert (different > 0).double().mean() < 0.01


def turned(image: Image.Image, strength: float, sign: float) -> Image.Image:
    return image.rotate(sign * strength * 30, Image.Resampling.BICUBIC, fillcolor=(128,) * 3)


def moved(matrix: Callable[[float, int, int], tuple[float, ...]]) -> One:
    def change(image: Image.Image, strength: float, sign: float) -> Image.Image:
        numbers = matrix(sign * strength, *image.size)
        how = Image.Resampling.BICUBIC
        return image.transform(
            image.size, Image.Transform.AFFINE, numbers, how, fillcolor=(128,) * 3
        )

    return change


MOVES: dict[str, One] = {
    "Rotate": turned,
    "ShearX": moved(lambda m, w, h: (1, 0.3 * m, 0, 0, 1, 0)),
    "ShearY": moved(lambda m, w, h: (1, 0, 0, 0.3 * m, 1, 0)),
    "TranslateX": moved(lambda m, w, h: (1, 0, 0.45 * m * w, 0, 1, 0)),
    "TranslateY": moved(lambda m, w, h: (1, 0, 0, 0, 1, 0.45 * m * h)),
}


@pytest.mark.parametrize("name", MOVES)
def test_a_move_of_a_batch_is_close_to_pillows_of_each_image(name: str) -> None:
    """But for single pixels on the border, and a kernel that is sharper: most seen in noise.

    Bilinear interpolation in place of bicubic would move three pixels in a hundred this far.
    """
    images = photographs()
    found = OPERATIONS[name](images, STRENGTHS, SIGNS)
    different = (found.int() - by_pillow(MOVES[name], images).int()).abs()
    assert (different > 8).double().mean() < 0.015


def test_every_operation_is_compared_with_pillow() -> None:
    assert set(OPERATIONS) == {*BY_PILLOW, *MOVES}


def test_the_operations_are_timms() -> None:
    from timm.data.auto_augment import rand_augment_choices

    timms = [
        name.removesuffix("Increasing").removesuffix("Rel") for name in rand_augment_choices("")
    ]
    assert list(OPERATIONS) == timms


def test_a_turn_by_nothing_changes_nothing() -> None:
    images = photographs()
    one, none = torch.ones(6), torch.zeros(6)
    assert torch.equal(move(images, [[one, none, none], [none, one, none]]), images)


def test_a_quarter_turn_turns_by_a_quarter() -> None:
    """Independent of Pillow: 90 degrees about the middle only exchanges pixels."""
    images, angle = photographs(height=20, width=20), radians(-90)
    c, s, middle = cos(angle), sin(angle), 10.0
    matrix = [[c, s, middle - c * middle - s * middle], [-s, c, middle + s * middle - c * middle]]
    assert torch.equal(
        move(images, matrix)[:, :, 1:-1, 1:-1], images.rot90(1, (2, 3))[:, :, 1:-1, 1:-1]
    )


# The draws


def many(count: int = 3000) -> Tensor:
    return photographs(height=8, width=8)[:1].repeat(count, 1, 1, 1)


def test_each_image_of_a_batch_has_draws_of_its_own() -> None:
    torch.manual_seed(0)
    images = many(300)
    assert len({image.numpy().tobytes() for image in randaugment(images, Config())}) > 100


def test_a_quarter_of_the_images_stays_as_it_was() -> None:
    """Two operations, each carried out with probability 1/2; few of them change nothing."""
    torch.manual_seed(0)
    images = many()
    same = (randaugment(images, Config()) == images).flatten(1).all(1).double().mean().item()
    unchanged = 1 / 15  # AutoContrast of noise from black to white
    expected = (0.5 + 0.5 * unchanged) ** 2
    assert same == pytest.approx(expected, abs=0.03)  # four standard deviations, and chance pairs


def test_every_operation_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = dict.fromkeys(OPERATIONS, 0)

    def counting(name: str) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        def count(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
            assert (strength <= 0.9).all() and set(sign.tolist()) <= {-1.0, 1.0}
            counts[name] += len(images)
            return images

        return count

    for name in OPERATIONS:
        monkeypatch.setitem(OPERATIONS, name, counting(name))
    torch.manual_seed(0)
    randaugment(many(), Config())
    assert min(counts.values()) > 200 * 0.7 and max(counts.values()) < 200 * 1.3


def test_an_image_does_not_depend_on_those_beside_it() -> None:
    """Every operation on a batch is that on each of its images."""
    images = photographs()
    for name, change in OPERATIONS.items():
        alone = [
            change(images[i : i + 1], STRENGTHS[i : i + 1], SIGNS[i : i + 1]) for i in range(6)
        ]
        assert torch.equal(torch.cat(alone), change(images, STRENGTHS, SIGNS)), name


def test_the_same_seed_draws_the_same() -> None:
    torch.manual_seed(3)
    first = randaugment(photographs(), Config())
    torch.manual_seed(3)
    assert torch.equal(randaugment(photographs(), Config()), first)


def test_the_input_is_left_alone() -> None:
    images = photographs()
    randaugment(images, Config())
    assert torch.equal(images, photographs())
