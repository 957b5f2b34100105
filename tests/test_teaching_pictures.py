"""The figures of images in chapter 8 show what the augmentations do."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cilkit import Config, DataSet
from cilkit.teaching import draws_by_recipe, operations_of_timm
from cilkit.teaching.chapters.arguments import arguments_one_by_one
from cilkit.teaching.chapters.augmentation import augmented

GREY = torch.arange(64, dtype=torch.uint8).view(1, 8, 8).repeat(2, 1, 1)
TWO = DataSet.of(GREY, [0, 1], GREY, [0, 1])
CONFIG = Config(padding=1)


def test_without_augmentation_an_image_stays_as_it_is() -> None:
    drawn = augmented(TWO.train, TWO, replace(CONFIG, augment="none"), seed=3)
    assert torch.equal(drawn, TWO.train.images())


def test_what_timm_normalises_is_shown_as_pixels_again() -> None:
    """Without a policy and without a shift, timm mirrors at most."""
    config = replace(CONFIG, augment="timm", auto_augment="", padding=0)
    drawn, original = augmented(TWO.train, TWO, config, seed=0), TWO.train.images()
    for mine, before in zip(drawn, original, strict=True):
        assert torch.equal(mine, before) or torch.equal(mine, before.flip(2))


def test_each_draw_has_a_picture_for_each_recipe_and_is_another_one() -> None:
    figure = draws_by_recipe(TWO.train, TWO, CONFIG, ["crop", "timm"], draws=3)
    assert [frame.marks.count("<image") for frame in figure.frames] == [2, 2, 2]
    assert len({frame.marks for frame in figure.frames}) == 3


def test_operations_are_those_that_timms_policy_picks_from() -> None:
    names = [frame.at for frame in operations_of_timm(TWO.train).frames]
    assert len(names) == 15
    assert {"Rotate", "Invert", "ShearX"} <= set(names)


# The arguments of timm's transform, one at a time.

NOISE = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
COLOURED = DataSet.of(NOISE, [0, 1], NOISE, [0, 1])
WHOLE = NOISE[0].astype(int)


@pytest.fixture(scope="module")
def pairs() -> dict[str, list[np.ndarray]]:
    """Return both images of each argument, (H, W, C), as the figure's files hold them."""
    drawings = arguments_one_by_one(COLOURED).drawings
    files = {drawing.alt.split(":")[0]: files_of(drawing.marks) for drawing in drawings}
    assert all(len(both) == 2 for both in files.values())
    return files


def files_of(marks: str) -> list[np.ndarray]:
    """Return the images that a drawing holds."""
    held = re.findall(r"base64,([^\"]+)", marks)
    return [np.array(Image.open(io.BytesIO(base64.b64decode(one)))).astype(int) for one in held]


@pytest.mark.parametrize(
    "argument", ["input_size", "scale", "hflip", "color_jitter", "auto_augment", "re_prob"]
)
def test_without_an_argument_the_image_stays_as_it_is(
    argument: str, pairs: dict[str, list[np.ndarray]]
) -> None:
    assert np.array_equal(pairs[argument][0], WHOLE)


def test_every_argument_changes_the_image(pairs: dict[str, list[np.ndarray]]) -> None:
    assert [name for name, (one, other) in pairs.items() if np.array_equal(one, other)] == []


def test_the_flip_is_a_mirror(pairs: dict[str, list[np.ndarray]]) -> None:
    assert np.array_equal(pairs["hflip"][1], WHOLE[:, ::-1])


def test_half_the_size_is_pillows_bicubic(pairs: dict[str, list[np.ndarray]]) -> None:
    smaller = Image.fromarray(NOISE[0]).resize((16, 16), Image.Resampling.BICUBIC)
    assert np.array_equal(pairs["input_size"][1], np.array(smaller))


def test_a_nearest_part_has_no_colour_that_the_image_does_not_have(
    pairs: dict[str, list[np.ndarray]],
) -> None:
    there = {tuple(pixel) for pixel in WHOLE.reshape(-1, 3)}
    assert {tuple(pixel) for pixel in pairs["interpolation"][0].reshape(-1, 3)} <= there
    assert not {tuple(pixel) for pixel in pairs["interpolation"][1].reshape(-1, 3)} <= there


def erased(image: np.ndarray) -> np.ndarray:
    """Return where an image is not what it was."""
    return (image != WHOLE).any(2)


def test_what_is_erased_is_a_rectangle_in_the_mean_colour(
    pairs: dict[str, list[np.ndarray]],
) -> None:
    image = pairs["re_prob"][1]
    rows, columns = erased(image).nonzero()
    inside = image[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert inside.reshape(-1, 3).std(0).max() == 0
    assert inside[0, 0] == pytest.approx(NOISE.reshape(-1, 3).mean(0), abs=0.51)


def test_noise_fills_the_same_rectangle(pairs: dict[str, list[np.ndarray]]) -> None:
    zeros, noise = pairs["re_mode"]
    assert np.array_equal(zeros, pairs["re_prob"][1])
    assert not erased(noise)[~erased(zeros)].any()
    assert len(np.unique(noise[erased(noise)], axis=0)) > 20


def test_normalised_numbers_are_drawn_around_grey(pairs: dict[str, list[np.ndarray]]) -> None:
    pixels, mean = WHOLE / 255, NOISE.reshape(-1, 3).mean(0) / 255
    std = NOISE.reshape(-1, 3).std(0) / 255
    plain, normal = pairs["mean, std"]
    assert np.abs(plain - (128 + 48 * pixels)).max() <= 0.51
    assert np.abs(normal - (128 + 48 * (pixels - mean) / std)).max() <= 0.51


def test_the_same_seed_draws_the_same_figure_and_another_one_does_not() -> None:
    one, again, other = (arguments_one_by_one(COLOURED, seed=seed) for seed in (0, 0, 1))
    assert one._repr_html_() == again._repr_html_()
    assert one._repr_html_() != other._repr_html_()
