"""Devices that torch finds beside the CPU. None was at hand: these tests play them."""

from typing import Any

import pytest
import torch
from conftest import TINY, MakeLearner, tiny
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from cilkit import METHODS, InputError, Scenario, learn
from cilkit.data.randaugment import OPERATIONS
from cilkit.data.transforms import BATCHED
from cilkit.machine import devices
from cilkit.machine.devices import copy_on, find_device, for_float64
from cilkit.methods.ridge import Ridge

Patch = pytest.MonkeyPatch
MPS, CPU = torch.device("mps"), torch.device("cpu")


@pytest.mark.parametrize(
    ("there", "processes", "expected"),
    [
        ("", 1, "cpu"),
        ("cuda", 1, "cuda:0"),
        ("cuda", 2, "cuda:0"),
        ("mps", 1, "mps"),
        ("xpu", 1, "xpu"),
        ("mps", 2, "cpu"),
    ],
)
def test_auto_is_what_torch_finds_and_several_processes_can_share(
    there: str, processes: int, expected: str, monkeypatch: Patch
) -> None:
    found = torch.device(there) if there else None
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: found is not None)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: found)
    monkeypatch.setattr(devices, "world_size", lambda: processes)
    here = torch.empty(0)
    monkeypatch.setattr(torch, "empty", lambda *_, device: here)  # it could be used
    assert find_device("auto") == torch.device(expected)


def test_several_processes_do_not_share_a_device_that_passes_them_no_numbers(
    monkeypatch: Patch,
) -> None:
    monkeypatch.setattr(devices, "world_size", lambda: 2)
    with pytest.raises(InputError, match="several processes need CUDA cards or CPUs, not meta"):
        find_device("meta")


def test_a_device_that_is_missing_takes_a_sentence_and_not_a_page(monkeypatch: Patch) -> None:
    def fail(*_: object, device: str) -> None:
        raise RuntimeError("No such backend. This could be because the operator does not exist.")

    monkeypatch.setattr(torch, "empty", fail)
    with pytest.raises(InputError) as told:
        find_device("mps")
    assert str(told.value) == "device 'mps' cannot be used here (No such backend); use auto or cpu"


class NoFloat64(TorchDispatchMode):
    """A device without float64: whatever makes such a tensor fails."""

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        made = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            assert not (isinstance(tensor, Tensor) and tensor.dtype is torch.float64), function
        return made


def without_float64(function: Any) -> Any:
    """Return a function that fails where it makes a tensor in float64."""

    def strict(*parts: Any, **options: Any) -> Any:
        with NoFloat64():
            return function(*parts, **options)

    return strict


def test_the_test_itself_notices_float64() -> None:
    with pytest.raises(AssertionError):
        without_float64(torch.Tensor.double)(torch.ones(1))


@pytest.mark.parametrize("method", [name for name in METHODS if METHODS[name] is not Ridge])
def test_what_trains_and_what_answers_makes_no_float64(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario, monkeypatch: Patch
) -> None:
    """On a CPU nothing tells the device's tensors from others, so none may be made at all in a
    training epoch, or in what a test and the choice of exemplars ask of a model. `end` is left
    out: it computes on the CPU, in float64 too, with features that have come from the device."""
    for place in ("cilkit.loop.train_epoch", "cilkit.inference.in_halves"):
        module, name = place.rsplit(".", 1)
        strict = without_float64(getattr(__import__(module, fromlist=[name]), name))
        monkeypatch.setattr(place, strict)
    learner = make_learner(method)
    assert len(list(learn(learner, tiny_scenario))) >= 3


@pytest.mark.parametrize("augment", BATCHED)
def test_augmentation_makes_no_float64_on_the_device(augment: str) -> None:
    images = tiny().train.images()
    with NoFloat64():
        for change in BATCHED[augment]:
            if change.__name__ != "randaugment":
                images = change(images, TINY)
    assert images.dtype is torch.uint8


@pytest.mark.parametrize("name", OPERATIONS)
def test_what_randaugment_does_in_float64_it_does_on_the_cpu(name: str) -> None:
    """`meta` has shapes and no numbers: what comes of it is on the CPU only where it was copied."""
    made: list[torch.device] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if "_to_copy" in str(function) and (kwargs or {}).get("device") == CPU:
                return torch.zeros(args[0].shape, dtype=args[0].dtype)
            found = function(*args, **(kwargs or {}))
            made.extend(
                t.device
                for t in tree_leaves(found)
                if isinstance(t, Tensor) and t.dtype is torch.float64
            )
            return found

    images = torch.empty(2, 3, 8, 8, dtype=torch.uint8, device="meta")
    strength, sign = (torch.ones(2, device="meta") for _ in range(2))
    with Watch():
        changed = OPERATIONS[name](images, strength, sign)
    assert (changed.shape, changed.dtype, changed.device.type) == (
        images.shape,
        torch.uint8,
        "meta",
    )
    assert {*made} <= {CPU}


def test_float64_lies_on_the_cpu_where_the_device_has_none(monkeypatch: Patch) -> None:
    assert (for_float64(MPS), for_float64(torch.device("cuda", 1)).type) == (CPU, "cuda")
    assert copy_on(MPS, torch.ones(1).double()).device == CPU
    assert copy_on(torch.device("meta"), torch.ones(1)).device.type == "meta"


def test_ridge_regression_computes_on_the_cpu_where_the_device_has_no_float64() -> None:
    features = torch.ones(2, 16, device="meta")
    where: list[torch.device] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(
            self, function: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            if (kwargs or {}).get("device") == CPU:
                where.append(CPU)
                return torch.zeros(args[0].shape)
            return function(*args, **(kwargs or {}))

    with Watch():
        rows = Ridge.expanded(_Expanding(), features)  # type: ignore[arg-type]
    assert (rows.dtype, rows.device, where) == (torch.float64, CPU, [CPU])


class _Expanding:
    """All of a learner that an expansion looks at."""

    class config:
        expansion = 0
