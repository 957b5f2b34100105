"""iCaRL: the nearest mean of exemplars answers, by the network as it is now."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from conftest import MakeLearner
from numpy.typing import NDArray
from torch import Tensor

from cilkit.data.scenario import Scenario
from cilkit.learner import Learner
from cilkit.loop import learn
from cilkit.runs.records import StageRecord, stage_records
from cilkit.state import restore, state_of

Run = tuple[Learner, list[StageRecord]]


@pytest.fixture
def learned(make_learner: MakeLearner, tiny_scenario: Scenario) -> Run:
    """A learner after all stages, and their records."""
    learner = make_learner("icarl")
    return learner, stage_records(learn(learner, tiny_scenario))


def unit_feature(learner: Learner, image: Tensor) -> NDArray[np.float64]:
    with torch.no_grad():
        feature = learner.model.eval().features(image[None])[0].double().numpy()
    return feature / np.sqrt((feature**2).sum())


def literal_means(learner: Learner) -> list[NDArray[np.float64]]:
    """Algorithm 1's means, one image after the other; each operation's result has length 1."""
    means = []
    for exemplars in learner.memory.by_class:
        total = np.zeros(16)
        for image in exemplars.images():
            total += unit_feature(learner, image)
        means.append(total / np.sqrt((total**2).sum()))
    return means


def test_the_means_of_all_classes_are_those_of_a_literal_loop(learned: Run) -> None:
    expected = literal_means(learned[0])
    assert len(expected) == 6
    np.testing.assert_allclose(learned[0].own["means"].numpy(), expected, atol=1e-6)


def test_after_a_stage_the_nearest_mean_answers(learned: Run, tiny_scenario: Scenario) -> None:
    (learner, records), test = learned, tiny_scenario.stages[-1].test
    confusion, means = np.zeros((6, 6), dtype=int), literal_means(learner)
    for image, label in zip(test.images(), test.labels.tolist(), strict=True):
        feature = unit_feature(learner, image)
        confusion[label, np.argmin([((feature - mean) ** 2).sum() for mean in means])] += 1
    assert records[-1].after.confusion == confusion.tolist()


def test_before_a_stages_end_the_head_answers(learned: Run, tiny_scenario: Scenario) -> None:
    (learner, records), test = learned, tiny_scenario.stages[-1].test
    predicted = learner.model.eval()(test.images()).argmax(1).numpy()
    confusion = np.zeros((6, 6), dtype=int)
    np.add.at(confusion, (test.labels.numpy(), predicted), 1)
    assert records[-1].before.confusion == confusion.tolist()


def test_a_checkpoint_answers_as_the_learner_did(
    learned: Run, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner, other = learned[0], make_learner("icarl")
    restore(other, tiny_scenario.stages, *deepcopy(state_of(learner)))
    seen = learner.model.eval().see(tiny_scenario.stages[-1].test.images())
    assert torch.equal(other.scores(seen), learner.scores(seen))
