"""A trained model by itself: images in, the names of classes out."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from cilkit.config import Config, as_path
from cilkit.data.arrays import numbers_of, pixels_of
from cilkit.data.images import open_image, opened_already, square
from cilkit.errors import InputError
from cilkit.experiment import build_model, take_up
from cilkit.inference import CHUNK, in_halves
from cilkit.learner import Learner
from cilkit.machine.arithmetic import can_compute
from cilkit.machine.devices import find_device
from cilkit.methods import METHODS
from cilkit.trained.finished import after_stage, finished

FILE, PICTURE = (str, PathLike), (str, PathLike, Image.Image)


class Answer(NamedTuple):
    """A class, and how sure the model is of it."""

    name: str
    probability: float


@dataclass(frozen=True, eq=False)
class Trained:
    """What a run has learnt; `load` returns it."""

    learner: Learner
    class_names: tuple[str, ...]  # in order of arrival: those that it knows
    shape: tuple[int, ...]  # of an image: colours, height, width

    def predict(
        self, images: Any, top: int | None = None, *, scale: Sequence[float] | None = None
    ) -> list[list[Answer]]:
        """Return, for each image, the `top` classes with their probabilities, the best one first.

        Images are paths, Pillow's images, or arrays: one of them or a list. They are cut and
        resized as in training; arrays must have the right size, and what `DataSet.of` wants of
        pixels, `scale` included. Where a method has a rule of its
        own (see `Learner.scores`), its shares add up to 1 and are no probabilities. Raises
        `InputError`, and for a file `BadImage` or `Unreadable`, which are kinds of `OSError`.
        """
        chunks = pixels_in_chunks(images, self.shape, self.learner.config, scale)
        return [answer for pixels in chunks for answer in self.answers(pixels, top)]

    def answers(self, pixels: Tensor, top: int | None = None) -> list[list[Answer]]:
        """(B, C, H, W) uint8 -> the best classes for each image."""
        shares, order = self.scores(pixels).softmax(1).sort(descending=True, stable=True)
        rows = zip(shares[:, :top].tolist(), order[:, :top].tolist(), strict=True)
        return [
            [Answer(self.class_names[c], share) for share, c in zip(*row, strict=True)]
            for row in rows
        ]

    @torch.no_grad()
    def scores(self, pixels: Tensor) -> Tensor:
        """(B, C, H, W) uint8 -> what the method's rule makes of them, (B, n): logits, usually.

        The class of the highest is the answer. Given the same batches as a test in training (256
        images at a time), they are the same to the last bit.
        """
        learner, model = self.learner, self.learner.model.eval()
        return in_halves(lambda part: learner.scores(model.see(part)), pixels, model.device).cpu()


def load(out: Path | str, device: str = "auto", stage: int | None = None) -> Trained:
    """Return the model of a finished run, from the run's folder alone: no data set is needed.

    The device is auto, cpu, cuda, cuda:N, mps or xpu; what was trained in fp16 answers in float32
    where there is none. With `stage`, counted from 1, it is the model after that stage, which a run
    with `keep_stages` has kept. Raises `InputError` if there is no such run, or stage.
    """
    run = finished(out) if stage is None else after_stage(out, stage)
    scenario, config = run.scenario(), replace(run.config, device=device, compile=False)
    if not can_compute(find_device(device), config.precision):
        config = replace(config, precision="float32")
    model = build_model(config, scenario).to(find_device(device))
    learner = METHODS[config.method](model, config)
    take_up(learner, scenario, run.checkpoint)
    known = scenario.stages[learner.progress.stages_done - 1].n_seen
    return Trained(learner, scenario.class_names[:known], tuple(run.images["shape"]))


def pixels_in_chunks(
    images: Any, shape: Sequence[int], config: Config, scale: Sequence[float] | None = None
) -> Iterator[Tensor]:
    """Yield images of any kind as a model of this shape sees them, (B, C, H, W) uint8."""
    some = [images] if isinstance(images, PICTURE) else images
    if isinstance(some, list | tuple) and some and all(isinstance(one, PICTURE) for one in some):
        for start in range(0, len(some), CHUNK):
            yield torch.stack([cut(one, shape, config) for one in some[start : start + CHUNK]])
    else:
        yield from pixels_of_arrays(images, tuple(shape), scale).split(CHUNK)


def cut(image: str | PathLike[str] | Image.Image, shape: Sequence[int], config: Config) -> Tensor:
    """Return the middle of a file, or of an image of Pillow's, (C, H, W) uint8."""
    channels, height, width = shape
    if config.backbone == "identity":
        raise InputError(
            f"this run has learnt from features, which `cilkit features` wrote to "
            f"{str(config.data_path)!r}, and sees no images; ask it in Python, with rows of that "
            f"file: load(RUN).predict(rows)"
        )
    if height != width:
        raise InputError(
            f"this model looks at images of {height} × {width} pixels, and files are made square; "
            f"give arrays"
        )
    if isinstance(image, FILE):
        picture = open_image(
            str(as_path(os.fspath(image))), at_least=round(height / config.crop_pct)
        )
    else:
        picture = opened_already(image)
    if channels == 1:
        picture = picture.convert("L").convert("RGB")
    return square(picture, height, config.crop_pct)[:channels]


def pixels_of_arrays(
    images: Any, shape: tuple[int, ...], scale: Sequence[float] | None = None
) -> Tensor:
    """Return an array of one image or of many as (N, C, H, W) uint8."""
    array = numbers_of(images, "images")
    if array.ndim == 2 or array.shape in (shape, (*shape[1:], shape[0])):
        array = array[None]
    [pixels] = pixels_of(scale, images=array)
    if tuple(pixels.shape[1:]) != shape:
        there, here = (" × ".join(map(str, each)) for each in (pixels.shape[1:], shape))
        raise InputError(
            f"images are {there} (colours, height, width), and this model looks at {here}; images "
            f"of Pillow's are resized: PIL.Image.fromarray"
        )
    return pixels
