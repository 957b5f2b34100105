"""A program that is asked to stop hears it, whatever it waits for."""

import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import sleep

import kill
import pytest
from quick import WORDS
from test_interruptions import Capture, Patch
from trouble import PATIENCE, cilkit, finish, start

from cilkit import Config
from cilkit.cli import main
from cilkit.data import workers
from cilkit.data.datasets import DATASETS
from cilkit.data.samples import DataSet
from cilkit.machine import stopping
from cilkit.runs.checkpoint import NEWEST, load

pytestmark = pytest.mark.slow


def impatient(words: list[str], trouble: str, patience: float) -> None:
    """Do what the command line does, but wait for a worker, and for a step, for seconds only."""
    workers.LOOK_EVERY, workers.LAST_WAIT, stopping.PATIENCE = 1, 1, patience
    cilkit(words, trouble)


def ask_when_it_waits(out: Path, pid: int | None, is_alive: Callable[[], bool]) -> None:
    """Ask a run to stop that hangs in its second epoch."""
    while is_alive() and kill.records_in(out) < 2:
        sleep(0.05)
    sleep(1)  # it waits by now, or will soon
    os.kill(pid or 0, signal.SIGTERM)


def test_a_program_that_waits_for_a_worker_in_vain_ends_when_it_is_asked(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = [*WORDS, "--augment", "timm", "--workers", "1", "--out", str(out)]
    code = f"from test_waits import impatient; impatient({words}, 'deaf 0 10', {PATIENCE})"
    command, here = [sys.executable, "-c", code], Path(__file__).parent
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd=here) as program:
        ask_when_it_waits(out, program.pid, lambda: program.poll() is None)
        _, said = program.communicate(timeout=PATIENCE)
    assert program.returncode == 1
    assert "cilkit: a process that reads images died or hangs; fewer --workers" in said
    assert "Traceback" not in said


def test_a_program_that_waits_for_a_process_in_vain_ends_when_it_is_asked(tmp_path: Path) -> None:
    """Numbers are exchanged in C, where Python hears no signal."""
    out, log = tmp_path / "run", tmp_path / "log"
    ranks = start(impatient, [*WORDS, "--out", str(out)], "sleep 1 10", 2.0, size=2, log=log)
    ask_when_it_waits(out, ranks[0].pid, ranks[0].is_alive)
    ranks[0].join(PATIENCE)
    assert finish(ranks, patience=0)[0] == 143
    assert "stopped by SIGTERM in the middle of a wait: for 2 seconds no step" in log.read_text()
    assert load(out / NEWEST).numbers["epoch"] == 1


def test_a_program_stops_at_once_while_it_prepares_its_data(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    """A download may take an hour, in which no step ends."""

    def fetch(config: Config) -> DataSet:
        signal.raise_signal(signal.SIGTERM)
        raise AssertionError("it went on")

    monkeypatch.setitem(DATASETS, "digits", fetch)
    assert main([*WORDS, "--out", str(tmp_path / "run")]) == 143
    assert "stopped by SIGTERM; go on with the same command" in capsys.readouterr().err


def test_more_workers_than_the_system_has_open_files_for_are_refused(
    tmp_path: Path, monkeypatch: Patch, capsys: Capture
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (28, 28))
    assert main([*WORDS, "--workers", "4", "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert re.search(r"need \d+ open files, and 28 are allowed here; use fewer --workers, or", said)


def test_room_for_open_files_is_made_where_the_system_allows_it(monkeypatch: Patch) -> None:
    asked = []
    monkeypatch.setattr(resource, "getrlimit", lambda kind: (28, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda kind, limits: asked.append(limits))
    workers.make_room(4)
    [(soft, hard)] = asked
    assert (28 < soft < 200, hard) == (True, 4096)
