"""How training images are changed each time they are seen. Chapter 8.

Two kinds. The batched ones work on whole uint8 batches, on the device, with a draw of its own for
each image. timm's works on one PIL image at a time, in worker processes if asked.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cilkit.config import Config
from cilkit.data.randaugment import randaugment
from cilkit.data.samples import DataSet
from cilkit.errors import InputError


def random_crop(images: Tensor, config: Config) -> Tensor:
    """Shift each image by up to `padding` pixels, black moving in: (B, C, H, W) -> the same."""
    if config.padding == 0:
        return images
    height, width = images.shape[2:]
    padded = torch.nn.functional.pad(images, [config.padding] * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # (B, C, shifts, shifts, H, W)
    top, left = torch.randint(2 * config.padding + 1, (2, len(images))).to(images.device)
    return windows[torch.arange(len(images), device=images.device), :, top, left]


def random_flip(images: Tensor, config: Config) -> Tensor:
    """Mirror each image, left to right, with probability 1/2."""
    flipped = (torch.rand(len(images)) < 0.5).to(images.device)
    return torch.where(flipped[:, None, None, None], images.flip(3), images)


def random_brightness(images: Tensor, config: Config) -> Tensor:
    """Make each image up to 63/255 darker or brighter, as PyCIL and the papers before it do."""
    factor = 1 + (2 * torch.rand(len(images)) - 1) * (63 / 255)
    return (images * factor.to(images.device)[:, None, None, None]).clamp(0, 255).byte()


BATCHED: dict[str, tuple[Callable[[Tensor, Config], Tensor], ...]] = {
    "none": (),
    "crop": (random_crop,),
    "crop-flip": (random_crop, random_flip),
    "paper": (random_crop, random_flip, random_brightness),
    "randaugment": (random_crop, random_flip, randaugment),
}
AUGMENTATIONS = (*BATCHED, "timm")


def check_policy(dataset: DataSet, config: Config) -> None:
    """Refuse a policy that timm does not take."""
    try:
        timm_transform(dataset, config)
    except (AssertionError, ValueError) as error:
        raise InputError(
            f"timm does not take the policy {config.auto_augment!r} ({error}); give one such as "
            f"{Config.auto_augment}, or an empty text"
        ) from error


def timm_transform(dataset: DataSet, config: Config) -> Callable[..., Tensor]:
    """Return timm's training transform; images in memory are small, and get a crop to match.

    A PIL image -> (C, H, W) float, normalised with the statistics of the data set in use. The
    policy's `mmax9` keeps Posterize from asking Pillow for zero bits, which Pillow refuses.
    """
    from timm.data.transforms_factory import create_transform
    from torchvision import transforms

    height, width = dataset.train.store.shape[-2:]
    resized_crop, augment, finish = create_transform(
        input_size=(height, width),
        is_training=True,
        color_jitter=config.color_jitter,
        auto_augment=config.auto_augment or None,
        interpolation="bicubic",
        re_prob=config.random_erasing,
        mean=dataset.mean,
        std=dataset.std,
        separate=True,
    )
    crop = resized_crop
    if isinstance(dataset.train.store, Tensor):
        shift = transforms.RandomCrop((height, width), padding=config.padding)
        crop = transforms.Compose([shift, transforms.RandomHorizontalFlip()])
    return transforms.Compose([crop, augment, finish])
