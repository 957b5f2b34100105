"""One process at a time writes to a folder; a lock dies with its process."""

import errno
import os
import signal
from dataclasses import replace
from pathlib import Path
from socket import gethostname
from time import sleep
from typing import NoReturn

import kill
import pytest
from trouble import cilkit, finish, start

from cilkit import Config, InputError, run
from cilkit.cli import main
from cilkit.comparison import compare
from cilkit.machine.lock import LOCK, alone_in
from cilkit.runs.records import Record

pytestmark = pytest.mark.slow
QUICK = Config(base=5, increment=5, budget=40, epochs=1, batch_size=64, lr=0.05, threads=1)
HERE = f"process {os.getpid()} on {gethostname()}"
Patch = pytest.MonkeyPatch


def hold(folder: Path, forks: bool) -> None:
    """Take a folder, and keep it; a process of its own may come to be meanwhile."""
    with alone_in(folder):
        child = os.fork() if forks else None
        if child != 0:
            (folder / "child").write_text(str(child or 0))
        sleep(600)


def kill_a_holder(folder: Path, forks: bool = False) -> int:
    """Take a folder in a process that is killed; return the process that this one has left."""
    [holder] = start(hold, folder, forks, size=1, log=folder / "log")
    while holder.is_alive() and not (folder / "child").exists():
        sleep(0.02)
    with pytest.raises(InputError, match=f"in use by process {holder.pid} on"):
        alone_in(folder).__enter__()
    holder.kill()
    holder.join()
    return int((folder / "child").read_text())


def without_locks(patch: Patch) -> None:
    """Make the disk one that knows no locks."""

    def unknown(file: object, operation: int) -> NoReturn:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    patch.setattr("fcntl.flock", unknown)


def work(out: Path) -> None:
    run(replace(QUICK, epochs=4), out)


def test_a_second_process_is_refused_and_the_first_ends_as_if_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, alone = tmp_path / "both", tmp_path / "alone"
    [first] = ranks = start(work, out, size=1, log=tmp_path / "log")
    while first.is_alive() and kill.records_in(out) < 3:
        sleep(0.02)
    assert main(["run", "--out", str(out), "--resume"]) == 2
    said = f"{str(out)!r} is in use by process {first.pid} on {gethostname()}; wait until"
    assert said in capsys.readouterr().err
    assert finish(ranks) == [0]
    work(alone)
    assert kill.compare(out, alone) == ""


def test_processes_that_work_together_are_refused_together(tmp_path: Path) -> None:
    words, log = ["run", "--out", str(tmp_path / "run")], tmp_path / "log"
    with alone_in(tmp_path / "run"):
        assert finish(start(cilkit, words, size=2, log=log)) == [2, 2]
    assert log.read_text().count("in use by") == 1


def test_the_lock_of_a_killed_process_is_nobodys(tmp_path: Path) -> None:
    kill_a_holder(tmp_path)
    assert (tmp_path / LOCK).exists()
    with alone_in(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{HERE}\n"


def test_a_process_that_was_forked_keeps_no_lock_of_a_killed_one(tmp_path: Path) -> None:
    """As one that reads images: it needs some seconds to see that it is alone."""
    child = kill_a_holder(tmp_path, forks=True)
    os.kill(child, 0)  # it lives
    with alone_in(tmp_path):
        pass
    os.kill(child, signal.SIGKILL)


def test_one_process_may_not_write_twice_at_once(tmp_path: Path) -> None:
    def again(record: Record) -> None:
        run(QUICK, tmp_path, resume=True)

    with pytest.raises(InputError, match=f"in use by {HERE}"):
        run(QUICK, tmp_path, [again])


def test_a_run_that_breaks_off_gives_its_folder_back(tmp_path: Path) -> None:
    def interrupt(record: Record) -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        run(QUICK, tmp_path, [interrupt])
    assert not (tmp_path / LOCK).exists()
    run(QUICK, tmp_path, resume=True)


def test_two_comparisons_do_not_share_a_folder(tmp_path: Path) -> None:
    with alone_in(tmp_path), pytest.raises(InputError, match="in use by"):
        compare(QUICK, ["finetune"], [0], tmp_path)


@pytest.mark.parametrize("locks", [True, False])
def test_a_lock_is_deleted_at_the_end_and_can_be_had_again(
    locks: bool, tmp_path: Path, monkeypatch: Patch
) -> None:
    if not locks:
        without_locks(monkeypatch)
    for _ in range(2):
        with alone_in(tmp_path):
            assert (tmp_path / LOCK).exists()
        assert not (tmp_path / LOCK).exists()


def test_where_the_disk_knows_no_locks_the_file_is_one(tmp_path: Path, monkeypatch: Patch) -> None:
    without_locks(monkeypatch)
    with alone_in(tmp_path), pytest.raises(InputError, match=f"in use by {HERE}.* delete '.*lock"):
        compare(QUICK, ["finetune"], [0], tmp_path)


def test_where_the_disk_knows_no_locks_a_dead_process_of_this_machine_is_noticed(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    kill_a_holder(tmp_path)
    without_locks(monkeypatch)
    with alone_in(tmp_path):
        assert (tmp_path / LOCK).read_text() == f"{HERE}\n"


def test_where_the_disk_knows_no_locks_another_machine_is_trusted(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    without_locks(monkeypatch)
    (tmp_path / LOCK).write_text("process 1 on another-machine\n")
    with pytest.raises(InputError, match="process 1 on another-machine"), alone_in(tmp_path):
        pass


def test_a_file_of_somebody_else_is_no_lock(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_bytes(b"mine\xff")
    with pytest.raises(InputError, match=r"none of cilkit's"), alone_in(tmp_path):
        pass
    assert (tmp_path / LOCK).read_bytes() == b"mine\xff"
