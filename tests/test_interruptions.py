"""A run may be stopped, killed, starved or damaged anywhere: it goes on, or says why not."""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import count, islice
from multiprocessing.connection import wait
from pathlib import Path
from time import sleep
from typing import Any

import damage
import kill
import pytest
import torch
from conftest import Finished, MakeLearner, MakeModel
from doors import lines
from drawn import grow
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from quick import QUICK, WORDS
from torch import Tensor
from trouble import PATIENCE, cilkit, finish, start

from cilkit import (
    METHODS,
    Config,
    InputError,
    Learner,
    Stage,
    build,
    build_scenario,
    learn,
    read_records,
    run,
)
from cilkit.cli import explain, main
from cilkit.data.samples import DataSet, Samples, image_set
from cilkit.data.workers import results
from cilkit.experiment import build_model, first_records, images_by_stage
from cilkit.inference import features_of
from cilkit.machine.stopping import Stopped, stop_if_asked, stoppable
from cilkit.metrics import stage_accuracy
from cilkit.model import CilModel
from cilkit.progress import Means
from cilkit.runs.checkpoint import NEWEST, PREVIOUS, find, load
from cilkit.runs.records import Record, ResumeRecord, RunRecord, StageRecord, stage_records
from cilkit.state import restore, state_of

pytestmark = pytest.mark.slow
TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
TROUBLE = str(Path(__file__).parent / "trouble.py")
# Methods that choose what to train on when they see it.
CHOOSING = {"means", "ridge", "fetril", "bic", "podnet"}
Patch = pytest.MonkeyPatch
Capture = pytest.CaptureFixture[str]


@dataclass
class Ended:
    """How a run ended: what is in its folder, the processes' exit statuses, what they printed."""

    out: Path
    statuses: list[int | None]
    said: str

    @property
    def step(self) -> int:
        """How many steps of the current epoch its checkpoint holds."""
        return load(self.out / NEWEST).numbers["step"]


def go(out: Path, *more: str, size: int = 1, trouble: str = "") -> Ended:
    """Do the quick run in `out`, in so many processes."""
    log = out.with_suffix(".log")
    log.unlink(missing_ok=True)
    words = [*WORDS, "--out", str(out), *more]
    statuses = finish(start(cilkit, words, trouble, size=size, log=log))
    return Ended(out, statuses, log.read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def alone(finished: Finished, folder: Path) -> dict[int, Path]:
    """Runs that nobody interrupted, by the number of processes."""
    runs = {size: go(folder / f"alone{size}", size=size) for size in (2, 3)}
    assert [run.statuses for run in runs.values()] == [[0, 0], [0, 0, 0]]
    return {1: finished[0]} | {size: run.out for size, run in runs.items()}


# Killed and damaged at random: `kill.py` and `damage.py` do the same, more often.


@pytest.mark.parametrize(("times", "size"), [(4, 1), (2, 2)])
def test_a_run_that_is_killed_anywhere_ends_as_if_it_had_not_been(
    times: int, size: int, tmp_path: Path
) -> None:
    assert kill.check(times, size, tmp_path) == []


@pytest.fixture(scope="module")
def victim(finished: Finished, folder: Path) -> damage.Victim:
    return damage.prepare(folder / "victim", finished[1])


def test_a_damaged_checkpoint_is_refused_untouched_or_the_one_before_it_taken(
    victim: damage.Victim, tmp_path: Path
) -> None:
    assert damage.check(victim, times=60, runs=0, folder=tmp_path) == {}


@pytest.mark.parametrize("harm", [damage.cut_off, damage.put_a_folder])
def test_the_checkpoint_before_a_damaged_one_leads_to_the_same_end(
    harm: damage.Damage, victim: damage.Victim, tmp_path: Path
) -> None:
    assert victim.to_the_end(harm, damage.Random(0), tmp_path / "run") == ""


def test_a_crash_after_a_damaged_checkpoint_leaves_the_one_before_it_whole(
    victim: damage.Victim, tmp_path: Path, monkeypatch: Patch
) -> None:
    """The next checkpoint must not push out the only whole one before it is whole itself."""
    shutil.copy(victim.folder / PREVIOUS, tmp_path / PREVIOUS)
    victim.damaged(damage.cut_off, damage.Random(0), tmp_path)
    crash_at(monkeypatch, lambda old, new: old.name == "checkpoint.unfinished")
    with pytest.raises(InterruptedError), pytest.warns(UserWarning, match="going on from"):
        run(QUICK, tmp_path, resume=True)
    monkeypatch.undo()
    assert run(QUICK, tmp_path, resume=True) == victim.records


def test_the_bomb_that_no_checkpoint_may_set_off_is_live(tmp_path: Path) -> None:
    damage.pickle.loads(damage.pickle.dumps(damage.Bomb(tmp_path / damage.EXPLODED)))
    assert (tmp_path / damage.EXPLODED).exists()


def crash_at(monkeypatch: Patch, moment: Callable[[Path, Path], bool]) -> None:
    """Break a run off instead of renaming a file at this moment."""
    rename = Path.replace

    def crash(old: Path, new: Path) -> Path:
        if moment(old, new):
            raise InterruptedError
        return rename(old, new)

    monkeypatch.setattr(Path, "replace", crash)


@pytest.fixture
def small(tiny_config: Config, tiny_dataset: DataSet) -> Callable[..., list[Record]]:
    """Return what runs in a fraction of a second: `run` on the tiny data set."""

    def run_small(*words: Any, resume: bool = False, **changes: Any) -> list[Record]:
        config = replace(tiny_config, **changes)
        return run(config, *words, resume=resume, dataset=tiny_dataset)

    return run_small


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_crash_between_two_steps_of_saving_changes_nothing(
    number: int, small: Callable[..., list[Record]], tmp_path: Path, monkeypatch: Patch
) -> None:
    """A run renames its records, its first checkpoint, its first again, and its second."""
    renamed = count(1)
    crash_at(monkeypatch, lambda *_: next(renamed) == number)
    with pytest.raises(InterruptedError):
        small(tmp_path)
    monkeypatch.undo()
    assert small(tmp_path, resume=True) == small()


@pytest.mark.parametrize(("records", "epoch"), [(1, None), (2, 2), (3, 2), (4, 4), (5, 5)])
def test_fewer_checkpoints_are_enough(
    records: int, epoch: int | None, small: Callable[..., list[Record]], tmp_path: Path
) -> None:
    """With one after every other epoch and after the last one, of five."""
    settings: dict[str, Any] = {"increment": 3, "epochs": 5, "save_every": 2}
    seen: list[object] = []

    def crash(record: object) -> None:
        seen.append(record)
        if len(seen) == 1 + records:  # the first one holds the settings
            raise InterruptedError

    with pytest.raises(InterruptedError):
        small(tmp_path, [crash], **settings)
    found = find(tmp_path)
    assert (found and found.numbers["epoch"]) == epoch
    assert small(tmp_path, resume=True, **settings) == small(**settings)


# Asked to stop.


@pytest.fixture(scope="module", params=[signal.SIGTERM, signal.SIGINT], ids=lambda s: s.name)
def asked(request: pytest.FixtureRequest) -> signal.Signals:
    return request.param


@pytest.fixture(scope="module")
def stopped(asked: signal.Signals, folder: Path) -> Ended:
    """A run that got a signal in the middle of its second epoch."""
    return go(folder / asked.name, trouble=f"{asked.name} 0 13")


def test_a_signal_gives_the_exit_status_that_shells_know(
    stopped: Ended, asked: signal.Signals
) -> None:
    assert stopped.statuses == [128 + asked]


def test_a_stopped_run_says_how_to_go_on(stopped: Ended, asked: signal.Signals) -> None:
    sentence = f"cilkit: stopped by {asked.name}; go on with the same command and --resume"
    assert stopped.said.splitlines()[-1] == sentence


def test_a_run_stops_in_the_middle_of_an_epoch(stopped: Ended) -> None:
    assert stopped.step > 0


def test_a_stopped_run_goes_on_as_if_nothing_had_happened(
    stopped: Ended, alone: dict[int, Path], tmp_path: Path
) -> None:
    out = shutil.copytree(stopped.out, tmp_path / "run")
    assert go(out, "--resume").statuses == [0]
    assert kill.compare(out, alone[1]) == ""


def wait_for_records(program: "subprocess.Popen[str]", out: Path, number: int) -> None:
    """Wait until a run has come so far, or has ended."""
    while program.poll() is None and kill.records_in(out) < number:
        sleep(0.02)


def test_a_program_stops_when_somebody_else_asks_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "cilkit", *WORDS, "--epochs", "200", "--out", str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as program:
        wait_for_records(program, tmp_path, 2)
        program.terminate()
        _, said = program.communicate(timeout=PATIENCE)
    assert (program.returncode, said.count("\n")) == (143, 1)


def test_asking_twice_is_asking_once() -> None:
    """A batch system asks every process, and torchrun asks its own once more."""
    with pytest.raises(Stopped), stoppable():
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        stop_if_asked(1)


def test_asking_twice_by_hand_stops_at_once_with_a_sentence(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    def ask_twice(record: object) -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("cilkit.cli.Console", lambda: ask_twice)
    assert main([*WORDS, "--out", str(tmp_path)]) == 130
    assert capsys.readouterr().err == "cilkit: stopped at once; what was saved is whole\n"


@pytest.fixture(scope="module")
def pair(folder: Path) -> Ended:
    """A run of two processes, one of which got a signal."""
    return go(folder / "pair", size=2, trouble="SIGTERM 1 13")


def test_one_process_that_is_asked_to_stop_stops_the_others(pair: Ended) -> None:
    assert pair.statuses == [143, 143]


def test_processes_that_stopped_in_the_middle_of_an_epoch_go_on_from_the_same_step(
    pair: Ended, alone: dict[int, Path], tmp_path: Path
) -> None:
    assert pair.step > 0
    out = shutil.copytree(pair.out, tmp_path / "run")
    assert go(out, "--resume", size=2).statuses == [0, 0]
    assert kill.compare(out, alone[2]) == ""


@pytest.mark.parametrize("trouble", ["SIGTERM 1 13", "SIGKILL 1 10"], ids=["in", "before"])
def test_three_processes_go_on_as_if_nothing_had_happened(
    trouble: str, alone: dict[int, Path], tmp_path: Path
) -> None:
    """Three numbers have several sums, and messages must not be laid out anew after a stop.

    In the middle of the second epoch, or after its first step, whose epoch then begins anew.
    """
    stopped = go(tmp_path / "run", size=3, trouble=trouble)
    assert stopped.statuses != [0, 0, 0]
    numbers = load(stopped.out / NEWEST).numbers
    assert (numbers["stage"], numbers["epoch"]) == (0, 1)
    assert go(stopped.out, "--resume", size=3).statuses == [0, 0, 0]
    assert kill.compare(stopped.out, alone[3]) == ""


def test_a_run_goes_on_with_fewer_processes(
    pair: Ended, alone: dict[int, Path], tmp_path: Path
) -> None:
    out = shutil.copytree(pair.out, tmp_path / "run")
    assert go(out, "--resume").statuses == [0]
    records = read_records(out)
    assert [record for record in records if isinstance(record, ResumeRecord)] == [
        ResumeRecord(processes_before=2, processes=1)
    ]
    found, expected = accuracies(out), accuracies(alone[2])
    assert found == pytest.approx(expected, abs=15)


def test_a_finished_run_that_other_processes_look_at_gets_no_note(
    alone: dict[int, Path], tmp_path: Path
) -> None:
    out = shutil.copytree(alone[2], tmp_path / "run")
    assert go(out, "--resume").statuses == [0]
    assert kill.compare(out, alone[2]) == ""


def test_a_run_notes_that_other_processes_trained_the_first_stage_it_shares(pair: Ended) -> None:
    described, *so_far = (start := load(pair.out / NEWEST)).records
    assert isinstance(described, RunRecord)
    records = first_records(described, None, start)
    assert records == [described, *so_far, ResumeRecord(processes_before=2, processes=1)]


def accuracies(out: Path) -> list[float]:
    return [stage_accuracy(record) for record in stage_records(read_records(out))]


def test_a_run_that_stopped_after_the_last_step_of_an_epoch_goes_on_with_more_processes(
    tmp_path: Path,
) -> None:
    """The second process has nothing left to do in that epoch."""
    last = -(-4 * 135 // 64)  # the first stage has about 540 images
    assert go(tmp_path / "run", trouble=f"SIGTERM 0 {last}").statuses == [143]
    assert load(tmp_path / "run" / NEWEST).numbers["step"] == last
    assert go(tmp_path / "run", "--resume", size=2).statuses == [0, 0]


@contextmanager
def torchrun(out: Path, *words: str, trouble: str = "") -> "Iterator[subprocess.Popen[str]]":
    """Do the quick run in `out` with torchrun and two processes; leave nothing of it behind."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "TROUBLE": trouble,
        "TMPDIR": str(out.parent),
    }
    command = [*TORCHRUN, *words, *WORDS, "--out", str(out)]
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as program:
        try:
            yield program
        finally:
            program.terminate()


def test_torchrun_that_is_asked_to_stop_loses_nothing(
    alone: dict[int, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with torchrun(out, "-m", "cilkit") as program:
        wait_for_records(program, out, 2)
        program.terminate()
        _, said = program.communicate(timeout=PATIENCE)
    assert "stopped by SIGTERM" in said
    assert go(out, "--resume", size=2).statuses == [0, 0]
    assert kill.compare(out, alone[2]) == ""


def test_torchrun_restarts_a_killed_process_and_the_run_ends_by_itself(
    alone: dict[int, Path], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    with torchrun(out, "--max-restarts", "1", TROUBLE, trouble="SIGKILL 1 13") as program:
        _, said = program.communicate(timeout=PATIENCE)
    assert program.returncode == 0, said
    assert kill.compare(out, alone[2]) == ""


# Broken off.


def test_a_loss_that_is_no_number_names_stage_epoch_and_process(tmp_path: Path) -> None:
    ended = go(tmp_path / "run", size=2, trouble="nan 1 13")
    assert ended.statuses == [1, 1]
    assert "ce is nan in stage 1, epoch 2, process 1;" in ended.said


def test_an_interrupted_epoch_remembers_where_a_loss_was_no_number() -> None:
    before, after = Means(), Means()
    before.add(3, {"ce": torch.tensor(float("nan"))})
    after.restore(before.state(), torch.device("cpu"))
    assert int(after.strange) == int(before.strange) == 1


def test_the_checkpoint_before_a_loss_that_is_no_number_stays(
    alone: dict[int, Path], tmp_path: Path
) -> None:
    assert go(tmp_path / "run", trouble="nan 0 13").statuses == [1]
    assert go(tmp_path / "run", "--resume").statuses == [0]
    assert kill.compare(tmp_path / "run", alone[1]) == ""


@pytest.fixture(scope="module")
def starved(folder: Path) -> Ended:
    """A run of two processes, one of which ran out of memory."""
    return go(folder / "starved", size=2, trouble="memory 0 13")


def test_a_process_that_runs_out_of_memory_says_what_helps(starved: Ended) -> None:
    assert starved.statuses == [1, 1]
    sentence = "out of memory in a training step; a smaller --batch-size needs less; what was saved"
    assert sentence in starved.said


def test_a_process_that_ends_alone_is_missed_by_the_others(starved: Ended) -> None:
    assert "cilkit: process 1 lost touch with another one, which died or hangs" in starved.said


def test_the_checkpoint_before_the_memory_ran_out_leads_to_the_same_end(
    starved: Ended, alone: dict[int, Path], tmp_path: Path
) -> None:
    out = shutil.copytree(starved.out, tmp_path / "run")
    assert go(out, "--resume", size=2).statuses == [0, 0]
    assert kill.compare(out, alone[2]) == ""


def test_a_worker_that_dies_gets_one_sentence(tmp_path: Path) -> None:
    words = ["--augment", "timm", "--workers", "1"]
    ended = go(tmp_path / "run", *words, trouble="worker 0 13")
    assert ended.statuses == [1]
    sentence = "cilkit: a process that reads images died or hangs; fewer --workers need less"
    assert ended.said.splitlines()[-1].startswith(sentence)
    assert "Traceback" not in ended.said


@pytest.mark.parametrize("error", [ConnectionResetError(104, "reset by peer"), EOFError()])
def test_a_worker_that_dies_while_it_hands_a_batch_over_gets_the_same_sentence(
    error: Exception,
) -> None:
    def broken() -> Iterator[Tensor]:
        yield torch.zeros(1)
        raise error

    with pytest.raises(RuntimeError) as raised:
        list(results(broken()))  # type: ignore[arg-type]  # in place of torch's loader
    assert explain(raised.value).startswith("a process that reads images died")


def starving(model: CilModel, most: int) -> CilModel:
    """Let a model run out of memory where it looks at more images than so many, not to learn."""
    features = model.features

    def hungry(images: Tensor) -> Tensor:
        if not torch.is_grad_enabled() and len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return features(images)

    # One model's own; mypy allows no method to be replaced.
    model.features = hungry  # type: ignore[method-assign]
    return model


def test_a_test_takes_as_many_images_at_once_as_memory_holds(make_model: MakeModel) -> None:
    samples = few_images(500).test
    samples = samples.take(torch.arange(2).repeat(250))
    model = make_model()
    model.grow_to(1)
    expected = features_of(model, samples)
    assert torch.allclose(features_of(starving(model, 60), samples), expected, atol=1e-6)


def test_memory_that_runs_out_in_a_test_is_no_matter_of_the_batch_size(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.setattr(
        "cilkit.experiment.build_model", lambda *parts: starving(build_model(*parts), 0)
    )
    assert main([*WORDS, "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert "cilkit: out of memory in a test, where the network looks at one image" in said
    assert "batch-size" not in said


def test_memory_that_runs_out_before_any_step_is_no_matter_of_the_batch_size() -> None:
    said = explain(MemoryError())
    assert said == "out of memory outside of training steps; free some for it"


def test_processes_whose_weights_differ_stop_at_the_end_of_the_stage(tmp_path: Path) -> None:
    ended = go(tmp_path / "run", size=2, trouble="drift 1 13")
    assert ended.statuses == [1, 1]
    assert "processes [1] hold other weights or exemplars than process 0" in ended.said
    assert [r for r in read_records(ended.out) if isinstance(r, StageRecord)] == []


def test_no_checkpoint_holds_numbers_that_are_none(tmp_path: Path) -> None:
    """The losses of the first epoch are finite; the statistics it leaves are not."""
    assert go(tmp_path / "run", "--lr", "1000", "--weight-decay", "0").statuses == [1]
    kept = find(tmp_path / "run")
    tensors = kept.tensors if kept is not None else {}
    assert [name for name, tensor in tensors.items() if not tensor.isfinite().all()] == []


def test_a_full_disk_gets_one_sentence_and_leaves_the_last_checkpoint_whole(
    alone: dict[int, Path], tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    calls = count(1)

    def fill_the_disk(descriptor: int) -> None:
        if next(calls) == 2:
            os.truncate(descriptor, 4)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fill_the_disk)
    assert main([*WORDS, "--out", str(tmp_path)]) == 1
    said, sentence = capsys.readouterr().err, f"No space left on device: '{tmp_path}/checkpoint."
    assert (said.count("\n"), sentence in said) == (1, True)
    monkeypatch.undo()
    assert main([*WORDS, "--out", str(tmp_path), "--resume"]) == 0
    assert kill.compare(tmp_path, alone[1]) == ""


def test_a_folder_that_vanishes_gets_one_sentence(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    out = tmp_path / "run"
    monkeypatch.setattr("cilkit.cli.Console", lambda: lambda record: shutil.rmtree(out))
    assert main([*WORDS, "--out", str(out)]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_file_of_data_that_is_lost_meanwhile_is_named_and_nothing_else_is_lost(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    data = grow(tmp_path / "data", "abcd", {"train": 6, "val": 2})
    words = ["run", "--dataset", "folder", "--data-path", str(data), "--image-size", "16"]
    words += ["--increment", "2", "--epochs", "1", "--batch-size", "8", "--budget", "8"]
    assert main([*words, "--out", str(tmp_path / "alone")]) == 0
    file = data / "train" / "c" / "train0.jpg"  # of the second stage
    whole = file.read_bytes()
    monkeypatch.setattr("cilkit.cli.Console", lambda: lambda record: file.write_bytes(b""))
    capsys.readouterr()
    assert main([*words, "--out", str(tmp_path / "run")]) == 1
    said = capsys.readouterr().err
    assert (said.count("\n"), f"{str(file)!r} is empty" in said) == (1, True)
    monkeypatch.undo()
    file.write_bytes(whole)
    assert main([*words, "--out", str(tmp_path / "run"), "--resume"]) == 0
    assert kill.compare(tmp_path / "run", tmp_path / "alone") == ""


def test_a_process_that_hangs_is_given_up(tmp_path: Path) -> None:
    words, log = [*WORDS, "--timeout", "5", "--out", str(tmp_path / "run")], tmp_path / "log"
    waits, hangs = start(cilkit, words, "sleep 1 13", size=2, log=log)
    wait([waits.sentinel], timeout=PATIENCE)
    hangs.kill()
    waits.kill()
    waits.join()
    assert (waits.exitcode, "lost touch with another one" in log.read_text()) == (1, True)


# Hardly anything to learn from.


def test_more_processes_than_images_in_a_batch_are_refused_once(tmp_path: Path) -> None:
    ended = go(tmp_path / "run", "--batch-size", "1", size=2)
    assert (ended.statuses, ended.said.count("cannot be shared by 2 processes")) == ([2, 2], 1)


def few_images(*counts: int) -> DataSet:
    """Return a data set that has so many training images, and two test images, of each class."""
    generator = torch.Generator().manual_seed(0)

    def split(numbers: list[int]) -> Samples:
        labels = torch.arange(len(numbers)).repeat_interleave(torch.tensor(numbers))
        images = torch.randint(0, 256, (len(labels), 3, 8, 8), generator=generator)
        return Samples.of(images.byte(), labels)

    train, test = split([*counts]), split([2] * len(counts))
    return image_set("few", train, test, tuple("abcdef"[: len(counts)]))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("counts", "increment"),
    [((1, 1, 1), 1), ((9, 1, 9, 1), 2)],
    ids=["one image in a stage", "one image of a class"],
)
def test_hardly_any_images_are_enough(counts: tuple[int, ...], increment: int, method: str) -> None:
    config = Config(method=method, increment=increment, budget=6, epochs=1, batch_size=4, lr=0.01)
    scenario = build_scenario(few_images(*counts), config)
    learner = METHODS[method](build_model(config, scenario), config)
    stages = [r for r in learn(learner, scenario) if isinstance(r, StageRecord)]
    assert len(stages) == len(counts) // increment


@pytest.mark.parametrize("method", sorted(METHODS.keys() - CHOOSING))
def test_how_many_images_a_stage_has_is_known_before_it_begins(method: str) -> None:
    """Of old classes with more images than their share, with as many, and with fewer."""
    config = Config(method=method, increment=1, budget=20, epochs=1, batch_size=16)
    scenario = build_scenario(few_images(30, 5, 12, 2, 40), config)
    learner, counts = METHODS[method](build_model(config, scenario), config), []
    for stage in scenario.stages:
        learner.grow(stage)
        counts.append(len(learner.samples(stage)))
        learner.end(stage)
    assert images_by_stage(config, scenario) == counts


def test_a_stage_too_small_for_the_processes_is_refused_before_the_first_one(
    monkeypatch: Patch,
) -> None:
    monkeypatch.setattr("cilkit.data.loader.world_size", lambda: 2)
    config = Config(method="finetune", increment=1, batch_size=16)
    with pytest.raises(InputError, match=r"a batch of 1 images .* \(the stage has 1 images"):
        build(config, few_images(60, 60, 1))
    build(replace(config, method="replay"), few_images(60, 60, 1))  # exemplars make it larger


def test_a_method_that_chooses_its_own_images_is_asked_when_its_stage_comes(
    monkeypatch: Patch,
) -> None:
    class Twice(Learner):
        def samples(self, stage: Stage) -> Samples:
            return super().samples(stage) + stage.train

    monkeypatch.setitem(METHODS, "twice", Twice)
    monkeypatch.setattr("cilkit.data.loader.world_size", lambda: 2)
    build(Config(method="twice", increment=1), few_images(60, 1))


def test_one_image_is_refused_where_batch_norm_sees_one_number_of_it() -> None:
    config = Config(increment=1, batch_size=1, budget=6)
    with pytest.raises(InputError, match="one image for a process, and batch norm needs more"):
        build(replace(config, backbone="resnet18"), few_images(3, 3))
    build(config, few_images(3, 3))  # resnet8 still has 2 × 2 pixels at its end


# Any settings, any place.


@st.composite
def experiments(draw: st.DrawFn) -> dict[str, Any]:
    """Settings for the tiny data set's six classes."""
    increment = draw(st.sampled_from([1, 2, 3]))
    return {
        "method": draw(st.sampled_from(sorted(METHODS))),
        "increment": increment,
        "base": increment * draw(st.integers(0, 6 // increment)),
        "budget": draw(st.integers(6, 40)),
        "epochs": draw(st.integers(1, 3)),
        "batch_size": draw(st.integers(5, 60)),
        "seed": draw(st.integers(0, 99)),
    }


few_examples = settings(
    max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@few_examples
@given(experiment=experiments(), place=st.floats(0, 1))
def test_any_experiment_goes_on_after_any_record(
    experiment: dict[str, Any], place: float, make_learner: MakeLearner, tiny_dataset: DataSet
) -> None:
    before, after = make_learner(**experiment), make_learner(**experiment)
    scenario = build_scenario(tiny_dataset, before.config)
    expected = lines(learn(make_learner(**experiment), scenario))
    records = lines(islice(learn(before, scenario), int(place * len(expected))))
    restore(after, scenario.stages, *deepcopy(state_of(before)))
    assert records + lines(learn(after, scenario)) == expected


@few_examples
@given(experiment=experiments(), step=st.integers(1, 30))
def test_any_experiment_goes_on_after_any_step(
    experiment: dict[str, Any], step: int, make_learner: MakeLearner, tiny_dataset: DataSet
) -> None:
    before, after = make_learner(**experiment), make_learner(**experiment)
    scenario = build_scenario(tiny_dataset, before.config)
    expected = lines(learn(make_learner(**experiment), scenario))
    stop_after(before, step)
    records = lines(until_stopped(learn(before, scenario)))
    restore(after, scenario.stages, *deepcopy(state_of(before)))
    assert records + lines(learn(after, scenario)) == expected


def stop_after(learner: Learner, step: int) -> None:
    """Let somebody ask the learner to stop at this step, counted over all epochs."""
    finish_step, steps = learner.progress.finish_step, count(1)

    def finish_and_stop(number: int, values: dict[str, Tensor]) -> None:
        finish_step(number, values)
        if next(steps) == step:
            raise Stopped(signal.SIGTERM)

    # One learner's own step; mypy allows no method to be replaced.
    learner.progress.finish_step = finish_and_stop  # type: ignore[method-assign]


def until_stopped(records: Iterator[Any]) -> Iterator[Any]:
    try:
        yield from records
    except Stopped:
        return
