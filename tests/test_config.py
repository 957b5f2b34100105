"""Settings: numbers of any library are taken, whatever else is given is refused in a sentence."""

import json
import pickle
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest
import torch

from cilkit import Config, InputError
from cilkit.config import names_of
from cilkit.data.scenario import class_order
from cilkit.methods.wa import WA

PLAIN = Config(base=4, increment=3, seed=0, epochs=2, lr=0.05)
ORDER = (3, 1, 4, 0, 5, 9, 2, 6, 8, 7)


@pytest.mark.parametrize(
    "settings",
    [
        {name: kind(value) for name, value in (("seed", 0), ("base", 4), ("epochs", 2))}
        for kind in (np.int64, np.int32, np.uint8, np.array, torch.tensor, np.float32, float)
    ]
    + [{"lr": kind("0.05")} for kind in (np.float16, np.float32, np.float64, np.longdouble)]
    + [{"nesterov": np.bool_(False), "dataset": np.str_("digits")}],
    ids=repr,
)
def test_a_number_of_numpy_is_the_same_setting_as_a_plain_one(settings: dict[str, Any]) -> None:
    config = replace(PLAIN, **settings)
    assert config == PLAIN
    assert json.dumps(config.as_dict()) == json.dumps(PLAIN.as_dict())


@pytest.mark.parametrize(
    "order",
    [
        np.array(ORDER),
        torch.tensor(ORDER),
        list(ORDER),
        tuple(np.array(ORDER, np.int16)),
        np.array(ORDER, np.float64),
    ],
    ids=repr,
)
def test_an_order_of_classes_may_be_an_array(order: Any) -> None:
    config = replace(PLAIN, class_order=order)
    assert config == replace(PLAIN, class_order=ORDER) and hash(config)
    assert config.as_dict()["class_order"] == list(ORDER)
    assert class_order(order, 10) == ORDER


def test_an_order_of_classes_may_be_a_range() -> None:
    order: Any = range(10)
    assert Config(class_order=order).class_order == tuple(range(10))


@pytest.mark.parametrize("length", [10**12, 10**30])
def test_a_range_is_not_counted_out_before_it_is_refused(length: int) -> None:
    for refused in (
        lambda: Config(class_order=range(length)),
        lambda: class_order(range(length), 3),
    ):
        with pytest.raises(InputError, match="class_order is range"):
            refused()


class Wordless:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


ODD = [None, True, -1, 2.5, "", "a\0b", b"x", [], [[1]], [None], {}, {1}, 1j, 10**5000, Wordless()]
ODD += [float("nan"), float("inf"), np.zeros((2, 2)), np.array(None), np.array(["x"]), range(0)]
ODD += [np.datetime64("2019"), np.clongdouble(1), torch.empty(2, device="meta"), lambda: None]
ODD += [(n for n in (1, 2)), Path("x"), Config, torch.zeros(2).to_sparse(), np.float64("nan")]


@pytest.mark.parametrize("name", names_of(WA.Settings))
def test_whatever_is_given_for_a_setting_is_accepted_or_refused_in_a_sentence(name: str) -> None:
    for value in ODD:
        try:
            json.dumps(replace(PLAIN, **{name: value}).as_dict())
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 300


@pytest.mark.parametrize("value", ODD, ids=lambda value: type(value).__name__)
def test_whatever_is_given_for_an_order_is_accepted_or_refused_in_a_sentence(value: Any) -> None:
    with pytest.raises(InputError, match=r"^class_order "):
        class_order(value, 10)


@pytest.mark.parametrize("name", Config.limits())
def test_a_limit_is_printed_as_it_is_kept(name: str) -> None:
    """What is a little beyond it must not read like what lies within."""
    for limit, way in zip(Config.limits()[name], (-1, 1), strict=True):
        whole = int in (kind := get_type_hints(Config)[name], *get_args(kind))
        beyond = int(limit) + way if whole else limit + way * max(1e-9, 1e-7 * limit)
        with pytest.raises(InputError) as refused:
            replace(PLAIN, **{name: beyond})
        value, low, high = map(float, re.findall(r"-?\d[\d.e+-]*", str(refused.value))[-3:])
        assert not low <= value <= high


# A method's own settings


def test_a_configuration_has_the_settings_of_its_method_alone() -> None:
    assert "temperature" in Config(method="lwf").as_dict()
    assert not {"temperature", "budget"} & Config(method="finetune").as_dict().keys()


def test_what_only_another_method_knows_is_there_again_for_that_method() -> None:
    finetune = Config(method="finetune", budget=7, temperature=3)
    assert replace(replace(finetune, method="replay"), method="wa").temperature == 3  # type: ignore[attr-defined]  # WA's
    assert replace(finetune, method="replay").budget == 7  # type: ignore[attr-defined]  # replay's


def test_a_setting_that_no_method_has_is_refused() -> None:
    with pytest.raises(TypeError, match="patience"):
        Config(method="finetune", patience=3)  # type: ignore[call-arg]  # that is the mistake


def test_a_setting_of_another_method_has_its_limits_when_it_is_used() -> None:
    finetune = Config(method="finetune", budget=-1)
    with pytest.raises(InputError, match="budget is -1; it must lie between"):
        replace(finetune, method="replay")


@pytest.mark.parametrize("copied", [deepcopy, lambda config: pickle.loads(pickle.dumps(config))])
def test_a_copy_is_of_the_same_method_and_knows_what_the_others_had(copied: Any) -> None:
    config = copied(Config(method="finetune", budget=7))
    assert type(config) is type(Config(method="finetune"))
    assert replace(config, method="replay").budget == 7


def test_only_a_first_stage_without_clipping_is_everybodys() -> None:
    assert WA.Settings().shares_first_stage
    assert not WA.Settings(clip_weights=True).shares_first_stage
