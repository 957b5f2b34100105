"""The figure of herding shows what `herd` chooses, of real images."""

import base64
import io
import re

import numpy as np
import pytest
import torch
from PIL import Image

from cilkit import herd
from cilkit.teaching.chapters.herding import herding_by_step, main_plane
from cilkit.teaching.thumbnails import thumbnail

M = 6


@pytest.fixture(scope="module")
def images():
    rng = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (30, 1, 8, 8), generator=rng, dtype=torch.uint8)


@pytest.fixture(scope="module")
def features():
    return torch.rand(30, 5, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def figure(images, features):
    return herding_by_step(images, features, M)


def pixels_of(drawing: str) -> np.ndarray:
    data = re.search(r"base64,([^\"]+)", drawing).group(1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_thumbnail_holds_every_pixel(channels) -> None:
    image = torch.arange(channels * 20, dtype=torch.uint8).view(channels, 4, 5)
    shown = pixels_of(thumbnail(image, 0, 0, 10))
    np.testing.assert_array_equal(shown, image.permute(1, 2, 0).squeeze(2).numpy())


def test_step_k_shows_the_first_k_images_that_herding_chooses(figure, images, features) -> None:
    order = herd(features, M)
    for k, frame in enumerate(figure.frames, 1):
        shown = [pixels_of(drawing) for drawing in re.findall(r"<image[^>]+>", frame.marks)]
        np.testing.assert_array_equal(shown, images[order[:k], 0].numpy())


def test_step_k_reads_how_far_the_mean_of_k_is_from_the_mean_of_all(figure, features) -> None:
    order = herd(features, M)
    for k, frame in enumerate(figure.frames, 1):
        distance = (features[order[:k]].mean(0) - features.mean(0)).norm().item()
        assert float(re.search(r"is ([\d.]+) from", frame.says)[1]) == pytest.approx(
            distance, abs=6e-4
        )


def test_the_main_plane_keeps_what_points_in_a_plane_are_to_each_other() -> None:
    rng = torch.Generator().manual_seed(2)
    flat = torch.randn(20, 2, generator=rng, dtype=torch.double)
    turned = flat @ torch.randn(2, 7, generator=rng, dtype=torch.double)
    torch.testing.assert_close(
        torch.cdist(main_plane(turned), main_plane(turned)),
        torch.cdist(turned, turned),
        atol=1e-5,
        rtol=0,
    )


def test_the_main_plane_has_the_mean_at_its_origin(features) -> None:
    torch.testing.assert_close(main_plane(features).mean(0), torch.zeros(2, dtype=torch.double))
