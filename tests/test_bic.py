"""BiC: the correction is the minimum of a convex function, and nothing else moves."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, MakeLearner, same, tiny, tiny_learner
from quick import QUICK
from test_methods import in_stage
from torch import Tensor

from cilkit import InputError, Learner, Scenario, build, build_scenario, learn
from cilkit.backbones import build_backbone
from cilkit.config import Config
from cilkit.heads import CorrectedClassifier
from cilkit.methods.bic import BiC, correction
from cilkit.runs.records import stage_records


def slope(logits: Tensor, labels: Tensor, n_old: int, decay: float, both: Tensor) -> Tensor:
    """The gradient of what BiC minimises, by its formula: probabilities less truth."""
    values = torch.cat([logits[:, :n_old], both[0] * logits[:, n_old:] + both[1]], 1)
    surplus = (values.softmax(1) - F.one_hot(labels, logits.shape[1]))[:, n_old:]
    pull = decay * (both - torch.tensor([1.0, 0.0]))
    return torch.stack([(surplus * logits[:, n_old:]).sum(), surplus.sum()]) / len(labels) + pull


@pytest.mark.parametrize("apart", [0.0, 1.0, 10.0, 100.0])
@pytest.mark.parametrize("too_high", [-30.0, 0.0, 5.0, 100.0])
@pytest.mark.parametrize("n_old", [1, 8])
def test_the_gradient_vanishes_at_the_correction(apart: float, too_high: float, n_old: int) -> None:
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(60) % 10
    logits = torch.randn(60, 10, generator=generator).double() + apart * F.one_hot(labels, 10)
    logits[:, n_old:] += too_high
    both = correction(logits, labels, n_old, 1e-3)
    assert slope(logits, labels, n_old, 1e-3, both).abs().max() < 1e-6


def test_logits_that_only_need_a_scale_and_a_shift_get_them_back() -> None:
    """Frequencies of labels that are a model's probabilities have that model as their minimum."""
    right = torch.tensor([[0.4, -0.2, 1.0], [-1.0, 0.3, 0.1], [0.2, 0.5, -0.7]]).double()
    counts = (1000 * right.softmax(1)).round().long()
    labels = torch.cat([torch.arange(3).repeat_interleave(row) for row in counts])
    wrong = right.clone()
    wrong[:, 1:] = (right[:, 1:] - 0.5) / 3
    logits = wrong.repeat_interleave(counts.sum(1), 0)
    torch.testing.assert_close(
        correction(logits, labels, 1, 1e-9), torch.tensor([3.0, 0.5]).double(), rtol=0, atol=0.02
    )


def test_without_a_held_out_image_nothing_is_corrected() -> None:
    both = correction(torch.empty(0, 4).double(), torch.empty(0).long(), 2, 1e-3)
    assert both.tolist() == [1, 0]


def deep(config: Config) -> Learner:
    """Return a BiC with a residual network, whose batch norm has statistics to move."""
    learner = tiny_learner(BiC, replace(config, method="bic"))
    learner.model.backbone = build_backbone("resnet8", 3)
    learner.model.classifier = CorrectedClassifier(64)
    return learner


def test_the_correction_leaves_the_network_as_it_is_and_its_batch_norm(
    tiny_scenario: Scenario,
) -> None:
    learner, stage = deep(TINY), tiny_scenario.stages[1]
    records = learn(learner, tiny_scenario)
    for _ in range(5):  # up to the last epoch of the second stage
        next(records)
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    learner.end(stage)
    after = learner.model.state_dict()
    differ = [name for name, value in before.items() if not torch.equal(value, after[name])]
    assert differ == ["classifier.corrections"]


def test_the_newest_logits_are_corrected_and_the_old_ones_stay(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("bic")
    stage = in_stage(learner, tiny_scenario.stages[:2])
    images = stage.test.images()
    before = learner.model(images).detach()
    facts = learner.end(stage)
    after = learner.model(images).detach()
    assert torch.equal(after[:, :2], before[:, :2])
    expected = facts["alpha"] * before[:, 2:] + facts["beta"]
    torch.testing.assert_close(after[:, 2:], expected)
    assert facts["alpha"] != 1 and facts["beta"] != 0


def test_a_correction_stays_while_later_stages_learn(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("bic")
    facts = [record.facts for record in stage_records(learn(learner, tiny_scenario))]
    expected = [[1.0, 0.0], *([one["alpha"], one["beta"]] for one in facts[1:])]
    torch.testing.assert_close(learner.model.classifier.corrections, torch.tensor(expected))


def test_what_is_held_out_is_balanced_and_not_trained_on(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("bic", budget=12, held_out=0.5)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    assert isinstance(learner, BiC)
    train, held = learner.dealt(stage)  # 6 exemplars of 2 old classes, 20 images of 2 new ones
    assert held.labels.bincount().tolist() == [3, 3, 3, 3]
    assert train.labels.bincount().tolist() == [3, 3, 17, 17]
    assert same(learner.samples(stage), train)
    images = torch.cat([train.images(), held.images()]).flatten(1)
    everything = (stage.train + learner.memory.exemplars).images().flatten(1)
    assert torch.equal(images.unique(dim=0), everything.unique(dim=0))


@pytest.mark.parametrize(("base", "increment"), [(1, 5), (4, 1), (2, 2)])
def test_stages_may_be_unequal(base: int, increment: int, make_learner: MakeLearner) -> None:
    learner = make_learner("bic", base=base, increment=increment)
    records = stage_records(learn(learner, build_scenario(tiny(), learner.config)))
    assert [len(record.after.confusion) for record in records][-1] == 6
    assert all({"alpha", "beta"} <= record.facts.keys() for record in records[1:])


@pytest.mark.parametrize(
    ("budget", "per", "sentence"),
    [
        (19, "total", "budget is 19 exemplars in total, too few for 10 classes; give at least 20"),
        (1, "class", "budget is 1 exemplars of a class; bic needs 2"),
    ],
)
def test_a_budget_that_leaves_nothing_to_hold_out_is_refused(
    budget: int, per: str, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        build(replace(QUICK, method="bic", budget=budget, budget_per=per))
