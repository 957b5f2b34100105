"""What Windows, a Mac or a folder of another name asks of the package and of its tree."""

import ast
import subprocess
import sys
from collections import Counter
from pathlib import Path, PurePosixPath

import pytest

from cilkit import read_records

ROOT = Path(__file__).parent.parent
ONLY_POSIX = {"fcntl", "grp", "pty", "pwd", "readline", "resource", "syslog", "termios", "tty"}
RESERVED = {"con", "prn", "aux", "nul"}
RESERVED |= {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}


def tracked() -> list[tuple[str, PurePosixPath]]:
    """Return what git holds: the kind of each file, and its path."""
    command = ["git", "ls-files", "--stage", "-z"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [entry.split("\t") for entry in done.stdout.split("\0") if entry]
    return [(facts[:6], PurePosixPath(path)) for facts, path in lines]


def test_no_file_is_a_symbolic_link() -> None:
    assert [path for kind, path in tracked() if kind == "120000"] == []


def refused_by_windows(path: PurePosixPath) -> bool:
    """Tell whether a part of a path is no name there: reserved, with a colon, a dot at its end."""
    return any(
        part.split(".")[0].lower() in RESERVED
        or part != part.rstrip(". ")
        or any(letter in '<>:"|?*\\' or ord(letter) < 32 for letter in part)
        for part in path.parts
    )


@pytest.mark.parametrize("name", ["aux.py", "a/con", "Com1.txt", "b.", "c ", "d:e", "f?", "g\\h"])
def test_what_windows_refuses_is_noticed(name: str) -> None:
    assert refused_by_windows(PurePosixPath(name))


def test_windows_takes_every_file() -> None:
    assert [path for _, path in tracked() if refused_by_windows(path)] == []


def test_no_two_files_or_folders_differ_in_capital_letters_alone() -> None:
    paths = {part for _, path in tracked() for part in (path, *path.parents)}
    found = Counter(str(path).casefold() for path in paths)
    assert [path for path, times in found.items() if times > 1] == []


def test_no_path_is_too_long_for_windows() -> None:
    """260 letters with the folder that the tree lies in."""
    assert max(len(str(path)) for _, path in tracked()) <= 160


def at_the_top(path: Path) -> set[str]:
    """Return the modules that a file imports whenever it is imported itself."""
    found = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        if isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def test_what_only_posix_has_is_imported_only_where_it_is_used() -> None:
    for path in (ROOT / "cilkit").rglob("*.py"):
        assert not at_the_top(path) & ONLY_POSIX, path


# What Python has on Windows is less; torch has asked its questions before it is taken away.
ELSEWHERE = f"""
import os, select, signal, sys
import continuum, matplotlib.pyplot, torch, torchvision, timm, tyro, sklearn.datasets
for name in {sorted(ONLY_POSIX)}:
    sys.modules[name] = None
for module, names in (
    (os, "fork forkpty register_at_fork fdatasync getuid geteuid uname sched_getaffinity killpg"),
    (signal, "SIGKILL SIGHUP SIGALRM SIGUSR1 SIGSTOP alarm pause setitimer pthread_kill"),
    (select, "poll epoll"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)
from cilkit.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_a_run_needs_nothing_that_only_posix_has_and_its_folder_may_have_spaces(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "my first run"
    words = ["run", "--epochs", "1", "--increment", "5", "--csv", "--out", str(folder)]
    command = [sys.executable, "-W", "ignore", "-c", ELSEWHERE, *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(read_records(folder)) == 1 + 2 * 2
    assert f"drew {folder / 'accuracy.png'}" in done.stdout
    assert not list(folder.glob("*.lock"))


def test_the_readme_says_in_plain_commands_what_make_does() -> None:
    """Each of them is the Makefile's, but for the place of the programs."""
    text = (ROOT / "README.md").read_text("utf-8").split("Without `make`")[1].split("```")[1]
    make = (ROOT / "Makefile").read_text("utf-8")
    make = make.replace("$(BIN)/", "").replace("$(PYTHON)", "python").replace("$(VENV)", ".venv")
    make = make.replace("$(REQUIREMENTS)", "requirements.txt").replace(
        "pip install --quiet", "pip install"
    )
    plain = [line.split("  #")[0].strip() for line in text.strip().splitlines()]
    known = [line.removeprefix("python -m ") for line in plain if "activate" not in line]
    assert len(known) >= 5
    for command in known:
        assert command in make or command.split()[0] in ("pytest", "cilkit"), command
