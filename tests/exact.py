"""Runs of the package in float64, for who computes the same elsewhere: weights, order, results."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from cilkit import Config, build, learn
from cilkit.data.scenario import Scenario
from cilkit.inference import predict
from cilkit.learner import Learner
from cilkit.machine.seeds import seed_all, seed_for
from cilkit.model import CilModel
from cilkit.runs.records import EpochRecord, StageRecord


class Exact(CilModel):
    """The model without its last rounding to float32."""

    def features(self, images: Tensor) -> Tensor:
        return self.backbone(self.normalise(images))


@contextmanager
def in_float64() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


def exact_run(config: Config, stages: int = 2) -> dict[str, Any]:
    """Teach the first stages in float64; return what was given, and what came out."""
    with in_float64():
        learner, scenario = build(config)
        model = learner.model
        learner.model = Exact(model.backbone, model.classifier, model.normalise)
        given = {"weights": flat(model.backbone), "heads": heads(config, stages), "order": []}
        return given | {"came_out": list(records(learner, scenario, given, stages))}


def records(
    learner: Learner, scenario: Scenario, given: dict[str, Any], stages: int
) -> Iterator[dict[str, Any]]:
    """Yield what the model is after each epoch and stage; note in which order images come."""
    given["order"].append(order(learner, scenario))
    for record in learn(learner, scenario):
        found = {"weights": flat(learner.model)}
        if isinstance(record, EpochRecord):
            yield found
            continue
        assert isinstance(record, StageRecord)
        known = predict(learner.model, scenario.stages[record.stage].test)
        memory = [samples.images().flatten(1).tolist() for samples in learner.memory.by_class]
        yield found | record.facts | {"predicted": known.predicted.tolist(), "memory": memory}
        if learner.progress.stages_done == stages:
            return
        given["order"].append(order(learner, scenario))


def flat(model: nn.Module) -> list[float]:
    """Return all weights in a row, as the laboratory's engine keeps them."""
    return torch.cat([part.detach().flatten() for part in model.parameters()]).tolist()


def heads(config: Config, stages: int) -> list[list[float]]:
    """Return the prototypes as each stage brings them, untrained."""
    found = []
    for stage in range(stages):
        seed_all(config.seed, stage)
        found.append(flat(nn.Linear(64, config.increment, bias=False)))
    return found


def order(learner: Learner, scenario: Scenario) -> list[list[int]]:
    """Return the order in which each epoch of the next stage deals its samples."""
    config, stage = learner.config, scenario.stages[learner.progress.stages_done]
    data = stage.train_so_far if config.method == "joint" else stage.train
    count, epochs = len(data) + len(learner.memory), range(config.epochs)
    seeds = (seed_for(config.seed, stage.index, epoch) for epoch in epochs)
    generators = (torch.Generator().manual_seed(seed) for seed in seeds)
    return [torch.randperm(count, generator=generator).tolist() for generator in generators]
