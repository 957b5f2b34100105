"""The figures of images in chapter 8 show what the augmentations do."""

from dataclasses import replace

import torch

from cilkit import Config, DataSet
from cilkit.teaching import draws_by_recipe, operations_of_timm
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
