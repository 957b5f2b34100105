"""A trained model for other programs: as torch.export writes it, or as ONNX."""

import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor, nn

from cilkit.config import as_path
from cilkit.errors import InputError, unknown
from cilkit.learner import Learner
from cilkit.runs.outputs import check_new, leave
from cilkit.trained.answering import Trained, load

NAMES = "class_names"  # what the list of classes is called in the files
FAR = 1e-3  # of scores: an exported model that is further from torch's is not left there
ONNX = ("onnx", "onnxscript", "onnxruntime")  # the packages it takes
Answering = Callable[[Tensor], Tensor]


class Scores(nn.Module):
    """A method's rule as one module: pixels (B, C, H, W) uint8 -> scores (B, n)."""

    def __init__(self, learner: Learner) -> None:
        """Take the model; tensors that the method owns become constants."""
        super().__init__()
        self.model, self.learner = learner.model, learner

    def forward(self, images: Tensor) -> Tensor:
        """Normalise, look, and apply the rule."""
        return self.learner.scores(self.model.see(images))


def export(run: Path | str, file: Path | str) -> None:
    """Write the model of a finished run to a file that ends in .pt2 or .onnx.

    It takes any number of images, (B, C, H, W) uint8, normalises them itself, and returns scores,
    logits usually, in float32; the names of the classes are in the file. It is compared with torch
    before it is left there. Raises `InputError` for what cannot be exported, or a file that exists.
    """
    file = as_path(file)
    if file.suffix not in WRITERS:
        raise unknown("ending", file.suffix, WRITERS)
    check_new(file)
    trained = load(run, "cpu")
    model = trained.learner.model
    model.arithmetic = model.arithmetic._replace(precision="float32")
    try:
        with warnings.catch_warnings(action="ignore"), torch.no_grad():  # of its own future
            content, written = WRITERS[file.suffix](trained)
    except RuntimeError as error:
        reason = next(filter(None, str(error).splitlines()), "")
        raise InputError(f"torch cannot export this model and its rule: {reason}") from error
    check_same(trained, written)
    leave(file, content)


def as_pt2(trained: Trained) -> tuple[bytes, Answering]:
    """Return what `torch.export.load` reads, and the function that it is."""
    network, batch = Scores(trained.learner).eval(), {0: torch.export.Dim("images")}
    program = torch.export.export(network, (some_images(trained),), dynamic_shapes=(batch,))
    file = BytesIO()
    torch.export.save(program, file, extra_files={NAMES: json.dumps(trained.class_names)})
    return file.getvalue(), torch.export.load(BytesIO(file.getvalue())).module()


def as_onnx(trained: Trained) -> tuple[bytes, Answering]:
    """Return what any ONNX runtime reads, and the function that it is."""
    if missing := [name for name in ONNX if not find_spec(name)]:
        raise InputError(f"{missing[0]} is not installed; try: pip install {' '.join(ONNX)}")
    import onnxruntime

    program = torch.onnx.export(
        Scores(trained.learner).eval(),
        (some_images(trained),),
        dynamo=True,
        dynamic_shapes=({0: torch.export.Dim("images")},),
        input_names=["images"],
        output_names=["scores"],
        verbose=False,
    )
    assert program is not None
    program.model.metadata_props[NAMES] = json.dumps(trained.class_names)
    content = program.model_proto.SerializeToString()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return content, lambda images: torch.from_numpy(
        session.run(["scores"], {"images": images.numpy()})[0]
    )


WRITERS: dict[str, Callable[[Trained], tuple[bytes, Answering]]] = {
    ".pt2": as_pt2,
    ".onnx": as_onnx,
}


def some_images(trained: Trained, count: int = 3) -> Tensor:
    """Return images of noise, the same ones each time."""
    chance = torch.Generator().manual_seed(count)
    return torch.randint(256, (count, *trained.shape), dtype=torch.uint8, generator=chance)


@torch.no_grad()
def check_same(trained: Trained, written: Answering) -> None:
    """Refuse what answers otherwise than torch, for one image or for several."""
    for count in (1, 3, 30):
        images = some_images(trained, count)
        expected = trained.scores(images)
        far = float((written(images) - expected).abs().max() / expected.abs().max())
        if not far < FAR:
            raise InputError(
                f"what was exported answers otherwise than torch, by {far:.2g} of the highest "
                f"score; it was not kept"
            )
