"""A loop that was left, anywhere and for whatever reason, goes on as if nobody had left it."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

import numpy as np
import pytest
import torch
from quick import QUICK
from torch import Tensor

from cilkit import METHODS, Learner, Scenario, Stage, build, learn
from cilkit.methods import WA
from cilkit.runs.records import Record

pytestmark = pytest.mark.slow
KINDS = 3 * ["epoch", "epoch", "stage"]
Patch = pytest.MonkeyPatch


@pytest.fixture(autouse=True)
def somebody_at_the_keyboard() -> Iterator[None]:
    """A program that a shell has put into the background hears no Ctrl-C at all."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@dataclass
class Ended:
    """What a learner came to."""

    records: list[Record]
    weights: dict[str, Tensor]


def ended(learner: Learner, records: list[Any]) -> Ended:
    return Ended(records, learner.model.state_dict())


@pytest.fixture(scope="module")
def whole() -> Ended:
    """A loop that nobody left; resnet8, whose batch norm and momentum remember."""
    learner, scenario = build(QUICK)
    return ended(learner, list(learn(learner, scenario)))


def assert_same(found: Ended, whole: Ended) -> None:
    assert found.records == whole.records
    assert found.weights.keys() == whole.weights.keys()
    differ = [name for name in whole.weights if not found.weights[name].equal(whole.weights[name])]
    assert differ == []


def look_around(learner: Learner, scenario: Scenario) -> None:
    """Do what people do between two records: test the model, and draw random numbers."""
    learner.model.eval()
    with torch.no_grad():
        learner.model(scenario.stages[0].test.images()[:5])
    torch.rand(7), np.random.rand(7)


@pytest.mark.parametrize("number", range(1, len(KINDS)))
def test_a_loop_left_after_any_record_goes_on_to_the_same_end(number: int, whole: Ended) -> None:
    learner, scenario = build(QUICK)
    records = list(islice(learn(learner, scenario), number))
    assert records[-1].kind == KINDS[number - 1]
    look_around(learner, scenario)
    assert_same(ended(learner, [*records, *learn(learner, scenario)]), whole)


def test_a_loop_left_after_every_record_goes_on_to_the_same_end(whole: Ended) -> None:
    learner, scenario = build(QUICK)
    records = []
    while record := next(learn(learner, scenario), None):
        records.append(record)
    assert_same(ended(learner, records), whole)


def interrupted(learner: Learner, scenario: Scenario) -> list[Any]:
    """Collect records until Ctrl-C ends the loop."""
    records = []
    with pytest.raises(KeyboardInterrupt):
        for record in learn(learner, scenario):
            records.append(record)
    return records


def at_call(number: int, function: Callable[..., Any], do: Callable[[], object]) -> Any:
    """Return the function, but for one call, in which something else happens first."""
    calls = count(1)

    def changed(*arguments: Any, **options: Any) -> Any:
        if next(calls) == number:
            do()
        return function(*arguments, **options)

    return changed


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def press_it_twice() -> None:
    press_ctrl_c()
    press_ctrl_c()


def fail() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("step", [1, 9, 13, 22])
@pytest.mark.parametrize("place", ["losses", "finish_step"])
def test_ctrl_c_waits_for_the_end_of_a_step(step: int, place: str, whole: Ended) -> None:
    """Half a step could not be taken back: batch norm has seen its images."""
    learner, scenario = build(QUICK)
    owner = learner.progress if place == "finish_step" else learner
    setattr(owner, place, at_call(step, getattr(owner, place), press_ctrl_c))
    records = interrupted(learner, scenario)
    assert_same(ended(learner, [*records, *learn(learner, scenario)]), whole)


def test_ctrl_c_in_the_optimizers_step_waits_for_its_end(whole: Ended) -> None:
    learner, scenario = build(QUICK)
    list(islice(learn(learner, scenario), 1))
    optimizer = learner.progress.optimizer
    assert optimizer is not None
    # One optimizer's own; mypy allows no method to be replaced.
    optimizer.step = at_call(3, optimizer.step, press_ctrl_c)  # type: ignore[method-assign]
    assert interrupted(learner, scenario) == []
    records = [whole.records[0], *learn(learner, scenario)]
    assert_same(ended(learner, records), whole)


def test_a_second_ctrl_c_does_not_wait() -> None:
    learner, scenario = build(QUICK)
    # One learner's own; mypy allows no method to be replaced.
    learner.losses = at_call(5, learner.losses, press_it_twice)  # type: ignore[method-assign]
    interrupted(learner, scenario)
    assert learner.progress.step == 4


def test_ctrl_c_means_what_it_meant_as_soon_as_a_step_is_done() -> None:
    learner, scenario = build(QUICK)
    next(learn(learner, scenario))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("cilkit.loop.examine", 1),  # before the alignment
        ("cilkit.methods.replay.features_of", 1),  # after it, in the middle of `end`
        ("cilkit.methods.replay.features_of", 2),
        ("cilkit.loop.examine", 4),  # after `end`, before the record
        ("cilkit.loop.fingerprint_of", 2),
    ],
)
def test_a_loop_broken_off_at_the_end_of_a_stage_ends_that_stage_anew(
    place: str, call: int, whole: Ended, monkeypatch: Patch
) -> None:
    module, name = place.rsplit(".", 1)
    learner, scenario = build(QUICK)
    function = getattr(__import__(module, fromlist=[name]), name)
    monkeypatch.setattr(place, at_call(call, function, fail))
    records = interrupted(learner, scenario)
    assert_same(ended(learner, [*records, *learn(learner, scenario)]), whole)


class Drawing(WA):
    """WA that draws a number in each of its verbs."""

    def end(self, stage: Stage) -> dict[str, float]:
        return super().end(stage) | {"drawn": float(torch.rand(())) + np.random.rand()}


def test_a_method_that_draws_in_its_end_goes_on_to_the_same(monkeypatch: Patch) -> None:
    monkeypatch.setitem(METHODS, "other", Drawing)
    config = replace(QUICK, method="other", base=5, increment=5)
    learner, scenario = build(config)
    expected = ended(learner, list(learn(learner, scenario)))
    learner, scenario = build(config)
    records = []
    while record := next(learn(learner, scenario), None):
        records.append(record)
        look_around(learner, scenario)
    assert_same(ended(learner, records), expected)
