"""EWC: Fisher's diagonal is that of single images, and springs hold what mattered."""

from pathlib import Path

import kill
import pytest
import torch
import torch.nn.functional as F
from conftest import MakeLearner, MakeModel
from test_methods import batch_of, disturb, in_stage, losses_of, walk
from torch import Tensor

from cilkit import Scenario
from cilkit.backbones import build_backbone
from cilkit.data.samples import Samples
from cilkit.machine.arithmetic import PLAIN, Arithmetic
from cilkit.methods.ewc import CHUNK, fisher_diagonal
from cilkit.model import CilModel


def one_by_one(model: CilModel, samples: Samples) -> dict[str, Tensor]:
    """The mean of squared slopes, an image at a time, in float64."""
    names, weights = zip(*model.named_parameters(), strict=True)
    found = [torch.zeros_like(weight, dtype=torch.float64) for weight in weights]
    for image, label in zip(samples.images(), samples.labels, strict=True):
        loss = F.cross_entropy(model(image[None]), label[None])
        for mean, slope in zip(found, torch.autograd.grad(loss, weights), strict=True):
            mean += slope.double() ** 2 / len(samples)
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize(
    "arithmetic", [PLAIN, Arithmetic("bf16"), Arithmetic(channels_last=True)], ids=str
)
def test_fishers_diagonal_is_the_mean_over_single_images(
    arithmetic: Arithmetic, make_model: MakeModel, tiny_scenario: Scenario
) -> None:
    model = make_model(build_backbone("resnet8", 3), features=64)
    model = CilModel(model.backbone, model.classifier, model.normalise, arithmetic=arithmetic)
    model.grow_to(2)
    samples = tiny_scenario.stages[0].train
    assert len(samples) % CHUNK != 0
    found = fisher_diagonal(model.train(), samples)
    model.arithmetic = PLAIN
    for name, expected in one_by_one(model.eval(), samples).items():
        scale = expected.max().item()
        torch.testing.assert_close(found[name].double(), expected, rtol=1e-4, atol=1e-6 * scale)


def test_looking_for_what_matters_moves_nothing(
    make_model: MakeModel, tiny_scenario: Scenario
) -> None:
    model = make_model(build_backbone("resnet8", 3), features=64)
    model.grow_to(2)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fisher_diagonal(model.train(), tiny_scenario.stages[0].train)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert {weight.grad for weight in model.parameters()} == {None}


def test_the_springs_energy_is_that_of_the_formula(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("ewc", ewc_lambda=7.0, fisher_most=1e9)
    first, second, _ = tiny_scenario.stages
    walk(learner, first)
    fisher = one_by_one(learner.model, first.train)
    rest = {name: weight.detach().double() for name, weight in learner.model.named_parameters()}
    learner.grow(second)
    disturb(learner.model)
    now = {name: weight.detach().double() for name, weight in learner.model.named_parameters()}
    energy = sum(float((fisher[name] * (now[name] - rest[name]) ** 2).sum()) for name in rest)
    assert losses_of(learner, second)["ewc"].item() == pytest.approx(7 / 2 * energy, rel=1e-4)


def test_a_stages_fisher_counts_as_much_as_its_classes(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("ewc", fisher_most=1e9)
    third = in_stage(learner, tiny_scenario.stages)
    before = learner.own["fisher.backbone.linear.weight"].double()
    new = one_by_one(learner.model, third.train)["backbone.linear.weight"]
    learner.end(third)
    after = learner.own["fisher.backbone.linear.weight"].double()
    torch.testing.assert_close(after, (4 * before + 2 * new) / 6, rtol=1e-4, atol=1e-9)


def test_no_spring_is_stiffer_than_allowed(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("ewc", fisher_most=1e-5)
    walk(learner, *tiny_scenario.stages)
    fisher = [value for name, value in learner.own.items() if name.startswith("fisher.")]
    assert max(float(value.max()) for value in fisher) == pytest.approx(1e-5)


def test_a_new_head_moves_freely(make_learner: MakeLearner, tiny_scenario: Scenario) -> None:
    learner = make_learner("ewc")
    stage = in_stage(learner, tiny_scenario.stages[:2])
    images, labels = batch_of(stage.train)
    learner.losses(learner.model.see(images), labels)["ewc"].backward()
    old, new = learner.model.classifier.heads
    assert old.weight.grad is not None and new.weight.grad is None


def test_ewc_keeps_neither_exemplars_nor_a_teacher(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("ewc")
    walk(learner, *tiny_scenario.stages)
    assert (len(learner.memory), learner.teacher) == (0, None)


@pytest.mark.slow
def test_springs_survive_a_kill(tmp_path: Path) -> None:
    assert kill.check(2, 1, tmp_path, method="ewc") == []
