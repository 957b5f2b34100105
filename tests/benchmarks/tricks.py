"""How far WA gets at the short protocol's cost: tricks of small networks, each alone, and settings.

    PYTHONPATH=tests python -m benchmarks.tricks --data-path DIR --out runs/tricks --stages 3

All are compared on a tenth of the training images that nobody trains on (--validation 0.1), and
start from the tuned preset; README.md has the log. The network sees as many images as without the
change, 820,000 where none are held out, or a line says otherwise. `recipe` explains the options.
"""

from collections.abc import Sequence
from dataclasses import replace
from io import BytesIO
from math import sqrt
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor, to_pil_image

from benchmarks.recipe import Study, main
from cilkit import PRESETS
from cilkit.config import Config
from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.learner import Phase
from cilkit.memory import positions_by_class
from cilkit.methods import METHODS
from cilkit.methods.replay_kd import ReplayKD
from cilkit.methods.wa import WA
from cilkit.model import CilModel, Seen
from cilkit.plan import Plan
from cilkit.progress import Progress


class Mirrored(WA):
    """A test looks at each image and at its mirror image: twice the cost of a test."""

    def scores(self, seen: Seen) -> Tensor:
        """Return the mean of both logits."""
        return (seen.logits + self.model(seen.images.flip(3))) / 2


class Averaged(WA):
    """The weights that a stage ends with are a running mean of those of its steps."""

    decay: ClassVar[float] = 0.99

    def stepped(self) -> None:
        """Move the mean a hundredth towards the weights."""
        super().stepped()
        for name, value in self.model.state_dict().items():
            mean = self.own.setdefault(f"mean {name}", value.clone())
            if mean.shape != value.shape:  # a new stage's head
                self.own[f"mean {name}"] = value.clone()
            elif value.is_floating_point():
                mean.lerp_(value, 1 - self.decay)

    def end(self, stage: Stage) -> dict[str, float]:
        """Take the mean; then align, choose exemplars, and so on."""
        if self.own:  # a shared first stage comes without
            means = {name: self.own[f"mean {name}"] for name in self.model.state_dict()}
            self.model.load_state_dict(means)
            self.own = {}
        return super().end(stage)


class Balanced(WA):
    """The last two epochs see as many images of each new class as of an old one (EEIL)."""

    def phases(self, stage: Stage) -> Sequence[Phase]:
        """Spend the images of two epochs on equal shares, from a rate of 0.01 downwards."""
        [whole] = super().phases(stage)
        if stage.n_old == 0:
            return [whole]
        share = self.memory.share(stage.n_old)
        places = [each[:share] for each in positions_by_class(stage.train.labels).values()]
        equal = stage.train.take(torch.cat(places)) + self.memory.exemplars
        epochs = round(2 * len(whole.samples) / len(equal))
        first = whole.plan._replace(epochs=whole.plan.epochs - 2)
        return [
            Phase(whole.samples, first),
            Phase(equal, whole.plan._replace(epochs=epochs, lr=0.01)),
        ]


class Packing(ReplayKD):
    """Exemplars are kept as WebP files, as many as the bytes of the budget's pixels hold.

    In half the epochs: the stages after the first see a ninth more images than without.
    """

    quality: ClassVar[int] = 90

    def packed(self, image: Tensor) -> tuple[Tensor, int]:
        """Return how an image (3, H, W) looks once it was packed, and how many bytes it took."""
        buffer = BytesIO()
        to_pil_image(image).save(buffer, "WEBP", quality=self.quality, method=6)
        return pil_to_tensor(Image.open(buffer)), buffer.tell()

    def end(self, stage: Stage) -> dict[str, float]:
        """Pack the exemplars that are new; those of before stay as they are."""
        facts = super().end(stage)
        sizes = self.own.get("sizes", torch.zeros(0, 0))
        share = self.memory.share(stage.n_seen)
        rows = [row[:share] for row in sizes]
        for label in range(stage.n_old, stage.n_seen):
            samples = self.memory.by_class[label]
            images, counts = zip(*map(self.packed, samples.images()), strict=True)
            self.memory.by_class[label] = Samples.of(torch.stack(images), samples.labels)
            rows.append(torch.tensor(counts, dtype=torch.float32))
        self.own["sizes"] = nn.utils.rnn.pad_sequence(rows, batch_first=True)
        return facts | {"bytes": self.own["sizes"].sum().item()}


class PackingAlike(Packing):
    """New images are packed, too, once there are exemplars: else what is sharp is new."""

    def samples(self, stage: Stage) -> Samples:
        """Pack the new images; they are trained on, and chosen from as they were."""
        if stage.n_old == 0:
            return super().samples(stage)
        images = [self.packed(image)[0] for image in stage.train.images()]
        return Samples.of(torch.stack(images), stage.train.labels) + self.memory.exemplars


class Packed(Packing, WA):
    """Packed exemplars, and alignment."""


class PackedAlike(PackingAlike, WA):
    """Packed images, and alignment."""


class Whitened(WA):
    """The first convolution starts with the patches' own directions, each of unit variance."""

    def begin(self, stage: Stage) -> None:
        """Compute them before the first stage."""
        super().begin(stage)
        if stage.n_old == 0:
            some = self.model.normalise(stage.train.images()[::10].to(self.model.device))
            patches = F.unfold(some, 3, padding=1)[:, :, ::7].transpose(1, 2).flatten(0, 1)
            values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
            conv: Any = self.model.backbone.conv
            filters = (vectors / (values + 1e-2).sqrt()).T.flip(0)[: len(conv.weight)]
            scale = conv.weight.norm() / filters.norm()
            conv.weight.data.copy_(scale * filters.view_as(conv.weight))


class MuonSteps(torch.optim.SGD):
    """Muon for convolutions (Jordan et al., 2024): directions of equal length; SGD for the rest.

    As airbench has it: a filter bank keeps its length, and a step moves it by `rate` x lr of that.
    """

    rate = 2.4

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Change convolutions first, then hide them from SGD."""
        for group in self.param_groups:
            for weight in (p for p in group["params"] if p.ndim == 4 and p.grad is not None):
                state = self.state[weight]
                buffer = state.setdefault("momentum_buffer", torch.zeros_like(weight))
                buffer.mul_(0.6).add_(weight.grad)
                update = orthogonal((weight.grad + 0.6 * buffer).flatten(1))
                weight.mul_(sqrt(len(weight)) / weight.norm())
                weight.sub_(self.rate * group["lr"] * update.view_as(weight))
                weight.grad = None
        return super().step(closure)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return nearly the orthogonal matrix that is nearest, by five steps of Newton and Schulz."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = matrix / (matrix.norm() + 1e-7)
    wide = x if len(x) <= x.shape[1] else x.T
    for _ in range(5):
        square = wide @ wide.T
        wide = a * wide + (b * square + c * square @ square) @ wide
    return wide if len(x) <= x.shape[1] else wide.T


class MuonProgress(Progress):
    """A progress whose optimizer is `MuonSteps`, in the first `stages`."""

    def __init__(self, stages: int) -> None:
        super().__init__()
        self.stages = stages

    def start_phase(self, model: nn.Module, config: Config, plan: Plan, first: int) -> None:
        """Build SGD, and take its parameters over."""
        super().start_phase(model, config, plan, first)
        before = self.optimizer
        if type(before) is torch.optim.SGD and self.stages_done < self.stages:
            names = ("momentum", "nesterov", "weight_decay")
            options = {name: before.defaults[name] for name in names}
            self.optimizer = MuonSteps(before.param_groups[0]["params"], **options)
            self.optimizer.state.update(before.state)


class Muon(WA):
    """WA with another optimizer for the convolutions."""

    stages: ClassVar[int] = 1000

    def __init__(self, model: CilModel, config: Any) -> None:
        """Exchange the progress, which builds optimizers."""
        super().__init__(model, config)
        self.progress = MuonProgress(self.stages)


class MuonFirst(Muon):
    """In the first stage alone."""

    stages = 1


class Growing(WA):
    """Images of 24 pixels in the first half of a stage; the saving buys a quarter more epochs."""

    def __init__(self, model: CilModel, config: Any) -> None:
        """Watch what the normaliser makes, the teacher's copy, too."""
        super().__init__(model, config)

        def smaller(module: nn.Module, given: Any, pixels: Tensor) -> Tensor | None:
            epochs = config.plan(self.progress.stages_done).epochs
            young = torch.is_grad_enabled() and 2 * self.progress.epoch < epochs
            return F.interpolate(pixels, 24, mode="area") if young else None

        model.normalise.register_forward_hook(smaller)


TRICKS: dict[str, type[ReplayKD]] = {
    "mirrored": Mirrored,
    "averaged": Averaged,
    "balanced": Balanced,
    "packed": Packed,
    "packed-alike": PackedAlike,
    "packed-unaligned": PackingAlike,
    "whitened": Whitened,
    "muon": Muon,
    "muon-first": MuonFirst,
    "growing": Growing,
}
CHANGES: dict[str, dict[str, Any]] = {
    "tuned": {},
    # what the tuned preset changes, each taken back
    "lr-0.1": {"lr": 0.1},
    "kd-0.5": {"kd_weight": 0.5},
    "temperature-2": {"temperature": 2.0},
    # further settings
    "lr-0.3": {"lr": 0.3},
    "smoothing": {"label_smoothing": 0.1},
    "batch-64": {"batch_size": 64, "lr": 0.14},  # the root of a half
    **{name: {"method": name} for name in TRICKS},
}
MORE = {"budget": 10_000, "epochs": 6}  # packed exemplars; about as many images are seen
CHANGES["packed"] |= MORE
CHANGES["packed-alike"] |= MORE
CHANGES["packed-unaligned"] |= MORE
CHANGES["packed-unaligned-lr-0.1"] = CHANGES["packed-unaligned"] | {"lr": 0.1}
CHANGES["packed-alike-lr-0.05"] = CHANGES["packed-alike"] | {"lr": 0.05}
CHANGES["growing"] |= {"base_epochs": 20, "epochs": 15}
CHANGES["muon-first-lr-0.1"] = {"method": "muon-first", "lr": 0.1}
CHANGES |= {f"muon-lr-{lr}": {"method": "muon", "lr": lr} for lr in (0.02, 0.05, 0.1)}
FIRSTS = {name: name for name in ("batch-64", "smoothing", "whitened", "muon", "growing")}
FIRSTS |= {name: "muon" for name in CHANGES if name.startswith("muon-")}

if __name__ == "__main__":
    METHODS.update(TRICKS)
    tuned = replace(PRESETS["cifar100-b50-10-short-tuned"], method="wa", validation=0.1)
    main(Study(CHANGES, FIRSTS), tuned, Path("runs/tricks"), str(__doc__))
