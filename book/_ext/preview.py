"""The picture that stands for a page where it is shared: its title, its first plot or words."""

import textwrap
from pathlib import Path

import matplotlib
from PIL import Image, ImageDraw, ImageFont, ImageOps

SIZE = (1200, 630)  # what Facebook, LinkedIn and the rest ask for
MARGIN = 60
BLUE, ORANGE, INK = "#0072B2", "#D55E00", "#222222"
FONTS = Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def draw_preview(site: str, title: str, shows: Path | str, target: Path) -> None:
    """Draw a page's picture, with a plot or a few words; the same input gives the same bytes."""
    card = Image.new("RGB", SIZE, "white")
    pen = ImageDraw.Draw(card)
    pen.rectangle((0, 0, SIZE[0], 14), BLUE)
    pen.rectangle((SIZE[0] * 4 // 5, 0, SIZE[0], 14), ORANGE)
    pen.text((MARGIN, 44), site, BLUE, font("DejaVuSans", 28))
    pen.text((MARGIN, 88), title, INK, fitting(title, 60))
    if isinstance(shows, Path):
        paste_plot(card, shows)
    else:
        lines = "\n".join(textwrap.wrap(shows, 48))
        pen.multiline_text((MARGIN, 220), lines, INK, font("DejaVuSans", 38), spacing=20)
    target.parent.mkdir(exist_ok=True)
    card.quantize(128, dither=Image.Dither.NONE).save(target, optimize=True)


def paste_plot(card: Image.Image, plot: Path) -> None:
    """Put a plot under the title, as large as there is room."""
    room = (SIZE[0] - 2 * MARGIN, SIZE[1] - 200)
    with Image.open(plot) as image:
        picture = ImageOps.contain(on_white(image), room, Image.Resampling.LANCZOS)
    card.paste(picture, ((SIZE[0] - picture.width) // 2, 180 + (room[1] - picture.height) // 2))


def font(name: str, size: int) -> ImageFont.FreeTypeFont:
    """Return one of the fonts that matplotlib brings."""
    return ImageFont.truetype(FONTS / f"{name}.ttf", size)


def fitting(title: str, size: int) -> ImageFont.FreeTypeFont:
    """Return the largest font, up to `size`, in which a title fits on a line."""
    while font("DejaVuSans-Bold", size).getlength(title) > SIZE[0] - 2 * MARGIN:
        size -= 2
    return font("DejaVuSans-Bold", size)


def on_white(image: Image.Image) -> Image.Image:
    """Return a plot on paper: what is transparent in it is white."""
    layer = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
