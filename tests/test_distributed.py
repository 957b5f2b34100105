"""Several processes do the work of one: they talk over gloo, and are compared by hashes."""

import json
import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import processes
import pytest
import torch
from conftest import MakeLearner
from torch.overrides import TorchFunctionMode
from trouble import finish, start

import cilkit
from cilkit import METHODS, Config, InputError, Learner, Scenario, build, learn
from cilkit.cli import main
from cilkit.machine import devices
from cilkit.machine.devices import find_device
from cilkit.machine.processes import check_gpus
from cilkit.machine.seeds import seed_all, seed_for, seeds_for

# What each process found, by the number of processes.
BySize = dict[int, list[dict[str, Any]]]
SEVERAL = [2, 3, 4, 5]
pytestmark = pytest.mark.slow
SEEDS = [3964924996, 4285245948]  # torch's, of (0,) and of (3, 1, 4)


def launch(size: int, folder: Path) -> list[dict[str, Any]]:
    """Work in so many processes; return what each of them found."""
    log = folder / "log"
    statuses = finish(start(processes.work, folder, size=size, log=log))
    assert statuses == [0] * size, log.read_text()
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(size)]


@pytest.fixture(scope="module")
def by_size(tmp_path_factory: pytest.TempPathFactory) -> BySize:
    return {size: launch(size, tmp_path_factory.mktemp(f"of{size}")) for size in (1, *SEVERAL)}


@pytest.mark.parametrize("size", SEVERAL)
@pytest.mark.parametrize("what", ["weights", "exemplars", "records"])
def test_all_processes_end_with_the_same(what: str, size: int, by_size: BySize) -> None:
    """In the tutorial each had a budget, and statistics of batch norm, of its own."""
    assert len({str(found[what]) for found in by_size[size]}) == 1


@pytest.mark.parametrize("size", SEVERAL)
@pytest.mark.parametrize("what", ["predictions", "features"])
def test_the_same_weights_see_the_same_whatever_the_number_of_processes(
    what: str, size: int, by_size: BySize
) -> None:
    """The tutorial counted some images twice."""
    assert {found[what] for found in by_size[size]} == {by_size[1][0][what]}


@pytest.mark.parametrize("size", SEVERAL)
def test_an_epoch_deals_every_sample_to_exactly_one_process(size: int, by_size: BySize) -> None:
    """In the tutorial the batch grew with the number of processes."""
    dealt = sorted(label for found in by_size[size] for label in found["dealt"])
    assert dealt == by_size[1][0]["dealt"]


@pytest.mark.parametrize("size", SEVERAL)
def test_the_shares_of_a_global_batch_average_to_one(size: int, by_size: BySize) -> None:
    shares = zip(*(found["shares"] for found in by_size[size]), strict=True)
    assert [sum(batch) / size for batch in shares] == pytest.approx([1.0] * 4)


def test_the_first_step_is_that_of_one_process_without_batch_norm(by_size: BySize) -> None:
    """The gradient of the global batch does not depend on how it is shared out."""
    for size in SEVERAL:
        assert by_size[size][0]["gradient"] == pytest.approx(by_size[1][0]["gradient"], rel=1e-4)


@pytest.mark.parametrize("size", SEVERAL)
def test_the_statistics_of_batch_norm_are_averaged_over_the_processes(
    size: int, by_size: BySize
) -> None:
    mean = sum(1 / (1 + rank) for rank in range(size)) / size
    for found in by_size[size]:
        assert found["statistics"] == pytest.approx([mean, mean], rel=1e-6)


@pytest.mark.parametrize("size", SEVERAL)
def test_constants_and_frozen_statistics_stay_to_the_last_bit(size: int, by_size: BySize) -> None:
    changed = {name for found in by_size[size] for name in found["changed"]}
    assert changed == {"moving.running_mean", "moving.running_var"}


@pytest.mark.parametrize("size", SEVERAL)
def test_one_process_of_a_machine_prepares_what_the_others_find(size: int, by_size: BySize) -> None:
    assert [found["found prepared"] for found in by_size[size]].count(False) == 1


def test_batch_norm_over_all_processes_is_refused_where_torch_has_none() -> None:
    with pytest.raises(InputError, match="sync_bn needs GPUs"):
        build(Config(sync_bn=True, device="cpu"))


@pytest.mark.parametrize("method", METHODS)
def test_no_step_waits_for_the_device(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    """Four times the steps fetch no more numbers; on a GPU each one would cost a wait."""
    few, many = (make_learner(method, batch_size=size) for size in (20, 5))
    assert how_often_fetched(few, tiny_scenario) == how_often_fetched(many, tiny_scenario)


def how_often_fetched(learner: Learner, scenario: Scenario) -> int:
    """Count how often learning makes Python's numbers of a tensor."""
    with FetchCounter() as counter:
        list(learn(learner, scenario))
    return counter.count


class FetchCounter(TorchFunctionMode):
    """Counts the calls that wait for what a GPU has not computed yet."""

    count = 0

    def __torch_function__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        waiting = ("item", "tolist", "cpu", "numpy", "__float__", "__int__", "__bool__")
        self.count += function.__name__ in waiting
        return function(*args, **(kwargs or {}))


def test_the_gpu_is_that_of_the_rank_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tutorial took the global rank: larger than the number of GPUs of any second machine."""
    monkeypatch.setattr(devices, "accelerator", lambda: "cuda")
    monkeypatch.setenv("RANK", "7")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert find_device("auto") == torch.device("cuda", 3)


def test_more_processes_than_gpus_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(InputError, match="GPUs for 1 processes, not 2; start fewer"):
        check_gpus()


def test_a_second_machine_says_what_is_wrong_there(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The main process is on the first machine, and may find everything in place."""
    monkeypatch.setattr("cilkit.cli.processes", lambda timeout: nullcontext())
    monkeypatch.setenv("RANK", "4")
    words = ["run", "--dataset", "cifar100", "--data-path", "/nowhere", "--out", str(tmp_path)]
    assert main(words) == 2
    assert "no CIFAR-100 in '/nowhere'" in capsys.readouterr().err


def test_one_module_alone_knows_what_starts_and_joins_processes() -> None:
    words = ("torch.distributed", "barrier", "LOCAL_RANK", "WORLD_SIZE", "TORCHELASTIC")
    sources = {path.name: path.read_text() for path in Path(cilkit.__file__).parent.rglob("*.py")}
    know = {name for name, source in sources.items() if any(word in source for word in words)}
    assert know == {"processes.py"}


def test_augmentation_differs_between_processes(by_size: BySize) -> None:
    """In the tutorial all of them drew the same."""
    assert len({found["draw"] for found in by_size[5]}) == 5


def test_each_generator_gets_a_seed_of_its_own() -> None:
    """NumPy's generator is torch's: with the same seed, both draw the same numbers."""
    seed_all(3, 1, 4)
    # NumPy's state may also be a dict, says its type.
    for_torch, for_numpy = torch.initial_seed(), int(np.random.get_state()[1][0])  # type: ignore[index]
    state = random.getstate()
    random.seed(for_torch)
    assert random.getstate() != state
    assert len({for_torch, for_numpy, *seeds_for(3, 1, 4)}) == 3


def test_what_torch_draws_alone_has_not_changed() -> None:
    """Stored results depend on it."""
    assert [seed_for(0), seed_for(3, 1, 4)] == SEEDS
    seed_all(3, 1, 4)
    assert torch.initial_seed() == SEEDS[1]
