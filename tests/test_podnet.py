"""PODNet: pooled maps against NumPy, NCA against the authors' lines, a balanced second training."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, MakeLearner, tiny_learner
from numpy.typing import NDArray
from quick import QUICK
from test_methods import batch_of, in_stage, losses_of, walk
from torch import Tensor

from cilkit import Config, InputError, Scenario, build, learn
from cilkit.methods.podnet import PODNet, nca_loss, pod_loss
from cilkit.runs.records import stage_records

# One image, one channel, 2x3 pixels, and what is left of it when each pixel is squared and the
# squares are summed: over each row 1 + 4 + 0 and 0 + 4 + 16, over each column 1 + 0, 4 + 4, 0 + 16.
MAP = [[1.0, -2.0, 0.0], [0.0, 2.0, 4.0]]
SUMS = [5.0, 20.0, 1.0, 8.0, 16.0]


def pooled(maps: Tensor) -> NDArray[np.float64]:
    """Rows' and columns' sums of squares, of length 1 for each image, in float64."""
    squares = maps.detach().double().numpy() ** 2
    sums = [np.concatenate([one.sum(2).ravel(), one.sum(1).ravel()]) for one in squares]
    return np.stack([one / np.sqrt((one**2).sum()) for one in sums])


def distance(ours: Tensor, theirs: Tensor) -> float:
    return float(np.sqrt(((pooled(ours) - pooled(theirs)) ** 2).sum(axis=1)).mean())


def test_a_map_made_by_hand_is_pooled_over_rows_and_over_columns() -> None:
    """Against a map with one bright pixel: (0, 9, 0, 9, 0), or (0, 1, 0, 1, 0) / sqrt 2."""
    ours = torch.tensor([[MAP]])
    theirs = torch.tensor([[[[0.0, 0.0, 0.0], [0.0, 3.0, 0.0]]]])
    one = np.array(SUMS) / np.sqrt(np.square(SUMS).sum())
    other = np.array([0, 1, 0, 1, 0]) / np.sqrt(2)
    expected = np.sqrt(np.square(one - other).sum())
    assert pod_loss([ours], [theirs]).item() == pytest.approx(expected, rel=1e-6)


def test_groups_and_images_count_alike_however_large_their_maps_are() -> None:
    generator = torch.Generator().manual_seed(0)
    shapes = [(5, 4, 8, 6), (5, 7, 2, 2), (5, 64, 1, 1)]
    ours, theirs = ([torch.randn(shape, generator=generator) for shape in shapes] for _ in "ab")
    expected = np.mean([distance(one, other) for one, other in zip(ours, theirs, strict=True)])
    assert pod_loss(ours, theirs).item() == pytest.approx(expected, rel=1e-5)


def test_maps_that_are_the_teachers_own_cost_nothing_and_pull_nowhere() -> None:
    maps = torch.rand(3, 2, 4, 4, requires_grad=True)
    loss = pod_loss([maps], [maps.detach()])
    loss.backward()
    assert maps.grad is not None
    assert (loss.item(), maps.grad.abs().max().item()) == (0, 0)


def as_the_authors_compute_it(logits: Tensor, labels: Tensor, margin: float) -> Tensor:
    """The lines of their NCA loss, in their order: subtract, stabilise, take the true one out."""
    similarities = logits - margin
    similarities = similarities - similarities.max(1, keepdim=True).values
    true = similarities[torch.arange(len(labels)), labels]
    taken_out = torch.zeros_like(similarities)
    taken_out[torch.arange(len(labels)), labels] = true
    return -(true - (similarities - taken_out).exp().sum(1).log()).mean()


@pytest.mark.parametrize("margin", [0.0, 0.6])
def test_nca_is_what_the_authors_compute_whatever_the_margin(margin: float) -> None:
    logits = 5 * torch.randn(40, 7, generator=torch.Generator().manual_seed(0)).double()
    logits.requires_grad_()
    labels = torch.arange(40) % 7
    both = [nca_loss(logits, labels), as_the_authors_compute_it(logits, labels, margin)]
    slopes = [torch.autograd.grad(loss, logits)[0] for loss in both]
    torch.testing.assert_close(both[0], both[1])
    torch.testing.assert_close(slopes[0], slopes[1])


def test_nca_is_cross_entropy_where_the_answer_is_right_and_more_where_it_is_wrong() -> None:
    logits = torch.tensor([[2.0, 1.0, -1.0]])
    right, wrong = torch.tensor([0]), torch.tensor([1])
    torch.testing.assert_close(nca_loss(logits, right), F.cross_entropy(logits, right))
    assert nca_loss(logits, wrong) > F.cross_entropy(logits, wrong)


def test_losses_are_weighted_as_the_settings_say(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    """In the third stage two of six classes are new."""
    learner = make_learner("podnet", flat_weight=2.0, pod_weight=7.0)
    stage = in_stage(learner, tiny_scenario.stages)
    assert learner.teacher is not None
    images, _ = batch_of(stage.train)
    now, then = learner.model.see(images), learner.teacher.see(images)
    turned = 1 - F.cosine_similarity(now.features.double(), then.features.double()).mean()
    moved = np.mean([distance(*pair) for pair in zip(now.maps, then.maps, strict=True)])
    found = losses_of(learner, stage)
    assert found["flat"].item() == pytest.approx(2 * np.sqrt(6 / 2) * turned.item(), rel=1e-4)
    assert found["pod"].item() == pytest.approx(7 * np.sqrt(6 / 2) * moved, rel=1e-4)


def test_the_maps_are_those_of_all_groups_of_the_backbone() -> None:
    learner, scenario = build(replace(QUICK, method="podnet", backbone="resnet8"))
    walk(learner, *scenario.stages[:1])
    seen = learner.model.see(scenario.stages[0].train.images()[:2])
    assert [one.shape[1] for one in seen.maps] == [16, 32, 64]


def test_a_class_has_as_many_prototypes_as_are_asked_for(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("podnet", proxies=3)
    records = stage_records(learn(learner, tiny_scenario))
    assert [len(head.weight) for head in learner.model.classifier.heads] == [6, 6, 6]
    assert [len(record.after.norms) for record in records] == [2, 4, 6]


def test_the_second_training_sees_as_many_images_of_each_class(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    """6 exemplars of each of 2 old classes, 20 images of each new one; 12 // 4 there will be."""
    learner = make_learner("podnet")
    stage = in_stage(learner, tiny_scenario.stages[:2])
    first, second = learner.phases(stage)
    assert first.samples.labels.bincount().tolist() == [6, 6, 20, 20]
    assert second.samples.labels.bincount().tolist() == [3, 3, 3, 3]


def test_there_is_one_training_where_nothing_is_old_and_where_no_second_is_wanted(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner, without = make_learner("podnet"), make_learner("podnet", tuning_epochs=0)
    assert len(learner.phases(tiny_scenario.stages[0])) == 1
    assert len(without.phases(in_stage(without, tiny_scenario.stages[:2]))) == 1


def test_neither_training_moves_old_prototypes(tiny_scenario: Scenario) -> None:
    learner = tiny_learner(PODNet, replace(TINY, method="podnet", tuning_lr=0.1))
    records = learn(learner, tiny_scenario)
    for _ in range(3):  # the first stage
        next(records)
    [old] = learner.model.classifier.heads
    before = old.weight.detach().clone()
    for _ in range(3):  # two epochs, and one of the second training
        next(records)
    assert torch.equal(old.weight, before)


def test_smoothing_of_a_cross_entropy_that_is_not_there_is_refused() -> None:
    with pytest.raises(InputError, match="label_smoothing is the cross-entropy's"):
        Config(method="podnet", label_smoothing=0.1)
