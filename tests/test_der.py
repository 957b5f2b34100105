"""DER: old backbones do not move, a new one changes no answer, and its size is on record."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from conftest import TINY, MakeLearner, tiny_learner
from test_methods import batch_of, cross_entropy, in_stage, losses_of, mean_lengths
from torch import Tensor

from cilkit import Learner, Scenario, learn
from cilkit.backbones import build_backbone
from cilkit.methods.der import DER, Backbones, WideningClassifier
from cilkit.runs.records import stage_records
from cilkit.state import restore, state_of


def deep() -> Learner:
    """Return a DER with a residual network, whose batch norm has statistics to move."""
    learner = tiny_learner(DER, replace(TINY, method="der"))
    learner.model.backbone = build_backbone("resnet8", 3)
    learner.model.classifier = WideningClassifier(64)
    return learner


def state_of_backbones(learner: Learner) -> list[dict[str, Tensor]]:
    assert isinstance(learner.model.backbone, Backbones)
    return [deepcopy(backbone.state_dict()) for backbone in learner.model.backbone]


def moved(before: dict[str, Tensor], now: dict[str, Tensor]) -> bool:
    return any(not torch.equal(value, now[name]) for name, value in before.items())


def test_old_backbones_do_not_move_and_neither_does_their_batch_norm(
    tiny_scenario: Scenario,
) -> None:
    learner = deep()
    records = learn(learner, tiny_scenario)
    for _ in range(7):  # the first epoch of the third stage
        next(records)
    before = state_of_backbones(learner)
    next(records)
    now = state_of_backbones(learner)
    pairs = zip(before, now, strict=True)
    assert [moved(one, other) for one, other in pairs] == [False, False, True]


def test_a_new_backbone_starts_as_the_last_one_and_changes_no_answer(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("der")
    stage = in_stage(learner, tiny_scenario.stages[:2])
    images, _ = batch_of(stage.train)
    before = learner.model(images)
    learner.grow(tiny_scenario.stages[2])
    _, last, new = state_of_backbones(learner)
    assert not moved(last, new)
    assert learner.model.features(images).shape == (13, 48)
    assert torch.equal(learner.model(images)[:, :4], before)


def test_the_newest_features_are_asked_which_new_class_or_any_old_one(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("der", auxiliary_weight=3.0)
    stage = in_stage(learner, tiny_scenario.stages)
    samples = learner.samples(stage)
    images, labels = samples.images()[-30:], samples.labels[-30:]  # exemplars come last
    classes = torch.tensor([0, 0, 0, 0, 1, 2])[labels]
    assert classes.unique().tolist() == [0, 1, 2]
    head = learner.model.classifier
    assert isinstance(head, WideningClassifier)
    told = head.auxiliary(learner.model.features(images)[:, 32:])
    found = learner.losses(learner.model.see(images), labels)["auxiliary"].item()
    assert found == pytest.approx(3 * cross_entropy(told, classes), rel=1e-5)


def test_no_loss_reaches_an_old_backbone(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("der")
    stage = in_stage(learner, tiny_scenario.stages[:2])
    torch.stack([*losses_of(learner, stage).values()]).sum().backward()
    gradients = [weight.grad for weight in learner.model.backbone.parameters()]
    assert [gradient is None for gradient in gradients] == [True, True, False, False]


def test_new_prototypes_get_the_old_ones_mean_length(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("der")
    stage = in_stage(learner, tiny_scenario.stages)
    old, new = mean_lengths(learner.model.classifier.weight, 4)
    assert learner.end(stage)["gamma"] == pytest.approx(old / new, rel=1e-5)
    old, new = mean_lengths(learner.model.classifier.weight, 4)
    assert new == pytest.approx(old, rel=1e-5)


def test_the_record_says_how_large_the_network_is(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    """A tiny backbone has 16 * 192 weights and 16 biases; from the second stage on there is an
    auxiliary head, of 3 outputs with a bias.
    """
    records = stage_records(learn(make_learner("der"), tiny_scenario))
    backbone, auxiliary = 16 * 192 + 16, 3 * 16 + 3
    expected = [k * backbone + 2 * k * 16 * k + auxiliary * (k > 1) for k in (1, 2, 3)]
    assert [record.cost.parameters for record in records] == expected


def test_a_stopped_run_has_its_backbones_again(tiny_scenario: Scenario) -> None:
    """Batch norm's statistics, in the middle of the third stage, from one record's state."""
    one, other = deep(), deep()
    records = learn(one, tiny_scenario)
    for _ in range(7):
        next(records)
    restore(other, tiny_scenario.stages, *deepcopy(state_of(one)))
    assert [*learn(other, tiny_scenario)] == [*records]
