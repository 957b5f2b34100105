"""What a model makes of samples that it is not trained on: features and predictions.

In evaluation mode, without augmentation, without gradients. The work is cut into the same chunks
whatever the number of processes, so that the results are the same to the last bit. Only where the
memory has no room for a chunk is it cut in two.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from cilkit.data.samples import Samples
from cilkit.data.scenario import Stage
from cilkit.learner import Learner
from cilkit.machine.devices import advice, lacks_memory
from cilkit.machine.processes import gather, rank, world_size
from cilkit.metrics import Predictions, calibration_error, confusion_matrix
from cilkit.model import CilModel, Seen
from cilkit.runs.records import Examination

CHUNK = 256


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
        return torch.stack([predicted.double(), confidence.double()], dim=1)

    predicted, confidence = in_chunks(model, samples, best).unbind(1)
    return Predictions(samples.labels, predicted.long(), confidence.float())


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
