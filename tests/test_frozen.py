"""Methods on a frozen backbone: class means, ridge regression, pseudo-features."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from conftest import MakeLearner
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.neighbors import NearestCentroid
from torch import Tensor

from cilkit.config import Config
from cilkit.data.samples import DataSet, Samples
from cilkit.data.scenario import Scenario, Stage, build_scenario
from cilkit.inference import features_of
from cilkit.learner import Learner
from cilkit.loop import learn
from cilkit.model import Seen
from cilkit.runs.records import epoch_records, stage_records

FROZEN = ("means", "ridge", "fetril")
every_method = pytest.mark.parametrize("method", FROZEN)
expansions = pytest.mark.parametrize("expansion", [0, 40])
Array = NDArray[np.float64]


def learned(learner: Learner, scenario: Scenario) -> Learner:
    list(learn(learner, scenario))
    return learner


def backbone(learner: Learner) -> list[Tensor]:
    return [value.clone() for value in learner.model.backbone.state_dict().values()]


def noise() -> Tensor:
    """Images of no class, which lie between all."""
    generator = torch.Generator().manual_seed(5)
    return torch.randint(0, 256, (200, 3, 8, 8), generator=generator).byte()


def answers(learner: Learner, images: Tensor) -> list[int]:
    with torch.no_grad():
        return learner.scores(learner.model.eval().see(images)).argmax(1).tolist()


# The backbone


@every_method
def test_the_backbone_learns_in_the_first_stage_alone(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner, states = make_learner(method), []
    states.append(backbone(learner))
    for record in learn(learner, tiny_scenario):
        if record.kind == "stage":
            states.append(backbone(learner))
    moved = [
        any(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
        for before, after in pairwise(states)
    ]
    assert moved == [True, False, False]


@every_method
def test_a_backbone_that_comes_trained_stays_as_it_came(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method, pretrained=True)
    before = backbone(learner)
    after = backbone(learned(learner, tiny_scenario))
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


@pytest.mark.parametrize("method", ["means", "ridge"])
def test_what_has_a_closed_form_takes_no_step_on_frozen_features(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    records = epoch_records(learn(make_learner(method), tiny_scenario))
    assert {record.stage for record in records} == {0}


@every_method
def test_no_exemplar_is_kept(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    records = stage_records(learn(make_learner(method), tiny_scenario))
    assert [record.exemplars for record in records] == [0, 0, 0]


# Class means


def test_means_are_the_nearest_centroids_of_unit_features(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner, train = make_learner("means"), tiny_scenario.stages[-1].train_so_far
    learned(learner, tiny_scenario)

    def unit(images: Tensor) -> Array:
        with torch.no_grad():
            features = learner.model.eval().features(images).double().numpy()
        return features / np.linalg.norm(features, axis=1, keepdims=True)

    rule = NearestCentroid().fit(unit(train.images()), train.labels.numpy())
    np.testing.assert_allclose(learner.own["means"].numpy(), rule.centroids_, atol=1e-6)
    assert answers(learner, noise()) == rule.predict(unit(noise())).tolist()


# Ridge regression


def shuffled(samples: Samples) -> Samples:
    return samples.take(torch.randperm(len(samples), generator=torch.Generator().manual_seed(2)))


def solution(learner: Learner, scenario: Scenario) -> Tensor:
    """Return the weights by the classes' names, whatever their order of arrival."""
    weight = learned(learner, scenario).own["weight"]
    return weight[torch.tensor(scenario.class_order).argsort()]


@expansions
def test_the_order_of_stages_does_not_matter(
    expansion: int, make_learner: MakeLearner, tiny_dataset: DataSet, tiny_config: Config
) -> None:
    one, other = (
        solution(
            make_learner("ridge", pretrained=True, expansion=expansion),
            build_scenario(tiny_dataset, replace(tiny_config, class_order=order, increment=size)),
        )
        for order, size in (((0, 1, 2, 3, 4, 5), 2), ((4, 2, 0, 5, 3, 1), 3))
    )
    torch.testing.assert_close(one, other, atol=1e-8, rtol=0)


@expansions
def test_the_order_of_images_does_not_matter(
    expansion: int, make_learner: MakeLearner, tiny_dataset: DataSet, tiny_config: Config
) -> None:
    one, other = (
        solution(
            make_learner("ridge", pretrained=True, expansion=expansion),
            build_scenario(dataset, tiny_config),
        )
        for dataset in (tiny_dataset, replace(tiny_dataset, train=shuffled(tiny_dataset.train)))
    )
    torch.testing.assert_close(one, other, atol=1e-8, rtol=0)


@expansions
def test_the_size_of_chunks_does_not_matter(
    expansion: int,
    make_learner: MakeLearner,
    tiny_scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    weights = []
    for size in (256, 7):
        monkeypatch.setattr("cilkit.methods.ridge.CHUNK", size)
        weights.append(solution(make_learner("ridge", expansion=expansion), tiny_scenario))
    torch.testing.assert_close(*weights, atol=1e-8, rtol=0)


@pytest.fixture(params=[(0, 1.0), (0, 50.0), (40, 1.0)], ids=str)
def fitted(
    request: pytest.FixtureRequest, make_learner: MakeLearner, tiny_scenario: Scenario
) -> tuple[float, Array, Array, Array]:
    """The ridge, all images' features and targets, and the solution that the stages led to."""
    expansion, ridge = request.param
    learner = learned(make_learner("ridge", ridge=ridge, expansion=expansion), tiny_scenario)
    train = tiny_scenario.stages[-1].train_so_far
    rows = features_of(learner.model, train).double().numpy()
    if expansion:
        rows = np.maximum(rows @ learner.own["directions"].numpy(), 0)
    return ridge, rows, np.eye(6)[train.labels.numpy()], learner.own["weight"].numpy()


def test_the_weights_are_the_least_squares_of_all_images(
    fitted: tuple[float, Array, Array, Array],
) -> None:
    """A ridge is one more image for each feature, whose answer is 0."""
    ridge, rows, targets, weight = fitted
    size = rows.shape[1]
    more = np.concatenate([rows, np.sqrt(ridge) * np.eye(size)])
    asked = np.concatenate([targets, np.zeros((size, 6))])
    np.testing.assert_allclose(weight.T, np.linalg.lstsq(more, asked)[0], atol=1e-8)


def test_the_weights_are_those_of_scikit_learn(fitted: tuple[float, Array, Array, Array]) -> None:
    ridge, rows, targets, weight = fitted
    model = Ridge(alpha=ridge, fit_intercept=False).fit(rows, targets)
    np.testing.assert_allclose(weight, model.coef_, atol=1e-8)


def test_the_largest_product_with_the_weights_answers(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = learned(make_learner("ridge"), tiny_scenario)
    with torch.no_grad():
        rows = learner.model.eval().features(noise()).double()
    assert answers(learner, noise()) == (rows @ learner.own["weight"].T).argmax(1).tolist()


def test_ridge_keeps_as_much_after_many_images_as_after_few(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    own = learned(make_learner("ridge", expansion=40), tiny_scenario).own
    shapes = {name: tuple(tensor.shape) for name, tensor in own.items()}
    assert shapes == {"gram": (40, 40), "sums": (6, 40), "weight": (6, 40), "directions": (16, 40)}
    assert {tensor.dtype for tensor in own.values()} == {torch.float64}


# Pseudo-features


def second_stage(make_learner: MakeLearner, scenario: Scenario) -> tuple[Learner, Stage]:
    """Return a FeTrIL that has learned the first stage and begun the second."""
    learner, stage = make_learner("fetril"), scenario.stages[1]
    for record in learn(learner, scenario):
        if record.kind == "stage":
            break
    learner.grow(stage)
    learner.begin(stage)
    return learner, stage


def pseudo_features(learner: Learner, scenario: Scenario) -> list[tuple[int, Array]]:
    """Moved features by their classes, one image of the second stage after the other (Eq. 1)."""
    with torch.no_grad():
        every = learner.model.eval().features(scenario.stages[1].train_so_far.images())
    features, labels = every.double().numpy(), scenario.stages[1].train_so_far.labels.numpy()
    means = [features[labels == label].mean(0) for label in range(4)]
    lengths = [np.linalg.norm(mean) for mean in means]
    found = []
    for feature, label in zip(features[labels >= 2], labels[labels >= 2], strict=True):
        for old in (0, 1):
            cosines = [means[old] @ means[k] / lengths[old] / lengths[k] for k in (2, 3)]
            if label == 2 + np.argmax(cosines):
                found.append((old, feature + means[old] - means[label]))
    return found


def test_pseudo_features_are_those_of_the_likest_new_class_moved(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner, stage = second_stage(make_learner, tiny_scenario)
    expected = pseudo_features(learner, tiny_scenario)
    with torch.no_grad():
        features = learner.model.eval().features(stage.train.images())
    moved, classes = learner.moved(features, stage.train.labels, stage.n_old)
    assert classes.tolist() == [old for old, _ in expected]
    np.testing.assert_allclose(moved.numpy(), [row for _, row in expected], atol=1e-5)


def test_all_classes_weigh_the_same_in_the_head_s_loss(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    """With logits of 0 each of the 80 images and pseudo-images costs log 4; their mean is that."""
    learner, stage = second_stage(make_learner, tiny_scenario)
    for head in learner.model.classifier.heads:
        torch.nn.init.zeros_(head.weight)
    features = learner.model.eval().features(stage.train.images())
    losses = learner.losses(
        Seen(stage.train.images(), torch.zeros(40, 4), features), stage.train.labels
    )
    torch.testing.assert_close(sum(losses.values()), torch.tensor(4.0).log())


def test_a_head_that_learns_alone_has_its_own_plan(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("fetril", head_lr=3.0, head_weight_decay=0.1, weight_decay=0.2)
    plans = [phase.plan for stage in tiny_scenario.stages for phase in learner.phases(stage)]
    assert [plan.lr for plan in plans] == [0.02, 3.0, 3.0]
    assert [plan.weight_decay for plan in plans] == [0.2, 0.1, 0.1]
    assert {plan.epochs for plan in plans} == {2}


def test_fetril_keeps_nothing_but_means(make_learner: MakeLearner, tiny_scenario: Scenario) -> None:
    learner = learned(make_learner("fetril"), tiny_scenario)
    assert {name: tuple(tensor.shape) for name, tensor in learner.own.items()} == {"means": (6, 16)}
    assert (len(learner.memory), learner.teacher) == (0, None)
