"""What grows from stage to stage: a layer, and the data of a stage (chapter 6)."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from cilkit.data.samples import DataSet, Samples
from cilkit.data.scenario import Stage
from cilkit.experiment import build
from cilkit.methods.replay import Replay
from cilkit.teaching.exercises.trying import Answer, Exercise, Look

# Chapter 6: a layer that grows.


def grown(layer: nn.Linear, m: int, *, bias: bool = True, at: int = 0) -> nn.Linear:
    """Return a layer with m rows more; the old ones begin at row `at`."""
    n = layer.out_features
    new = nn.Linear(layer.in_features, n + m)
    with torch.no_grad():
        new.weight[at : at + n] = layer.weight
        if bias:
            new.bias[at : at + n] = layer.bias
    return new


def born_anew(layer: nn.Linear, m: int) -> nn.Linear:
    """Forget the old rows."""
    return nn.Linear(layer.in_features, layer.out_features + m)


def grown_in_place(layer: nn.Linear, m: int) -> nn.Linear:
    """Put larger tensors into the layer that is given."""
    larger = grown(layer, m)
    layer.weight, layer.bias = larger.weight, larger.bias
    return layer


def repeated(layer: nn.Linear, m: int) -> nn.Linear:
    """Fill the new rows with old ones."""
    new = grown(layer, m)
    rows = torch.arange(len(new.weight)) % layer.out_features
    new.weight.data, new.bias.data = layer.weight.data[rows], layer.bias.data[rows]
    return new


def looks_at_layers(answer: Answer) -> Iterator[Look]:
    """Look at what becomes of a layer of two rows that gets four more."""

    def old() -> nn.Linear:
        torch.manual_seed(1)
        return nn.Linear(3, 2)

    def kept() -> int:
        new = answer(old(), 4).weight
        return sum(bool((new == row).all(1).any()) for row in old().weight)

    def afterwards() -> Tensor:
        layer = old()
        answer(layer, 4)
        return layer.weight

    yield "The number of rows", lambda: len(answer(old(), 4).weight)
    yield "Old rows that are still there", kept
    yield "The first two rows of the weight", lambda: answer(old(), 4).weight[:2]
    yield "The first two biases", lambda: answer(old(), 4).bias[:2]
    yield "Rows that differ", lambda: len(answer(old(), 4).weight.detach().unique(dim=0))
    yield "The old layer's weight, afterwards", afterwards


GROW = Exercise(
    grown,
    looks_at_layers,
    {
        "That is a new layer: all that the old one had learned is lost.": born_anew,
        "The biases are not copied, so that the old logits move.": lambda layer, m: grown(
            layer, m, bias=False
        ),
        "The old rows stand behind the new ones: classes change their logits.": lambda layer, m: (
            grown(layer, m, at=m)
        ),
        "The new rows are copies of old ones.": repeated,
        "The layer that was given has changed: make a new one.": grown_in_place,
    },
)

# And the data of a stage, in which exemplars come as often as new images do.


class RepeatedReplay(Replay):
    """Replay whose exemplars come as often as new images do."""

    more = 0  # times too many

    def samples(self, stage: Stage) -> Samples:
        """Return the data of the stage, its exemplars repeated."""
        data, exemplars = super().samples(stage), self.memory.exemplars
        if len(exemplars) == 0:
            return data
        per_new = len(stage.train) / (stage.n_seen - stage.n_old)
        times = round(per_new / (len(exemplars) / stage.n_old)) + self.more
        return data + exemplars.take(torch.arange(len(exemplars)).repeat(times - 1))


class OnceTooMany(RepeatedReplay):
    """Forgets that the exemplars are there already."""

    more = 1


class AllRepeated(Replay):
    """Repeats the new images, too."""

    def samples(self, stage: Stage) -> Samples:
        """Return everything four times."""
        data = super().samples(stage)
        return data.take(torch.arange(len(data)).repeat(4))


def looks_at_samples(answer: Answer) -> Iterator[Look]:
    """Look at two stages of two classes with 20 images each, and 5 exemplars of each old one."""
    images, labels = torch.zeros(80, 1, 8, 8, dtype=torch.uint8), torch.arange(4).repeat(20)
    dataset = DataSet.of(images, labels, images, labels)
    config = Replay.Settings(increment=2, budget=10, augment="none", backbone="mlp")

    def counts(number: int) -> list[int]:
        learner, scenario = build(config, dataset)
        learner, stages = answer(learner.model, learner.config), scenario.stages
        if number:
            learner.memory.add(stages[0].train, torch.zeros(len(stages[0].train), 1), 2)
        found = learner.samples(stages[number]).labels.bincount(minlength=4).tolist()
        return [*found, len(learner.memory)]

    yield "The first stage: images of classes 0 to 3, exemplars in the memory", lambda: counts(0)
    yield "The second stage: images of classes 0 to 3, exemplars in the memory", lambda: counts(1)


REPEAT = Exercise(
    RepeatedReplay,
    looks_at_samples,
    {
        "The exemplars are there once each, as in `Replay`.": Replay,
        "The exemplars are in what `Replay` returns already: once too many.": OnceTooMany,
        "New images are repeated, too.": AllRepeated,
    },
)
