"""A method through the learner's doors, and what every method promises the loop."""

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from conftest import TINY, tiny, tiny_learner
from torch import Tensor

from cilkit import METHODS, Config, Learner, Samples, Scenario, Stage, build_scenario, learn
from cilkit.inference import features_of, in_chunks
from cilkit.machine.processes import ProcessesDiffer, processes, rank
from cilkit.methods.replay import Replay
from cilkit.model import Seen
from cilkit.state import restore, state_of


class NearestMean(Replay):
    """A rule of its own: the class whose exemplars' mean is nearest (iCaRL's answer)."""

    def end(self, stage: Stage) -> dict[str, float]:
        facts = super().end(stage)
        kept = self.memory.by_class
        means = [features_of(self.model, samples).mean(0) for samples in kept]
        self.own["means"] = F.normalize(torch.stack(means)).to(self.model.device)
        return facts

    def scores(self, seen: Seen) -> Tensor:
        if "means" not in self.own:
            return seen.logits
        return -torch.cdist(F.normalize(seen.features), self.own["means"])


class Drifting(Learner):
    """A mistake: what it remembers is another thing in each process."""

    def end(self, stage: Stage) -> dict[str, float]:
        self.own["mine"] = torch.tensor([float(rank())])
        return super().end(stage)


SOME = (3, 4)  # the first stage's record, and the one after it, inside the second
DOORS: dict[str, type[Learner]] = {"nearest-mean": NearestMean}


def methods() -> dict[str, Callable[[], Learner]]:
    """Return how to make a learner of each method, from the registry and from here."""
    METHODS.update(DOORS)
    found = {name: (METHODS[name], replace(TINY, method=name)) for name in METHODS}
    for name in DOORS:
        del METHODS[name]
    return {name: (lambda one=one: tiny_learner(*one)) for name, one in found.items()}


def config_of(method: str) -> Config:
    """Return settings of any method for the tiny data set; the fixture `all_methods` knows all."""
    backbone = "mlp" if METHODS[method].backbone else "tiny"  # which has no options
    return replace(TINY, method=method, backbone=backbone, threads=1)


def looked_at(learner: Learner, samples: Samples) -> Tensor:
    """Return what a test in the training process looks at."""
    return in_chunks(learner.model, samples, lambda some: learner.scores(learner.model.see(some)))


def lines(records: Any) -> list[str]:
    """Return records as they are written: NaN is a word there, and equal to itself."""
    return [record.line for record in records]


def stops_that_differ(
    new: Callable[[], Learner], scenario: Scenario, stops: Sequence[int] | None = None
) -> list[int]:
    """Return after which of the records a stopped and resumed run is another than the whole one."""
    expected, differ = lines(learn(new(), scenario)), []
    for stop in stops or range(1, len(expected)):
        before, after = new(), new()
        records = lines(islice(learn(before, scenario), stop))
        restore(after, scenario.stages, *deepcopy(state_of(before)))
        if records + lines(learn(after, scenario)) != expected:
            differ.append(stop)
    return differ


def drifts(scenario: Scenario) -> bool:
    """Tell whether it is noticed when processes remember different things."""
    try:
        list(learn(tiny_learner(Drifting, replace(TINY, method="finetune")), scenario))
    except ProcessesDiffer:
        return True
    return False


def work(folder: Path) -> None:
    """Try every method's promise in one of several processes; leave what was found."""
    with processes():
        scenario = build_scenario(tiny(), replace(TINY, increment=3))
        found = {name: stops_that_differ(new, scenario, SOME) for name, new in methods().items()}
        found["drifting"] = [int(drifts(scenario))]
        (folder / f"{rank()}.json").write_text(json.dumps(found))
