"""The page for readers in trouble quotes what the program says: each quotation is made again."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from socket import EAI_AGAIN, gaierror
from typing import NoReturn
from urllib.error import URLError

import pytest
import torch

from cilkit.cli import main
from cilkit.data.sources.cifar100 import ARCHIVE
from cilkit.learner import Learner
from cilkit.machine.lock import LOCK
from cilkit.runs.checkpoint import NEWEST, PREVIOUS
from cilkit.runs.provenance import traits
from cilkit.teaching.stored import RESULTS

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "book" / "troubleshooting.md").read_text(encoding="utf-8")
QUOTED = re.findall(r"^cilkit: .*$", PAGE, re.MULTILINE)
RUN = ["run", "--base", "5", "--increment", "5", "--epochs", "1", "--out", "runs/digits"]
CIFAR = ["data", "cifar100", "--download"]
Patch = pytest.MonkeyPatch


def fail(error: Exception) -> Callable[..., NoReturn]:
    """Return a function that raises this error, whatever it is asked."""

    def function(*arguments: object, **options: object) -> NoReturn:
        raise error

    return function


# Each makes one kind of trouble in the current folder, and returns the command that meets it.


def misfit(patch: Patch) -> list[str]:
    patch.setattr(torch, "__version__", "2.13.0+cpu")
    reason = "operator torchvision::nms does not exist"
    Path("torchvision.py").write_text(f"raise RuntimeError({reason!r})")
    patch.delitem(sys.modules, "torchvision", raising=False)
    patch.syspath_prepend(".")
    return RUN


def begun(patch: Patch) -> list[str]:
    patch.setattr("cilkit.cli.draw", lambda *_: None)  # figures take most of the time
    assert main(RUN) == 0
    return RUN


def drawn_by_somebody(patch: Patch) -> list[str]:
    Path("runs/digits").mkdir(parents=True)
    Path("runs/digits/accuracy.png").write_bytes(b"mine")
    return RUN


def one_below(patch: Patch) -> list[str]:
    begun(patch)
    return [*RUN[:-1], "runs"]


def taken(patch: Patch) -> list[str]:
    Path("runs/digits").mkdir(parents=True)
    Path("runs/digits", LOCK).write_text("process 17 on another\n")
    patch.setattr("fcntl.flock", fail(BlockingIOError()))
    return RUN


def begun_otherwise(patch: Patch) -> list[str]:
    begun(patch)
    return [*RUN, "--epochs", "2", "--lr", "0.2", "--resume"]


def without_checkpoint(patch: Patch) -> list[str]:
    begun(patch)
    for name in (NEWEST, PREVIOUS):
        Path("runs/digits", name).unlink()
    return [*RUN, "--resume"]


def other_data(patch: Patch) -> list[str]:
    begun(patch)
    other = {"mean": [0.5], "deviation": [0.1]}
    patch.setattr("cilkit.runs.provenance.traits", lambda dataset: traits(dataset) | other)
    return [*RUN, "--resume"]


def damaged(patch: Patch) -> list[str]:
    begun(patch)
    for name in (NEWEST, PREVIOUS):
        os.truncate(Path("runs/digits", name), 1000)
    return [*RUN, "--resume"]


def read_only(patch: Patch) -> list[str]:
    """A real folder would not do: root writes everywhere."""
    patch.setattr(Path, "mkdir", fail(PermissionError(errno.EACCES, os.strerror(errno.EACCES))))
    return ["run", "--out", "/usr/results"]


def full_disk(patch: Patch) -> list[str]:
    file = "runs/digits/checkpoint.unfinished"
    patch.setattr("os.fsync", fail(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), file)))
    return RUN


def no_memory(patch: Patch) -> list[str]:
    patch.setattr("cilkit.experiment.build", lambda *_: torch.empty(10**15))
    return RUN


def no_memory_in_a_step(patch: Patch) -> list[str]:
    patch.setattr(Learner, "losses", lambda *_: torch.empty(10**15))
    return RUN


def no_memory_in_a_test(patch: Patch) -> list[str]:
    patch.setattr("cilkit.inference.in_halves", lambda *_: torch.empty(10**15))
    return RUN


def few_open_files(patch: Patch) -> list[str]:
    patch.setattr("resource.getrlimit", lambda kind: (28, 28))
    return [*RUN, "--workers", "4"]


def lost_worker(patch: Patch) -> list[str]:
    patch.setattr("cilkit.experiment.learn", fail(RuntimeError("DataLoader worker is gone")))
    return RUN


def no_gpu(patch: Patch) -> list[str]:
    if torch.cuda.is_available():
        pytest.skip("a GPU is here")
    return ["run", "--device", "cuda", "--out", "runs/digits"]


def no_fp16(patch: Patch) -> list[str]:
    return [*RUN, "--precision", "fp16", "--device", "cpu"]


def wild(patch: Patch) -> list[str]:
    return [*RUN, "--backbone", "resnet8", "--lr", "1000", "--weight-decay", "0"]


def no_archive(patch: Patch) -> list[str]:
    return ["data", "cifar100"]


def no_network(patch: Patch) -> list[str]:
    error = URLError(gaierror(EAI_AGAIN, "Temporary failure in name resolution"))
    patch.setattr("cilkit.data.sources.download.urlopen", fail(error))
    patch.setattr("cilkit.data.sources.download.WAITS", ())
    return CIFAR


def not_an_archive(patch: Patch) -> list[str]:
    Path("data").mkdir()
    Path("data", ARCHIVE).write_bytes(b"<html>Too many requests</html>")
    return CIFAR


def too_many(patch: Patch) -> list[str]:
    patch.setattr("cilkit.data.loader.world_size", lambda: 2)
    return ["run", "--batch-size", "1", "--out", "runs/digits"]


def forsaken(patch: Patch) -> list[str]:
    patch.setattr("cilkit.experiment.build", fail(RuntimeError("Connection closed by peer")))
    return RUN


# Words that only one of the quotations has -> what makes the program say it.
TROUBLES = {
    "torchvision does not fit": misfit,
    "holds a run already": begun,
    "nothing is overwritten": drawn_by_somebody,
    "in folders of their own": one_below,
    "in use by": taken,
    "of other settings": begun_otherwise,
    "no checkpoint to go on from": without_checkpoint,
    "other data": other_data,
    "the checkpoint": damaged,
    "cannot write": read_only,
    "No space left": full_disk,
    "outside of training steps": no_memory,
    "in a training step": no_memory_in_a_step,
    "in a test": no_memory_in_a_test,
    "open files, and": few_open_files,
    "died or hangs; fewer": lost_worker,
    "device 'cuda'": no_gpu,
    "needs a CUDA card": no_fp16,
    "is not finite": wild,
    "no CIFAR-100": no_archive,
    "could not be fetched": no_network,
    "is damaged, incomplete": not_an_archive,
    "cannot be shared": too_many,
    "lost touch": forsaken,
}


def test_every_trouble_is_on_the_page_once() -> None:
    found = {words: sum(words in sentence for sentence in QUOTED) for words in TROUBLES}
    elsewhere = ["in the middle of a wait"]  # test_waits.py waits for it
    assert (found, len(QUOTED)) == (dict.fromkeys(TROUBLES, 1), len(TROUBLES) + len(elsewhere))


@pytest.mark.parametrize("words", TROUBLES)
def test_the_program_says_what_the_page_quotes(
    words: str, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    [quoted] = [sentence for sentence in QUOTED if words in sentence]
    monkeypatch.chdir(tmp_path)
    command = TROUBLES[words](monkeypatch)
    capsys.readouterr()
    assert main(command) != 0
    said = capsys.readouterr().err.removesuffix("\n")
    assert re.fullmatch(".+".join(map(re.escape, quoted.split("…"))), said), said


def test_make_says_of_an_old_python_what_the_page_quotes(tmp_path: Path) -> None:
    """The old one is this one in disguise."""
    old = tmp_path / "python3.10"
    disguise = "import sys; sys.version_info = (3, 10, 13); exec(sys.argv[1])"
    old.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{disguise}" "$2"\n')
    old.chmod(0o755)
    command = ["make", "lint", f"PYTHON={old}", f"VENV={tmp_path / 'venv'}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert done.stderr.splitlines()[0] in PAGE.splitlines()
    assert not (tmp_path / "venv").exists()


def test_make_asks_for_the_python_that_the_package_asks_for() -> None:
    lowest = re.findall(r"sys.version_info < \(3, (\d+)\)", (ROOT / "Makefile").read_text())
    assert f'requires-python = ">=3.{lowest[0]}"' in (ROOT / "pyproject.toml").read_text()


@pytest.mark.parametrize("command", ["data", "plot"])
def test_a_folder_for_pictures_that_cannot_be_written_is_refused(
    command: str, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    read_only(monkeypatch)
    what = {"data": "digits", "plot": str(min(RESULTS.glob("digits/wa-*")))}[command]
    capsys.readouterr()
    assert main([command, what, "--out", "figures"]) == 2
    said = "cannot write to 'figures': Permission denied; name another folder\n"
    assert capsys.readouterr().err == f"cilkit: error: {said}"
