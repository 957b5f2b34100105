"""What the loop relies on, for every method of the registry and one with a rule of its own."""

import json
from dataclasses import replace
from itertools import islice
from math import isnan
from typing import Any

import doors
import pytest
import torch
from conftest import TINY, same, tiny_learner
from trouble import finish, start

from cilkit import Learner, Scenario, Stage, learn
from cilkit.methods.podnet import PODNet
from cilkit.runs.records import EpochRecord, stage_records

METHODS = doors.methods()
every_method = pytest.mark.parametrize("method", METHODS)


def weights(learner: Learner) -> dict[str, Any]:
    return {name: value.tolist() for name, value in learner.model.state_dict().items()}


@every_method
def test_growing_twice_is_growing_once(method: str, tiny_scenario: Scenario) -> None:
    learner = METHODS[method]()
    for stage in tiny_scenario.stages:
        learner.grow(stage)
        once = weights(learner)
        learner.grow(stage)
        assert weights(learner) == once


@every_method
def test_asked_again_a_method_trains_on_the_same(method: str, tiny_scenario: Scenario) -> None:
    learner = METHODS[method]()
    list(islice(learn(learner, tiny_scenario), 3))  # the first stage
    second = tiny_scenario.stages[1]
    learner.grow(second)
    learner.begin(second)
    for one, other in zip(learner.phases(second), learner.phases(second), strict=True):
        assert same(one.samples, other.samples)
        assert one.plan == other.plan


@every_method
def test_every_stage_is_tested_on_all_classes_seen(method: str, tiny_scenario: Scenario) -> None:
    records = stage_records(learn(METHODS[method](), tiny_scenario))
    assert [len(record.after.confusion) for record in records] == [2, 4, 6]


@every_method
def test_an_image_is_answered_alone_as_among_others(method: str, tiny_scenario: Scenario) -> None:
    learner = METHODS[method]()
    list(learn(learner, tiny_scenario))
    learner.model.eval()
    images = tiny_scenario.stages[-1].test.images()[:6]
    with torch.no_grad():
        among = learner.scores(learner.model.see(images))
        alone = [learner.scores(learner.model.see(image[None])) for image in images]
    torch.testing.assert_close(torch.cat(alone), among, rtol=1e-4, atol=1e-5)


@every_method
def test_any_record_can_be_gone_on_from(method: str, tiny_scenario: Scenario) -> None:
    assert doors.stops_that_differ(METHODS[method], tiny_scenario) == []


@pytest.fixture(scope="module", params=[2, 3])
def in_processes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, list[int]]]:
    folder = tmp_path_factory.mktemp(f"of{request.param}")
    log = folder / "log"
    statuses = finish(start(doors.work, folder, size=request.param, log=log))
    assert statuses == [0] * request.param, log.read_text()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(request.param)]


@pytest.mark.slow
@every_method
def test_several_processes_go_on_from_a_stages_end_and_from_within_a_stage(
    method: str, in_processes: list[dict[str, list[int]]]
) -> None:
    assert [found[method] for found in in_processes] == [[]] * len(in_processes)


@pytest.mark.slow
def test_processes_that_remember_different_things_are_stopped(
    in_processes: list[dict[str, list[int]]],
) -> None:
    assert [found["drifting"] for found in in_processes] == [[1]] * len(in_processes)


# The three doors


def test_a_rule_of_its_own_is_what_a_test_looks_at(tiny_scenario: Scenario) -> None:
    learner = METHODS["nearest-mean"]()
    record = stage_records(learn(learner, tiny_scenario))[-1]
    test = tiny_scenario.stages[-1].test
    with torch.no_grad():
        features = learner.model.eval().features(test.images())
    distances = torch.cdist(features / features.norm(dim=1, keepdim=True), learner.own["means"])
    right = (distances.argmin(1) == test.labels).sum().item()
    assert sum(record.after.confusion[i][i] for i in range(6)) == right


def test_scores_that_are_no_logits_have_no_calibration(tiny_scenario: Scenario) -> None:
    records = stage_records(learn(METHODS["nearest-mean"](), tiny_scenario))
    assert all(isnan(record.after.calibration_error) for record in records)


def test_epochs_count_on_through_the_phases_of_a_stage(tiny_scenario: Scenario) -> None:
    config = replace(TINY, method="podnet", tuning_epochs=2, tuning_lr=0.01)
    learner = tiny_learner(PODNet, config)
    records = [r for r in learn(learner, tiny_scenario) if isinstance(r, EpochRecord)]
    second = [(r.epoch, r.epochs, r.lr) for r in records if r.stage == 1]
    assert second == [(1, 4, 0.02), (2, 4, 0.01), (3, 4, 0.01), (4, 4, 0.005)]


class Counting(Learner):
    """Counts how often a stage begins."""

    begun = 0

    def begin(self, stage: Stage) -> None:
        self.begun += 1


def test_a_stage_that_goes_on_does_not_begin_again(tiny_scenario: Scenario) -> None:
    learner = tiny_learner(Counting, TINY)
    while next(learn(learner, tiny_scenario), None):  # a new loop after each record
        pass
    assert learner.begun == len(tiny_scenario.stages)
