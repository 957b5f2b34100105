"""What a model makes of samples that it is not trained on: features, predictions, and the cost.

In evaluation mode, without augmentation, without gradients. The work is cut into the same chunks
whatever the number of processes, so that the results are the same to the last bit. Only where the
memory has no room for a chunk is it cut in two.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.learner import Learner, Phase
from cilkit.machine.devices import advice, lacks_memory
from cilkit.machine.processes import gather, rank, world_size
from cilkit.metrics import Predictions, calibration_error, confusion_matrix
from cilkit.model import CilModel, Seen
from cilkit.runs.records import Cost, Examination

CHUNK = 256
COUNTED = 16  # images on which FLOPs are counted


def features_of(model: CilModel, samples: Samples) -> Tensor:
    """Return the features of all samples, (N, D) on the CPU, in every process."""
    return in_chunks(model, samples, model.features)


def predict(
    model: CilModel, samples: Samples, scores: Callable[[Seen], Tensor] = lambda seen: seen.logits
) -> Predictions:
    """Return the predictions for all samples, each exactly once, in every process.

    The class of the highest score is predicted; scores are (B, n), by default the logits.
    """

    def best(images: Tensor) -> Tensor:
        confidence, predicted = scores(model.see(images)).softmax(1).max(1)
        return torch.stack([predicted.float(), confidence.float()], dim=1)  # below 2^24 exact

    predicted, confidence = in_chunks(model, samples, best).unbind(1)
    return Predictions(samples.labels, predicted.long(), confidence)


@advice("in a test, where the network looks at one image at a time; free some for it")
@torch.no_grad()
def in_chunks(model: CilModel, samples: Samples, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `function` to all images, (B, C, H, W) -> (B, K), shared out; return (N, K)."""
    was_training = model.training
    model.eval()
    shares = dealt(len(samples), world_size())
    lengths = [sum(map(len, share)) for share in shares]
    mine = shares[rank()] or [torch.arange(0)]  # no chunk left: no images
    rows = [in_halves(function, images, model.device) for images in samples.batches(mine)]
    model.train(was_training)
    return gather(torch.cat(rows), lengths).cpu()


def in_halves(function: Callable[[Tensor], Tensor], images: Tensor, device: torch.device) -> Tensor:
    """Apply `function` to images on a device; where memory runs out, to one half after the other.

    No setting needs to say how many images a device has room for.
    """
    try:
        return function(images.to(device))
    except (RuntimeError, MemoryError) as error:
        if len(images) <= 1 or not lacks_memory(error):
            raise
    # What the attempt has left in memory is free only here, when its error is gone.
    return torch.cat([in_halves(function, half, device) for half in images.chunk(2)])


def dealt(count: int, processes: int, chunk: int = CHUNK) -> list[list[Tensor]]:
    """Return the positions of `count` samples in chunks, as many or one more for each process."""
    chunks = torch.arange(count).split(chunk)
    shares = torch.arange(len(chunks)).tensor_split(processes)
    return [[chunks[place] for place in share] for share in shares]


def examine(learner: Learner, stage: Stage) -> Examination:
    """Test what a learner says of the test images of all classes seen so far.

    Scores of a rule of its own are no probabilities: their calibration is not a number.
    """
    predictions = predict(learner.model, stage.test, learner.scores)
    error = float("nan") if has_own_rule(learner) else calibration_error(predictions)
    return Examination(
        confusion=confusion_matrix(predictions, stage.n_seen),
        calibration_error=error,
        norms=learner.model.classifier.norms(),
    )


def has_own_rule(learner: Learner) -> bool:
    """Tell whether a learner answers by other scores than its logits."""
    return type(learner).scores is not Learner.scores


def training_cost(learner: Learner, stage: Stage, phases: Sequence[Phase]) -> Cost:
    """Return what a stage's training has taken; to be asked before its `end`.

    FLOPs of an image, times the images trained on, epoch by epoch. Those of an image are counted on
    a few of them, once a stage: the model's forward pass, the teacher's where there is one, and the
    backward pass, as torch counts convolutions and products of matrices. Tests and the optimizer
    count as nothing.
    """
    images = sum(len(phase.samples) * phase.plan.epochs for phase in phases)
    each = flops_of_training(learner, phases[0].samples) if images else 0.0
    joint = any(phase.samples is stage.train_so_far for phase in phases)
    return Cost(images, round(images * each), kept=joint * pixels(stage.train_so_far))


def stage_cost(training: Cost, learner: Learner, stage: Stage) -> Cost:
    """Add to a training's cost what the method did beside it, and what it keeps for later stages.

    Kept are old images, as bytes of pixels, all of them where the method trains on all; and the
    tensors in `own`. The teacher is not: it is the model.
    """
    own = sum(tensor.numel() * tensor.element_size() for tensor in learner.own.values())
    return Cost(
        training.images,
        training.flops + round(learner.aside(stage, flops_of_looking(learner.model, stage.train))),
        sum(weight.numel() for weight in learner.model.parameters()),
        max(training.kept, sum(map(pixels, learner.memory.by_class))) + own,
    )


def pixels(samples: Samples) -> int:
    """Return how many bytes the images take in memory."""
    return len(samples) * prod(samples.store.shape[1:])


def flops_of_training(learner: Learner, samples: Samples) -> float:
    """Return the FLOPs of one image in a step of training; the learner stays as it is."""
    apart = copy(learner)  # a method may note something in its losses
    apart.own = {name: tensor.clone() for name, tensor in learner.own.items()}
    some = a_few(samples)
    images, labels = some.images().to(learner.model.device), some.labels.to(learner.model.device)
    weights = [weight for weight in learner.model.parameters() if weight.requires_grad]
    with counted(learner.model) as counter:
        losses = apart.losses(learner.model.see(images), labels)
        loss = torch.stack([*losses.values()]).sum()
        torch.autograd.grad(loss, weights, allow_unused=True)
    return counter.get_total_flops() / len(some)


def flops_of_looking(model: CilModel, samples: Samples) -> float:
    """Return the FLOPs of one image on its way through the model."""
    some = a_few(samples)
    with counted(model) as counter, torch.no_grad():
        model.see(some.images().to(model.device))
    return counter.get_total_flops() / len(some)


def a_few(samples: Samples) -> Samples:
    """Return at most `COUNTED` samples, from all over."""
    return samples.take(torch.arange(0, len(samples), ceil(len(samples) / COUNTED)))


@contextmanager
def counted(model: CilModel) -> Iterator[Any]:
    """Count FLOPs within, in evaluation mode: nothing is drawn, and no statistics move.

    Attention is computed as products of matrices: torch does not count a processor's own kernel.
    """
    from torch.utils.flop_counter import FlopCounterMode  # takes a third of a second to import

    was_training = model.training
    model.eval()
    where = advice("where the work for an image is counted; free some for it")
    with where, sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        yield counter
    model.train(was_training)
