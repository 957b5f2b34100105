"""RandAugment on whole batches, with draws of its own for each image. Chapter 8.

Cubuk et al., "RandAugment", NeurIPS 2020, with timm's fifteen operations and the strengths of its
policy rand-m9-mstd0.5-mmax9-inc1. Libraries draw once for a batch, or work image by image; here
the images of a batch that drew the same operation go through it together.

Each operation: images (N, C, H, W) uint8, strengths (N,) in [0, 1], signs (N,) -> images. All but
those that move pixels do to each pixel what Pillow does. Those interpolate by torch's bicubic
kernel, which is a little sharper than Pillow's; the grey that moves in is timm's own, where timm's
`create_transform` takes the mean colour of the data set.
"""

from collections.abc import Callable
from math import pi

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Config

LAYERS, PROBABILITY = 2, 0.5  # operations drawn for an image; how likely each is carried out
MAGNITUDE, DEVIATION = 9.0, 0.5  # of 10
FILL = 128  # the grey that moves in

Operation = Callable[[Tensor, Tensor, Tensor], Tensor]


def randaugment(images: Tensor, config: Config) -> Tensor:
    """Change each image by up to two operations: (B, C, H, W) uint8 -> the same."""
    count, device = len(images), images.device
    for _ in range(LAYERS):
        drawn = torch.randint(len(OPERATIONS), (count,))
        drawn[torch.rand(count) >= PROBABILITY] = -1
        strength = (MAGNITUDE + DEVIATION * torch.randn(count)).clamp(0, MAGNITUDE) / 10
        sign = 1.0 - 2 * torch.randint(2, (count,))
        result = images.clone()
        for number, change in enumerate(OPERATIONS.values()):
            chosen = (drawn == number).nonzero().flatten()
            if len(chosen):
                rows = chosen.to(device)
                numbers = strength[chosen].to(device), sign[chosen].to(device)
                result[rows] = change(images[rows], *numbers)
        images = result
    return images


# --- operations that look at each pixel ---------------------------------------------------------


def auto_contrast(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Stretch each channel until it reaches from black to white."""
    values = images.flatten(2)
    ends = values.amin(2, keepdim=True), values.amax(2, keepdim=True)
    low, high = (end.cpu().double() for end in ends)  # there are devices without float64
    scale = torch.where(high > low, 255 / (high - low), 1.0)
    offset = torch.where(high > low, -low * scale, 0.0)
    table = (torch.arange(256) * scale + offset).clamp(0, 255).byte()  # (N, C, 256)
    return table.to(images.device).gather(2, values.long()).view_as(images)


def equalize(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Give each brightness of a channel about the same number of pixels."""
    channels = images.flatten(0, 1).flatten(1).long()  # (N C, H W)
    counts = torch.zeros(len(channels), 256, dtype=torch.int64, device=images.device)
    counts.scatter_add_(1, channels, torch.ones_like(channels))
    last = counts.gather(1, channels.amax(1, keepdim=True))
    step = (counts.sum(1, keepdim=True) - last) // 255
    before = counts.cumsum(1) - counts
    table = ((before + step // 2) // step.clamp(min=1)).clamp(0, 255)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device))
    return table.gather(1, channels).byte().view_as(images)


def invert(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Swap black and white."""
    return 255 - images


def posterize(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Keep one to four bits of each colour."""
    lost = 4 + (strength * 4).long()
    return images & each(255 >> lost << lost).byte()


def solarize(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Invert what is brighter than a threshold."""
    threshold = 256 - (strength * 256).long()
    return torch.where(images < each(threshold), images, 255 - images)


def solarize_add(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Make the darker half of the colours brighter."""
    added = (images + each((strength * 110).long())).clamp(max=255).byte()
    return torch.where(images < 128, added, images)


def color(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Move towards grey, or away from it."""
    return blend(grey(images), images, strength, sign)


def contrast(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Move towards the mean grey, or away from it."""
    shades = grey(images)
    total, count = shades.sum((1, 2, 3), keepdim=True), shades[0].numel()
    return blend((2 * total + count) // (2 * count), images, strength, sign)  # the mean, rounded


def brightness(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Move towards black, or away from it."""
    return blend(torch.zeros_like(images), images, strength, sign)


def sharpness(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Move towards a smoothed image, or away from it; the outermost pixels stay."""
    kernel = torch.ones(3, 3, device=images.device)
    kernel[1, 1] = 5
    weight = (kernel / 13).expand(images.shape[1], 1, 3, 3)
    smooth = images.float()
    inner = F.conv2d(smooth, weight, groups=images.shape[1])
    smooth[:, :, 1:-1, 1:-1] = (inner + 0.5).floor()
    return blend(smooth, images, strength, sign)


# --- operations that move pixels ----------------------------------------------------------------


def rotate(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Turn by up to 30 degrees about the middle."""
    angle = -sign * strength * (30 * pi / 180)
    cos, sin = angle.cos(), angle.sin()
    y, x = (length / 2 for length in images.shape[2:])
    shift = x - cos * x - sin * y, y + sin * x - cos * y
    return move(images, [[cos, sin, shift[0]], [-sin, cos, shift[1]]])


def shear_x(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Push lower rows further aside."""
    return move(images, [[1, sign * strength * 0.3, 0], [0, 1, 0]])


def shear_y(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Push columns further right up or down."""
    return move(images, [[1, 0, 0], [sign * strength * 0.3, 1, 0]])


def translate_x(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Shift by up to 45 % of the width."""
    return move(images, [[1, 0, sign * strength * 0.45 * images.shape[3]], [0, 1, 0]])


def translate_y(images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Shift by up to 45 % of the height."""
    return move(images, [[1, 0, 0], [0, 1, sign * strength * 0.45 * images.shape[2]]])


OPERATIONS: dict[str, Operation] = {
    "AutoContrast": auto_contrast,
    "Equalize": equalize,
    "Invert": invert,
    "Rotate": rotate,
    "Posterize": posterize,
    "Solarize": solarize,
    "SolarizeAdd": solarize_add,
    "Color": color,
    "Contrast": contrast,
    "Brightness": brightness,
    "Sharpness": sharpness,
    "ShearX": shear_x,
    "ShearY": shear_y,
    "TranslateX": translate_x,
    "TranslateY": translate_y,
}


# --- what they share ----------------------------------------------------------------------------


def each(values: Tensor) -> Tensor:
    """Return a number for each image in a shape that images can be combined with."""
    return values.view(-1, 1, 1, 1)


def grey(images: Tensor) -> Tensor:
    """Return images without colour, (N, 1, H, W), by Pillow's weights (ITU-R 601)."""
    if images.shape[1] == 1:
        return images
    red, green, blue = images.int().unbind(1)
    return ((red * 19595 + green * 38470 + blue * 7471 + 32768) >> 16).byte()[:, None]


def blend(other: Tensor, images: Tensor, strength: Tensor, sign: Tensor) -> Tensor:
    """Go from another image to this one, or beyond it: by a factor from 0.1 to 1.9."""
    factor = (1 + sign * strength * 0.9).clamp(min=0.1)
    start = other.float()
    return (start + each(factor) * (images - start)).clamp(0, 255).byte()


def move(images: Tensor, rows: list[list[Tensor | float]]) -> Tensor:
    """Fetch each pixel (x, y) from where a 2x3 matrix sends it; grey comes from outside."""
    count, _, height, width = images.shape
    y, x = (torch.arange(n, device=images.device) + 0.5 for n in (height, width))
    to_x, to_y = (
        torch.stack([torch.as_tensor(v, device=images.device).expand(count) for v in row])
        for row in rows
    )
    x_from, y_from = (
        a[:, None, None] * x + b[:, None, None] * y[:, None] + c[:, None, None]
        for a, b, c in (to_x, to_y)
    )
    grid = torch.stack([2 * x_from / width - 1, 2 * y_from / height - 1], dim=3)
    moved = F.grid_sample(images.float(), grid, "bicubic", "border", align_corners=False)
    inside = (grid.abs() <= 1).all(3)[:, None]
    return torch.where(inside, moved.round().clamp(0, 255), FILL).byte()
