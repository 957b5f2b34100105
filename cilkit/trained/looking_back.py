"""What a run would have said of an image after each of its stages."""

from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cilkit.config import as_path
from cilkit.errors import InputError, unknown
from cilkit.inference import has_own_rule
from cilkit.machine.lock import check_writable, make_writable
from cilkit.runs.outputs import DRAWN, check_new
from cilkit.trained.answering import load, pixels_in_chunks
from cilkit.trained.finished import stages_kept


class LookingBack(NamedTuple):
    """What the models of a run's stages say of one image."""

    shares: dict[int, list[float]]  # by stage, from 1: of each class that it knows, in this order
    class_names: tuple[str, ...]  # in order of arrival
    pixels: Tensor  # (C, H, W) uint8, as the models see it
    are_probabilities: bool  # not where the method has a rule of its own


def look_back(run: Path | str, image: Any, device: str = "auto") -> LookingBack:
    """Return what the model of each stage that a run has kept says of an image.

    The image is a path, one of Pillow's, or an array, as for `Trained.predict`. Raises `InputError`
    if no stage was kept (`keep_stages`), or for several images.
    """
    models = {stage: load(run, device, stage) for stage in stages_kept(run)}
    last = models[max(models)]
    pixels = torch.cat([*pixels_in_chunks(image, last.shape, last.learner.config)])
    if len(pixels) != 1:
        raise InputError(f"{len(pixels)} images are given; name the one to look back at")
    shares = {stage: one.scores(pixels).softmax(1)[0].tolist() for stage, one in models.items()}
    return LookingBack(shares, last.class_names, pixels[0], not has_own_rule(last.learner))


def draw_by_stage(run: Path | str, image: Any, file: Path | str, device: str = "auto") -> None:
    """Draw what `look_back` returns, as a file in .png, which must not exist."""
    from cilkit.show.figures import answers_by_stage  # matplotlib takes half a second
    from cilkit.show.save import DPI

    file = as_path(file)
    if file.suffix != ".png":
        raise unknown("ending", file.suffix, [".png"])
    check_writable(file.parent)
    check_new(file)
    figure = answers_by_stage(*look_back(run, image, device))
    make_writable(file.parent)
    figure.savefig(file, dpi=DPI, metadata=DRAWN)
