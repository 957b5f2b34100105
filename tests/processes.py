"""What each process of `test_distributed` does: learn two stages, and tell what it ended with."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from time import sleep

import torch
from torch import Tensor, nn

from cilkit import Config, build, learn
from cilkit.data.loader import Loader
from cilkit.inference import features_of, predict
from cilkit.machine.processes import (
    average_gradients,
    average_statistics,
    one_at_first,
    processes,
    rank,
)
from cilkit.model import Normalise, Seen

CONFIG = Config(base=6, increment=4, budget=40, epochs=2, batch_size=200, lr=0.05, threads=1)


def fingerprint(tensors: list[Tensor]) -> str:
    return hashlib.sha256(
        b"".join(t.detach().contiguous().numpy().tobytes() for t in tensors)
    ).hexdigest()


def same_weights_everywhere() -> dict[str, object]:
    """Look at the test images with an untrained model, the same in all processes."""
    learner, scenario = build(CONFIG)
    learner.grow(scenario.stages[0])
    samples = scenario.stages[0].train
    predictions = predict(learner.model, samples)
    return {
        "predictions": fingerprint([predictions.predicted, predictions.confidence]),
        "features": fingerprint([features_of(learner.model, samples)]),
    }


def one_epoch_of_batches() -> dict[str, object]:
    """Deal 797 samples, no multiple of anything, in batches of 200."""
    learner, scenario = build(replace(CONFIG, augment="none"))
    stage = scenario.stages[0]
    samples = stage.train.take(torch.arange(797))
    samples = type(samples)(samples.store, samples.rows, torch.arange(797))  # each its own label
    loader = Loader(samples, scenario.dataset, learner.config, torch.device("cpu"))
    batches = list(loader.epoch(0, 0))
    return {
        "dealt": sorted(torch.cat([labels for _, labels, _ in batches]).tolist()),
        "shares": [share for _, _, share in batches],
        "draw": float(torch.rand(())),
    }


def one_gradient() -> dict[str, object]:
    """Differentiate the loss of the first global batch, in a model without batch norm."""
    learner, scenario = build(replace(CONFIG, augment="none"))
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    loader = Loader(scenario.stages[0].train, scenario.dataset, learner.config, torch.device("cpu"))
    images, labels, share = next(iter(loader.epoch(0, 0)))
    logits = net(images / 255)
    seen = Seen(images, logits, logits)
    (share * learner.losses(seen, labels)["ce"]).backward()
    average_gradients(net)
    return {"gradient": [float(p.grad.norm()) for p in net.parameters() if p.grad is not None]}


class Statistics(nn.Module):
    """Constants of three kinds, and a layer of batch norm whose statistics move."""

    def __init__(self) -> None:
        super().__init__()
        numbers = torch.linspace(0.1, 0.9, 100)  # of many, a third of thrice the number is another
        self.normalise = Normalise(numbers.tolist(), numbers.tolist())
        self.register_buffer("positions", numbers.clone())
        self.frozen, self.moving = nn.BatchNorm1d(100), nn.BatchNorm1d(100)
        for layer in (self.frozen, self.moving):
            layer.running_mean, layer.running_var = numbers.clone(), numbers.clone()
        self.frozen.eval()


def averaged_statistics() -> dict[str, object]:
    """Average the buffers of a model; tell which of them have changed, and into what."""
    model, mine = Statistics(), 1 / (1 + rank())
    model.moving.running_mean, model.moving.running_var = torch.full((2, 100), mine)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    average_statistics(model)
    after = dict(model.named_buffers())
    return {
        "changed": [name for name in before if not torch.equal(before[name], after[name])],
        "statistics": [float(after[f"moving.running_{what}"][0]) for what in ("mean", "var")],
    }


def a_whole_run() -> dict[str, object]:
    """Learn; return what must be the same in all processes."""
    learner, scenario = build(CONFIG)
    records = list(learn(learner, scenario))
    return {
        "weights": fingerprint(list(learner.model.state_dict().values())),
        "exemplars": fingerprint([learner.memory.exemplars.images()]),
        "records": str(records),
    }


def prepared(folder: Path) -> dict[str, object]:
    """Prepare a file as data are prepared; tell whether it was there already."""
    file = folder / "data"
    with one_at_first():
        was_there = file.exists()
        sleep(0.1)
        file.touch()
    return {"found prepared": was_there}


def work(folder: Path) -> None:
    """Do all of this in one of the processes; leave what it found in `folder`."""
    with processes():
        found = prepared(folder) | same_weights_everywhere() | one_epoch_of_batches()
        found |= one_gradient() | averaged_statistics() | a_whole_run()
        (folder / f"{rank()}.json").write_text(json.dumps(found))
