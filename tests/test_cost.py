"""What a stage costs: FLOPs by closed forms, images, parameters, and what is kept."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from math import isnan, nan
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from conftest import TINY, MakeLearner, MakeModel, TinyBackbone, tiny, tiny_learner
from quick import QUICK
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cilkit import METHODS, Learner, Scenario, Stage, build, build_scenario, learn, run
from cilkit.inference import flops_of_looking, training_cost
from cilkit.model import Seen
from cilkit.runs.records import StageRecord, epoch_records, from_json, stage_records
from cilkit.state import fingerprint_of

# A tiny backbone multiplies 3 * 8 * 8 pixels by 16 rows, its head 16 features by a row each class.
BACKBONE, CLASS = 2 * 192 * 16, 2 * 16
IMAGES = 40  # of a tiny stage: two classes of 20 images


def look(n_classes: int) -> int:
    """Return the FLOPs of an image's way forward."""
    return BACKBONE + CLASS * n_classes


def step(n_classes: int) -> int:
    """Return those of both ways: pixels need no gradient, features and all weights do."""
    return 2 * BACKBONE + 3 * CLASS * n_classes


def records_of(method: str, **changes: Any) -> list[StageRecord]:
    config = replace(TINY, method=method, **changes)
    return stage_records(learn(tiny_learner(METHODS[method], config), build_scenario(tiny(), TINY)))


def in_stage(learner: Learner, scenario: Scenario, index: int) -> Stage:
    """Teach the stages before one, and begin it."""
    records = learn(learner, scenario)
    list(islice((one for one in records if isinstance(one, StageRecord)), index))
    stage = scenario.stages[index]
    learner.grow(stage)
    learner.begin(stage)
    return stage


def test_fine_tuning_takes_both_ways_for_each_image_of_each_epoch() -> None:
    found = [(one.cost.images, one.cost.flops) for one in records_of("finetune")]
    assert found == [(2 * IMAGES, 2 * IMAGES * step(n)) for n in (2, 4, 6)]


def test_joint_training_takes_as_much_for_all_images_so_far() -> None:
    found = [(one.cost.images, one.cost.flops) for one in records_of("joint")]
    assert found == [(2 * IMAGES * k, 2 * IMAGES * k * step(2 * k)) for k in (1, 2, 3)]


def test_a_teacher_costs_a_look_at_each_image() -> None:
    last = records_of("lwf")[-1].cost
    assert last.flops == 2 * IMAGES * (step(6) + look(4))


def test_exemplars_are_trained_on_and_take_a_look_at_all_new_images() -> None:
    last = records_of("replay", budget=12)[-1].cost
    assert last.images == 2 * (IMAGES + 12)
    assert last.flops == last.images * step(6) + IMAGES * look(6)


def test_a_second_training_counts_its_own_images_and_epochs() -> None:
    """Three stages of two classes share 12 exemplars: 2 of each class in the last balanced set."""
    last = records_of("podnet", budget=12, tuning_epochs=3)[-1].cost
    assert last.images == 2 * (IMAGES + 12) + 3 * 6 * 2


def test_who_trains_nothing_pays_for_a_look_at_each_new_image() -> None:
    last = records_of("means")[-1].cost
    assert (last.images, last.flops) == (0, IMAGES * look(6))


@pytest.mark.parametrize("expansion", [0, 5])
def test_ridge_pays_for_its_sums_as_torch_counts_them_and_for_the_solution(
    expansion: int, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("ridge", expansion=expansion)
    stage = in_stage(learner, tiny_scenario, 1)
    with FlopCounterMode(display=False) as counter:
        learner.end(stage)
    width = expansion or 16
    solution = 2 * width**3 / 3 + 2 * width**2 * 4  # a decomposition, and two triangles a class
    found = learner.aside(stage, BACKBONE)  # `features` leaves the head out
    assert found == pytest.approx(counter.get_total_flops() + solution)


# Of bic, looks at the few images held out are not counted; ewc looks at slopes, not in batches.
LOOKING = [name for name in METHODS if name not in ("bic", "ewc")]


@pytest.mark.parametrize("method", LOOKING)
def test_a_method_counts_the_looks_that_it_takes_beside_the_training(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner, looks = make_learner(method), []
    stage = in_stage(learner, tiny_scenario, 1)
    forward = TinyBackbone.forward

    def watched(self: TinyBackbone, images: Tensor) -> Tensor:
        looks.append(len(images))
        return forward(self, images)

    monkeypatch.setattr(TinyBackbone, "forward", watched)
    learner.begin(stage)
    learner.end(stage)
    backbones = len(looks) if method == "der" else 1  # all of them look
    assert learner.aside(stage, 1.0) - learner.aside(stage, 0.0) == sum(looks) / backbones


def test_a_slope_of_ewc_is_worth_three_looks(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("ewc")
    assert learner.aside(in_stage(learner, tiny_scenario, 1), 1.0) == 3 * IMAGES


@pytest.mark.parametrize(
    ("method", "kept"),
    [
        ("finetune", 0),
        ("joint", 3 * IMAGES * 192),
        ("replay", 12 * 192),
        ("icarl", 12 * 192 + 6 * 16 * 4),  # and a mean of each class, in float32
        ("means", 6 * 16 * 4),
        ("ridge", 8 * (16 * 16 + 2 * 16 * 6)),  # both sums and the solution, in float64
        ("ewc", 2 * 4 * (16 * 192 + 16 + 6 * 16)),  # the stiffness and the rest of each weight
    ],
)
def test_old_images_and_the_methods_own_numbers_are_kept(method: str, kept: int) -> None:
    assert records_of(method)[-1].cost.kept == kept


@pytest.fixture
def noting() -> Iterator[type[Learner]]:
    """A method whose losses are not pure."""

    class Noting(Learner):
        def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
            self.own["steps"] = self.own.get("steps", torch.zeros(())).add_(1)
            return super().losses(seen, labels)

    yield Noting


def test_counting_leaves_no_trace_in_the_learner_nor_in_chance(noting: type[Learner]) -> None:
    learner, scenario = build(replace(QUICK, method="finetune"))
    learner = noting(learner.model, learner.config)
    records = learn(learner, scenario)
    next(records)
    before = fingerprint_of(learner), torch.get_rng_state().tolist(), learner.model.training
    stage = scenario.stages[0]
    assert training_cost(learner, stage, learner.phases(stage)).flops > 0
    after = fingerprint_of(learner), torch.get_rng_state().tolist(), learner.model.training
    assert after == before


class Attending(nn.Module):
    """Images (B, 3, 8, 8) -> 64 pixels of 3 channels that attend to each other -> (B, 3)."""

    def forward(self, images: Tensor) -> Tensor:
        pixels = images.flatten(2).transpose(1, 2)[:, None]
        return F.scaled_dot_product_attention(pixels, pixels, pixels).mean((1, 2))


def test_attention_counts_as_two_products_of_matrices(make_model: MakeModel) -> None:
    model = make_model(Attending(), features=3)
    model.grow_to(2)
    head = 2 * 3 * 2
    assert flops_of_looking(model, tiny().train) == 2 * (2 * 64 * 64 * 3) + head


def test_a_stages_record_says_how_long_its_epochs_took_and_how_fast_that_was() -> None:
    records = run(replace(QUICK, method="finetune"))
    for stage in stage_records(records):
        took = sum(one.seconds for one in epoch_records(records) if one.stage == stage.stage)
        assert stage.training_seconds == pytest.approx(took, abs=1e-3)
        assert stage.images_per_second == pytest.approx(stage.cost.images / took, rel=0.01)


def test_times_do_not_tell_records_apart_and_costs_do() -> None:
    record = records_of("finetune")[0]
    assert replace(record, training_seconds=9.0) == record
    assert replace(record, cost=replace(record.cost, flops=9)) != record


def test_a_record_of_an_earlier_version_has_costs_that_are_no_numbers() -> None:
    record = records_of("finetune")[0]
    values = json.loads(record.line)
    del values["cost"], values["training_seconds"]
    old = from_json(json.dumps(values))
    assert isinstance(old, StageRecord) and isnan(old.cost.flops) and isnan(old.images_per_second)
    assert from_json(old.line) == old == replace(record, cost=replace(record.cost, **ALL_NAN))


ALL_NAN = dict.fromkeys(("images", "flops", "parameters", "kept"), nan)
