"""What training images go through: crops, flips, brightness, timm's policies, and the batches."""

import multiprocessing
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.functional import to_pil_image

from cilkit.config import Config
from cilkit.data.loader import Loader, OneByOne
from cilkit.data.samples import DataSet, Samples
from cilkit.data.transforms import (
    AUGMENTATIONS,
    BATCHED,
    random_brightness,
    random_crop,
    random_flip,
    timm_transform,
)
from cilkit.errors import InputError
from cilkit.machine.seeds import seed_all, seed_for

CPU = torch.device("cpu")
Change = Callable[[Tensor, Config], Tensor]


def noise(count: int, channels: int = 3, height: int = 8, width: int = 8) -> Tensor:
    """Images without a black pixel, all different."""
    generator = torch.Generator().manual_seed(0)
    shape = (count, channels, height, width)
    return torch.randint(1, 256, shape, generator=generator).byte()


def shifted(image: Tensor, down: int, right: int) -> Tensor:
    """The window of an image that lies so far down and right, black where there is no image."""
    _, height, width = image.shape
    result = torch.zeros_like(image)
    for y in range(height):
        for x in range(width):
            if 0 <= y + down < height and 0 <= x + right < width:
                result[:, y, x] = image[:, y + down, x + right]
    return result


def shift_of(image: Tensor, original: Tensor, padding: int) -> tuple[int, int] | None:
    """By which shift, if any, `original` became `image`."""
    shifts = range(-padding, padding + 1)
    for shift in ((down, right) for down in shifts for right in shifts):
        if torch.equal(image, shifted(original, *shift)):
            return shift
    return None


# Crops


@pytest.mark.parametrize("padding", [1, 4])
def test_a_batch_of_crops_equals_crops_one_by_one_of_the_same_draws(padding: int) -> None:
    images, config = noise(20), Config(padding=padding)
    torch.manual_seed(5)
    cropped = random_crop(images, config)
    torch.manual_seed(5)
    top, left = torch.randint(2 * padding + 1, (2, 20))
    for i, image in enumerate(images):
        expected = shifted(image, int(top[i]) - padding, int(left[i]) - padding)
        assert torch.equal(cropped[i], expected)


def test_a_crop_only_shifts_pixels_and_lets_black_in() -> None:
    images = noise(30, height=5, width=9)
    cropped = random_crop(images, Config(padding=2))
    shifts = [shift_of(a, b, 2) for a, b in zip(cropped, images, strict=True)]
    assert None not in shifts


def test_each_image_is_cropped_by_a_draw_of_its_own() -> None:
    images = noise(1).repeat(200, 1, 1, 1)
    torch.manual_seed(0)
    shifts = {shift_of(image, images[0], 1) for image in random_crop(images, Config(padding=1))}
    assert shifts == {(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)}


def test_a_crop_without_padding_changes_nothing() -> None:
    assert torch.equal(random_crop(noise(5), Config(padding=0)), noise(5))


# Flips


def test_a_flip_mirrors_an_image_or_leaves_it() -> None:
    images = noise(50)
    for image, original in zip(random_flip(images, Config()), images, strict=True):
        mirrored = torch.from_numpy(original.numpy()[:, :, ::-1].copy())
        assert torch.equal(image, original) or torch.equal(image, mirrored)


def test_each_image_is_flipped_by_a_draw_of_its_own_in_half_of_the_cases() -> None:
    images = noise(1).repeat(4000, 1, 1, 1)
    torch.manual_seed(0)
    flipped = (random_flip(images, Config()) != images).flatten(1).any(1).sum().item()
    assert flipped == pytest.approx(2000, abs=5 * np.sqrt(4000) / 2)  # five standard deviations


# Brightness


def bright(value: int, count: int = 2000) -> Tensor:
    torch.manual_seed(0)
    images = torch.full((count, 1, 2, 2), value, dtype=torch.uint8)
    return random_brightness(images, Config())


def test_brightness_changes_by_63_of_255_at_most() -> None:
    changed = bright(100)
    low, high = 100 * (1 - 63 / 255), 100 * (1 + 63 / 255)
    assert np.floor(low) <= changed.min() and changed.max() <= high


def test_brightness_reaches_both_ends_of_its_range() -> None:
    changed = bright(100)
    low, high = 100 * (1 - 63 / 255), 100 * (1 + 63 / 255)
    assert changed.min() < low + 1 and changed.max() > high - 2


def test_brightness_is_one_factor_for_all_of_an_image() -> None:
    assert all(len(image.unique()) == 1 for image in bright(100, 50))


def test_each_image_has_a_brightness_of_its_own() -> None:
    assert len(bright(200, 50)[:, 0, 0, 0].unique()) > 20


def test_white_never_wraps_around_to_black() -> None:
    assert bright(255).min() >= np.floor(255 - 63)


@pytest.mark.parametrize("augment", BATCHED)
def test_an_augmentation_returns_bytes_of_the_same_shape(augment: str) -> None:
    images = noise(6)
    for change in BATCHED[augment]:
        images = change(images, Config())
    assert (images.shape, images.dtype) == (noise(6).shape, torch.uint8)


@pytest.mark.parametrize("change", [random_crop, random_flip, random_brightness])
def test_an_augmentation_leaves_its_input_alone(change: Change) -> None:
    images = noise(20)
    change(images, Config())
    assert torch.equal(images, noise(20))


# timm's transform


PLAIN = Config(augment="timm", auto_augment="", padding=0)


def mirror_symmetric(image: Tensor) -> Tensor:
    """An image that no flip changes."""
    half = image[:, :, : image.shape[2] // 2]
    return torch.cat([half, half.flip(2)], dim=2)


def once_normalised(image: Tensor, dataset: DataSet) -> NDArray[np.float64]:
    """What the statistics of the data set make of an image, in float64."""
    mean, std = (np.array(values)[:, None, None] for values in (dataset.mean, dataset.std))
    return (image.numpy() / 255 - mean) / std


def test_timm_normalises_with_the_statistics_of_the_data_set_in_use(
    tiny_dataset: DataSet,
) -> None:
    """The tutorial normalised CIFAR with the statistics of ImageNet."""
    dataset = replace(tiny_dataset, mean=(0.1, 0.5, 0.8), std=(0.2, 0.7, 1.9))
    image = mirror_symmetric(noise(1)[0])
    found = timm_transform(dataset, PLAIN)(to_pil_image(image))
    np.testing.assert_allclose(found.numpy(), once_normalised(image, dataset), atol=1e-5)


def erased(tiny_dataset: DataSet) -> tuple[Tensor, NDArray[np.float64]]:
    """An image of which timm erased a part, and what it was like, normalised once."""
    seed_all(0)
    image = mirror_symmetric(noise(1, height=32, width=32)[0])
    wide = replace(tiny_dataset, train=Samples.of(image[None], torch.zeros(1)))
    transform = timm_transform(wide, replace(PLAIN, random_erasing=1.0))
    return transform(to_pil_image(image)), once_normalised(image, wide)


def test_random_erasing_is_kept(tiny_dataset: DataSet) -> None:
    found, _ = erased(tiny_dataset)
    share = (found == 0).all(0).double().mean().item()
    assert 0.02 * 0.5 < share < 1 / 3 * 1.5  # timm erases between 2 % and a third


def test_what_random_erasing_leaves_is_normalised_once(tiny_dataset: DataSet) -> None:
    """In the tutorial a second normalisation took the place of random erasing."""
    found, expected = erased(tiny_dataset)
    kept = (found != 0).any(0).numpy()
    np.testing.assert_allclose(found.numpy()[:, kept], expected[:, kept], atol=1e-5)


def test_color_jitter_changes_colours_where_no_policy_takes_its_place(
    tiny_dataset: DataSet,
) -> None:
    """In the tutorial it had no effect."""
    seed_all(0)
    image = mirror_symmetric(noise(1)[0])
    jittered = timm_transform(tiny_dataset, replace(PLAIN, color_jitter=0.4))(to_pil_image(image))
    plain = timm_transform(tiny_dataset, PLAIN)(to_pil_image(image))
    assert (jittered - plain).abs().max() > 0.05


def test_the_default_policy_bears_three_thousand_images(tiny_dataset: DataSet) -> None:
    """Without its `mmax9`, Posterize asks Pillow for 0 bits sooner or later, and Pillow refuses."""
    transform = timm_transform(tiny_dataset, Config(augment="timm"))
    images = OneByOne(tiny_dataset.train, transform)
    sizes = {images[(i % len(tiny_dataset.train), i)].shape for i in range(3000)}
    assert sizes == {(3, 8, 8)}


def test_the_default_policy_takes_grey_images_too() -> None:
    samples = Samples.of(noise(50, channels=1), torch.zeros(50))
    dataset = DataSet("grey", samples, samples, ("a",), (0.5,), (0.2,))
    images = OneByOne(samples, timm_transform(dataset, Config(augment="timm")))
    assert {images[(i, 0)].shape for i in range(50)} == {(1, 8, 8)}


def one_by_one(dataset: DataSet) -> OneByOne:
    return OneByOne(dataset.train, timm_transform(dataset, Config(augment="timm")))


def test_timm_draws_the_same_for_one_epoch_and_position(tiny_dataset: DataSet) -> None:
    images = one_by_one(tiny_dataset)
    first = [images[(i, 7)] for i in range(30)]
    seed_all(99)  # whatever was drawn in between
    assert all(torch.equal(images[(i, 7)], first[i]) for i in reversed(range(30)))


def test_timm_draws_anew_in_another_epoch(tiny_dataset: DataSet) -> None:
    images = one_by_one(tiny_dataset)
    same = [torch.equal(images[(i, 7)], images[(i, 8)]) for i in range(30)]
    assert sum(same) < 15


def test_timm_draws_anew_for_another_position() -> None:
    samples = Samples.of(noise(1).repeat(30, 1, 1, 1), torch.zeros(30))
    images = one_by_one(DataSet("same", samples, samples, ("a",), (0.5,) * 3, (0.2,) * 3))
    different = {images[(i, 7)].numpy().tobytes() for i in range(30)}
    assert len(different) > 15


# Seeds


def test_seeds_of_different_places_differ() -> None:
    """Of a run, a stage, an epoch, a process; NumPy's SeedSequence ignores zeros at the end."""
    places = [(3,), (3, 0), (3, 0, 0), (3, 0, 0, 0), (3, 1), (3, 1, 0), (3, 1, 0, 0)]
    assert len({seed_for(*place) for place in places}) == len(places)


# The batches


COUNT = 50


def numbered() -> Samples:
    """50 images whose first pixel is their number, and whose label is the number's last digit."""
    images = torch.zeros(COUNT, 3, 8, 8, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.arange(COUNT)
    return Samples.of(images, torch.arange(COUNT) % 10)


def batches_of(
    dataset: DataSet, stage: int = 0, epoch: int = 0, **settings: int
) -> list[tuple[Tensor, Tensor, float]]:
    # The settings are a parameter, of more than one type.
    config = Config(augment="none", **({"batch_size": 16} | settings))  # type: ignore[arg-type]
    return list(Loader(numbered(), dataset, config, CPU).epoch(stage, epoch))


def order_of(dataset: DataSet, stage: int = 0, epoch: int = 0, **settings: int) -> list[int]:
    batches = batches_of(dataset, stage, epoch, **settings)
    return torch.cat([images[:, 0, 0, 0] for images, _, _ in batches]).tolist()


def test_an_epoch_shows_every_sample_once(tiny_dataset: DataSet) -> None:
    assert sorted(order_of(tiny_dataset)) == list(range(COUNT))


def test_an_epoch_shows_each_image_with_its_label(tiny_dataset: DataSet) -> None:
    for images, labels, _ in batches_of(tiny_dataset):
        assert torch.equal(images[:, 0, 0, 0] % 10, labels)


def test_another_epoch_has_another_order(tiny_dataset: DataSet) -> None:
    assert order_of(tiny_dataset, epoch=0) != order_of(tiny_dataset, epoch=1)


def test_another_stage_has_another_order(tiny_dataset: DataSet) -> None:
    assert order_of(tiny_dataset, stage=0) != order_of(tiny_dataset, stage=1)


def test_another_seed_has_another_order(tiny_dataset: DataSet) -> None:
    assert order_of(tiny_dataset, seed=0) != order_of(tiny_dataset, seed=1)


def test_the_same_seed_stage_and_epoch_have_the_same_order(tiny_dataset: DataSet) -> None:
    torch.manual_seed(1)
    first = order_of(tiny_dataset, 2, 3, seed=4)
    torch.manual_seed(2)
    assert order_of(tiny_dataset, 2, 3, seed=4) == first


@pytest.mark.parametrize("batch_size", [1, 7, 16, 49, 50, 128])
def test_batches_are_of_nearly_one_size_and_not_larger_than_asked(
    tiny_dataset: DataSet, batch_size: int
) -> None:
    sizes = [len(labels) for _, labels, _ in batches_of(tiny_dataset, batch_size=batch_size)]
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("batch_size", [1, 7, 16, 49, 50, 128])
def test_there_are_as_few_batches_as_the_batch_size_allows(
    tiny_dataset: DataSet, batch_size: int
) -> None:
    assert len(batches_of(tiny_dataset, batch_size=batch_size)) == ceil(COUNT / batch_size)


def test_one_process_has_the_whole_of_each_batch(tiny_dataset: DataSet) -> None:
    assert {share for _, _, share in batches_of(tiny_dataset)} == {1.0}


@pytest.mark.parametrize("augment", ["crop", "paper", "timm"])
def test_an_epoch_can_be_augmented_again_as_it_was(tiny_dataset: DataSet, augment: str) -> None:
    config = Config(augment=augment, batch_size=32)
    loader = Loader(tiny_dataset.train, tiny_dataset, config, CPU)
    first = torch.cat([images for images, _, _ in loader.epoch(1, 2)])
    seed_all(99)
    assert torch.equal(torch.cat([images for images, _, _ in loader.epoch(1, 2)]), first)


@pytest.mark.parametrize("start", [1, 3])
@pytest.mark.parametrize("augment", ["none", "paper", "timm"])
def test_an_interrupted_epoch_goes_on_with_the_batches_that_are_left(
    tiny_dataset: DataSet, augment: str, start: int
) -> None:
    config = Config(augment=augment, batch_size=32)
    loader = Loader(tiny_dataset.train, tiny_dataset, config, CPU)
    whole = [images for images, _, _ in loader.epoch(1, 2)]
    seed_all(99)
    rest = [images for images, _, _ in loader.epoch(1, 2, start)]
    assert len(rest) == len(whole) - start
    assert torch.equal(torch.cat(rest), torch.cat(whole[start:]))


def test_what_a_step_draws_is_not_what_its_images_were_changed_by(tiny_dataset: DataSet) -> None:
    """Dropout must not follow the crops: the two streams have seeds of their own."""
    config = Config(augment="none", batch_size=32)
    source = Loader(tiny_dataset.train, tiny_dataset, config, CPU).images
    next(source([torch.arange(4)], seed_for(config.seed, 0, 0), 0))
    of_the_images = torch.rand(4)
    next(Loader(tiny_dataset.train, tiny_dataset, config, CPU).epoch(0, 0))
    assert not torch.equal(torch.rand(4), of_the_images)


def test_a_stage_without_images_is_refused(tiny_dataset: DataSet) -> None:
    nothing = tiny_dataset.train.take(torch.arange(0))
    with pytest.raises(InputError, match="the stage has 0 images"):
        Loader(nothing, tiny_dataset, Config(augment="none"), CPU)


@pytest.mark.parametrize("augment", ["crop", "paper", "timm"])
def test_the_images_in_the_store_stay_as_they_are(tiny_dataset: DataSet, augment: str) -> None:
    before = tiny_dataset.train.store.clone()
    config = Config(augment=augment, batch_size=32)
    list(Loader(tiny_dataset.train, tiny_dataset, config, CPU).epoch(0, 0))
    assert torch.equal(tiny_dataset.train.store, before)


@pytest.mark.parametrize("augment", AUGMENTATIONS)
def test_every_batch_holds_pixels_that_the_model_normalises_once(
    tiny_dataset: DataSet, augment: str
) -> None:
    """Black and white stay black and white, up to rounding, whatever the way to the batch."""
    pixels = noise(24) // 128 * 255
    samples = Samples.of(pixels, torch.zeros(24))
    dataset = replace(tiny_dataset, train=samples, mean=(0.1, 0.5, 0.8), std=(0.2, 0.7, 1.9))
    config = Config(augment=augment, auto_augment="", padding=0, batch_size=24)
    [(images, _, _)] = Loader(samples, dataset, config, CPU).epoch(0, 0)
    of_one = images if images.is_floating_point() else images / 255
    assert of_one.min() >= -1e-6 and of_one.max() <= 1 + 1e-6
    assert of_one.min() < 0.3 and of_one.max() > 0.7


@dataclass
class Epochs:
    """Two epochs of timm's images: what came, what a training step drew, and who was at work."""

    images: list[Tensor]
    draws: list[Tensor]
    workers: list[set[int | None]]


def two_epochs(dataset: DataSet, workers: int) -> Epochs:
    config = Config(augment="timm", random_erasing=0.5, batch_size=48, workers=workers)
    loader = Loader(dataset.train, dataset, config, CPU)
    seen, others = Epochs([], [], []), set(multiprocessing.active_children())
    for epoch in (0, 1):
        for images, _, _ in loader.epoch(0, epoch):
            seen.images.append(images)
            seen.draws.append(torch.rand(3))
        mine = set(multiprocessing.active_children()) - others
        seen.workers.append({process.pid for process in mine})
    return seen


@pytest.fixture(scope="module")
def alone(tiny_dataset: DataSet) -> Epochs:
    return two_epochs(tiny_dataset, workers=0)


@pytest.fixture(scope="module")
def with_workers(tiny_dataset: DataSet) -> Epochs:
    return two_epochs(tiny_dataset, workers=2)


few_cpus = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@few_cpus
def test_workers_make_the_same_images_as_the_process_alone(
    alone: Epochs, with_workers: Epochs
) -> None:
    assert torch.equal(torch.cat(alone.images), torch.cat(with_workers.images))


@few_cpus
def test_workers_do_not_change_what_a_training_step_draws(
    alone: Epochs, with_workers: Epochs
) -> None:
    """Dropout and stochastic depth draw in the process that trains; `workers` is no science."""
    assert torch.equal(torch.stack(alone.draws), torch.stack(with_workers.draws))


@few_cpus
def test_workers_live_from_one_epoch_to_the_next(with_workers: Epochs) -> None:
    """The tutorial started its workers anew in each epoch."""
    first, second = with_workers.workers
    assert len(first) == 2 and first == second
