"""Networks for small images.

He et al., "Deep residual learning", CVPR 2016, section 4.2: three groups of n blocks with 16, 32
and 64 channels, depth 6n + 2, shortcuts without parameters ("option A").
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Block(nn.Module):
    """Two 3x3 convolutions beside a shortcut; `stride` 2 halves the image, channels may grow."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.stride, self.new_channels, self.last_relu = stride, outputs - inputs, True

    def forward(self, images: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H / stride, W / stride)."""
        shortcut = images[:, :, :: self.stride, :: self.stride]
        if self.new_channels:  # new channels start as zeros
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.new_channels))
        hidden = F.relu(self.norm1(self.conv1(images)))
        total = self.norm2(self.conv2(hidden)) + shortcut
        return F.relu(total) if self.last_relu else total


class ResNet(nn.Module):
    """A residual network for small images; its features are not negative, but for `last_relu`."""

    def __init__(
        self,
        depth: int,
        channels: int = 3,
        stride: int = 1,
        last_relu: bool = True,
        shows_maps: bool = False,
    ) -> None:
        """Build a network of `depth` = 6n + 2 layers for images of `channels` colours.

        `stride` 2 halves the image at once, for a quarter of the work. Without `last_relu` features
        may be negative, as a cosine wants them; with `shows_maps`, `maps` holds what the three
        groups made of the last batch.
        """
        super().__init__()
        n = (depth - 2) // 6
        self.conv = nn.Conv2d(channels, 16, 3, stride, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(16)
        widths = [16] * n + [32] * n + [64] * n
        pairs = zip([16, *widths], widths, strict=False)
        blocks = [Block(a, b, stride=b // a) for a, b in pairs]
        blocks[-1].last_relu = last_relu
        self.blocks = nn.Sequential(*blocks)
        self.shows_maps = shows_maps
        self.maps: tuple[Tensor, ...] = ()
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, images: Tensor) -> Tensor:
        """(B, channels, H, W) -> features (B, 64)."""
        maps: Tensor = F.relu(self.norm(self.conv(images)))
        if not self.shows_maps:
            maps = self.blocks(maps)
            return maps.mean((2, 3))
        groups, of_a_group = [], len(self.blocks) // 3
        for start in range(0, len(self.blocks), of_a_group):
            maps = self.blocks[start : start + of_a_group](maps)
            groups.append(maps)
        self.maps = tuple(groups)
        return maps.mean((2, 3))


class MLP(nn.Module):
    """Two hidden layers and no convolution: the network that the laboratory trains in a page."""

    def __init__(self, channels: int = 1, last_relu: bool = True, shows_maps: bool = False) -> None:
        """Build 64 pixels -> 128 -> 64 features, for images of `channels` colours.

        `last_relu` and `shows_maps` are those of `ResNet`; the two layers' maps have one pixel.
        """
        super().__init__()
        self.hidden = nn.Linear(64 * channels, 128)
        self.last = nn.Linear(128, 64)
        self.last_relu, self.shows_maps = last_relu, shows_maps
        self.maps: tuple[Tensor, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        """(B, channels, H, W) -> features (B, 64); images are made 8x8 by averaging."""
        pixels = F.adaptive_avg_pool2d(images, 8).flatten(1)  # images of 8x8 stay as they are
        hidden = F.relu(self.hidden(pixels))
        features = self.last(hidden)
        features = F.relu(features) if self.last_relu else features
        if self.shows_maps:
            self.maps = (hidden[:, :, None, None], features[:, :, None, None])
        return features


class Identity(nn.Module):
    """No network: the data set holds features already, as `cilkit features` writes them."""

    def __init__(self, channels: int = 1) -> None:
        super().__init__()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, 1, D) -> features (B, D)."""
        return images.flatten(1)
