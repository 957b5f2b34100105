"""Real images inside a figure: small enough to be written into the page."""

import base64
import io
from typing import Any

from PIL import Image
from torch import Tensor


def thumbnail(image: Tensor, x: float, y: float, size: float) -> str:
    """Draw an image, (1 or 3, H, W) uint8, as a square of `size` pixels of the figure."""
    return drawn(address(image, "png"), x, y, size, size)


def address(image: Tensor, kind: str, **how: Any) -> str:
    """Return an image, (1 or 3, H, W) uint8, as an address that holds its file, saved so."""
    file = io.BytesIO()
    Image.fromarray(image.permute(1, 2, 0).squeeze(2).numpy()).save(file, kind, **how)
    return f"data:image/{kind};base64,{base64.b64encode(file.getvalue()).decode()}"


def drawn(address: str, x: float, y: float, width: float, height: float) -> str:
    """Draw the image that an address holds."""
    return (
        f'<image x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" '
        f'preserveAspectRatio="none" style="image-rendering:pixelated" href="{address}"/>'
    )
