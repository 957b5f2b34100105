"""Real images inside a figure: small enough to be written into the page."""

import base64
import io

from PIL import Image
from torch import Tensor


def thumbnail(image: Tensor, x: float, y: float, size: float) -> str:
    """Draw an image, (1 or 3, H, W) uint8, as a square of `size` pixels of the figure."""
    pixels = image.permute(1, 2, 0).squeeze(2).numpy()
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="png")
    data = base64.b64encode(file.getvalue()).decode()
    return (
        f'<image x="{x:g}" y="{y:g}" width="{size:g}" height="{size:g}" '
        f'style="image-rendering:pixelated" href="data:image/png;base64,{data}"/>'
    )
