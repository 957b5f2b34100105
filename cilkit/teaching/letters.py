"""Letters written out as image files, which play somebody's own images in the how-to pages."""

from pathlib import Path

import torch
from PIL import Image

from cilkit.data.sources.glyphs import SEED, TRAINED, has, jittered, mask
from cilkit.machine.seeds import seed_for


def letter_files(folder: Path | str, letters: str, each: int = 50) -> None:
    """Draw grey images of 32x32, `folder`/LETTER/NUMBER.png; the same ones every time."""
    for letter in letters:
        generator = torch.Generator().manual_seed(seed_for(SEED, ord(letter)))
        masks = torch.stack([mask(font, letter) for font in TRAINED if has(font, letter)])
        chosen = torch.randint(len(masks), (each,), generator=generator)
        ink = jittered(masks[chosen], generator)[:, 0]
        place = Path(folder, letter)
        place.mkdir(parents=True, exist_ok=True)
        for number, pixels in enumerate((255 * (1 - ink)).round().byte().numpy()):
            Image.fromarray(pixels).save(place / f"{number}.png")
