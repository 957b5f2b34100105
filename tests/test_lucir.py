"""LUCIR: cosines, imprinted prototypes, and two losses, each against its formula in float64."""

import numpy as np
import pytest
import torch
from conftest import MakeLearner
from numpy.typing import NDArray
from test_methods import batch_of, begun, in_stage, losses_of, walk
from torch import Tensor

from cilkit import Learner, Scenario, learn
from cilkit.heads import CosineClassifier
from cilkit.methods.lucir import ranking_loss


def unit(rows: Tensor) -> NDArray[np.float64]:
    values = rows.detach().double().numpy()
    return values / np.sqrt((values**2).sum(axis=1, keepdims=True))


def head_of(learner: Learner) -> CosineClassifier:
    assert isinstance(learner.model.classifier, CosineClassifier)
    return learner.model.classifier


# The cosine head


def test_logits_are_eta_times_cosines() -> None:
    head = CosineClassifier(16, bias=True)
    head.grow_to(2)
    head.grow_to(5)
    torch.nn.init.constant_(head.eta, 7.0)
    features = torch.randn(9, 16, generator=torch.Generator().manual_seed(0))
    expected = 7 * unit(features) @ unit(head.weight).T
    np.testing.assert_allclose(head(features).detach().numpy(), expected, atol=1e-5)
    assert head.head_sizes == [2, 3]


def test_several_prototypes_of_a_class_are_averaged_by_their_softmax() -> None:
    head = CosineClassifier(16)
    head.proxies = 4
    head.grow_to(2)
    head.grow_to(3)
    features = torch.randn(9, 16, generator=torch.Generator().manual_seed(0))
    each = (unit(features) @ unit(head.weight).T).reshape(9, 3, 4)
    share = np.exp(each) / np.exp(each).sum(axis=2, keepdims=True)
    found = head.cosines(features).detach().numpy()
    np.testing.assert_allclose(found, (share * each).sum(axis=2), atol=1e-6)
    assert (head.head_sizes, len(head.norms())) == ([2, 1], 3)


# Growing


def test_old_prototypes_stay_where_they_are_while_new_ones_learn(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("lucir", weight_decay=0.01)
    records = learn(learner, tiny_scenario)
    for _ in range(3):  # the first stage
        next(records)
    before = head_of(learner).weight.detach().clone()
    next(records)
    started = head_of(learner).weight.detach().clone()
    next(records)
    after = head_of(learner).weight.detach()
    assert torch.equal(started[:2], before) and torch.equal(after[:2], before)
    assert not torch.equal(after[2:], started[2:])


def test_new_prototypes_point_to_their_classes_means_and_are_as_long_as_old_ones(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("lucir")
    first, second, _ = tiny_scenario.stages
    walk(learner, first)
    samples = begun(learner, second)
    weight = head_of(learner).weight.detach().double().numpy()
    length = np.sqrt((weight[:2] ** 2).sum(axis=1)).mean()
    for label in (2, 3):
        images = samples.images()[samples.labels == label]
        mean = unit(learner.model.features(images)).mean(axis=0)
        expected = length * mean / np.sqrt((mean**2).sum())
        np.testing.assert_allclose(weight[label], expected, rtol=1e-4, atol=1e-6)


def test_features_may_be_negative(make_learner: MakeLearner, tiny_scenario: Scenario) -> None:
    features = make_learner("lucir").model.features(tiny_scenario.stages[0].train.images())
    assert bool((features < 0).any())


# The losses


def test_features_are_held_as_the_formula_says(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    """In the third stage four classes are old and two are new."""
    learner = make_learner("lucir", less_forget=3.0)
    stage = in_stage(learner, tiny_scenario.stages)
    assert learner.teacher is not None
    images, _ = batch_of(stage.train)
    now, then = (unit(model.features(images)) for model in (learner.model, learner.teacher))
    expected = 3 * np.sqrt(4 / 2) * (1 - (now * then).sum(axis=1)).mean()
    assert losses_of(learner, stage)["features"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("rivals", [1, 2, 9])
def test_exemplars_are_set_apart_from_the_nearest_new_classes(rivals: int) -> None:
    cosines = torch.rand(20, 7, generator=torch.Generator().manual_seed(0)) * 2 - 1
    labels = torch.arange(20) % 7
    values, missing = cosines.double().numpy(), []
    for row, label in zip(values, labels.tolist(), strict=True):
        if label < 4:
            nearest = sorted(row[4:], reverse=True)[:rivals]
            missing += [max(0.0, 0.5 - row[label] + rival) for rival in nearest]
    found = ranking_loss(cosines, labels, 4, 0.5, rivals)
    assert found.item() == pytest.approx(np.mean(missing), rel=1e-5)


def test_new_images_alone_are_set_apart_from_nothing() -> None:
    assert ranking_loss(torch.zeros(3, 4), torch.tensor([2, 3, 2]), 2, 0.5, 2) == 0


def test_the_ranking_sees_cosines_whatever_eta_is(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("lucir", ranking_weight=2.0)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    samples = learner.samples(stage)
    images, labels = samples.images()[-9:], samples.labels[-9:]  # exemplars come last
    torch.nn.init.constant_(head_of(learner).eta, 30.0)
    seen = learner.model.see(images)
    cosines = torch.tensor(unit(seen.features) @ unit(head_of(learner).weight).T)
    expected = 2 * ranking_loss(cosines, labels, 2, 0.5, 2)
    assert learner.losses(seen, labels)["ranking"].item() == pytest.approx(
        expected.item(), rel=1e-4
    )
    assert expected > 0


def test_the_teacher_is_the_model_at_the_end_of_a_stage(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("lucir")
    stage = in_stage(learner, tiny_scenario.stages[:2])
    learner.end(stage)
    assert learner.teacher is not None
    images, _ = batch_of(stage.train)
    assert torch.equal(learner.teacher(images), learner.model(images))
    assert {weight.requires_grad for weight in learner.teacher.parameters()} == {False}
