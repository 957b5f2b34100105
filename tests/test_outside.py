"""Methods from a file of one's own, and from packages that are installed."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from cilkit import METHODS, InputError, load, read_records
from cilkit.cli import main
from cilkit.methods import outside
from cilkit.runs.records import run_record

MINE = '''
"""Replay that is told to hurry."""

from dataclasses import dataclass

from cilkit import METHODS
from cilkit.methods.replay import Replay


class Mine(Replay):
    """Replay."""

    @dataclass(frozen=True, kw_only=True)
    class Settings(Replay.Settings):
        """One."""

        hurry: float = 2.5  # how much


METHODS["mine"] = Mine
'''
QUICK = ["--increment", "5", "--epochs", "1", "--backbone", "mlp"]


@pytest.fixture
def registry() -> Iterator[None]:
    before = dict(METHODS)
    yield
    METHODS.clear()
    METHODS.update(before)


@pytest.fixture
def code(tmp_path: Path, registry: None) -> Path:
    file = tmp_path / "my method.py"
    file.write_text(MINE)
    return file


def test_a_method_in_a_file_runs_with_settings_of_its_own(code: Path, tmp_path: Path) -> None:
    words = ["run", "--code", str(code), "--method", "mine", "--hurry", "3", *QUICK]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    config = run_record(read_records(tmp_path / "out")).config
    assert (config["method"], config["hurry"]) == ("mine", 3.0)


def test_its_settings_stand_in_the_help_with_their_comments(
    code: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(["run", f"--code={code}", "--method", "mine", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "--hurry FLOAT" in text
    assert "how much" in text


def test_it_is_compared_with_others(code: Path, tmp_path: Path) -> None:
    words = ["compare", "--code", str(code), "--methods", "mine", "finetune", "--seeds", "0"]
    assert main([*words, *QUICK, "--out", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "mine-seed0").exists()


@pytest.fixture
def ended(code: Path, tmp_path: Path) -> Path:
    """A run of a method whose file is forgotten afterwards."""
    words = ["run", "--code", str(code), "--method", "mine", *QUICK, "--out", str(tmp_path / "run")]
    command = [sys.executable, "-m", "cilkit", *words]
    subprocess.run(command, check=True, capture_output=True)
    return tmp_path / "run"


def test_who_forgets_the_file_of_a_method_is_told_its_name(
    ended: Path, code: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = "'mine', the run's method, is not cilkit's own; give the file that adds it, too: "
    sentence += f"--code '{code}'"
    before = {path.name: path.read_bytes() for path in ended.iterdir()}
    with pytest.raises(InputError) as refused:
        load(ended)
    assert str(refused.value) == sentence
    other = str(tmp_path / "other")
    for words in (
        ["predict", str(ended), "x.png"],
        ["extend", str(ended), "--data-path", "x", "--out", other],
        ["run", "--method", "mine", *QUICK, "--out", str(ended), "--resume"],
        ["run", "--method", "mine", "--hurry", "3", *QUICK, "--out", str(ended), "--resume"],
    ):
        assert main(words) == 2
        assert capsys.readouterr().err == f"cilkit: error: {sentence}\n"
    assert {path.name: path.read_bytes() for path in ended.iterdir()} == before


def test_figures_of_a_method_whose_file_is_forgotten_are_drawn(ended: Path, tmp_path: Path) -> None:
    assert main(["plot", str(ended), "--out", str(tmp_path / "figures")]) == 0


def test_a_method_that_is_unknown_may_be_one_of_ones_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--method", "mine", "--out", str(tmp_path / "out")]) == 2
    sentence = capsys.readouterr().err
    assert "unknown method 'mine'; known: " in sentence
    assert "--code FILE adds one of your own" in sentence
    assert not (tmp_path / "out").exists()


def test_the_installed_command_knows_it_too(code: Path) -> None:
    words = ["show", "mine", "--code", str(code)]
    done = subprocess.run(
        [sys.executable, "-m", "cilkit", *words], capture_output=True, text=True, check=True
    )
    assert "hurry: float = 2.5  # how much" in done.stdout


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("x = 1\nraise ValueError('no')\n", "breaks off in line 2: ValueError: no"),
        ("x = 1\n\ny = (\n", "breaks off in line 3: SyntaxError"),
        ("import nothing_of_that_name\n", "in line 1: ModuleNotFoundError"),
        ("import sys\nsys.exit(3)\n", "breaks off in line 2: SystemExit: 3"),
        (
            "from cilkit import METHODS\nMETHODS['wa'] = METHODS['replay']\n",
            "there is a method 'wa' already; give yours another name",
        ),
        ("import cilkit\ncilkit.METHODS['mine'] = dict\n", "METHODS['mine'] is no class derived"),
        (None, "--code wants a file of Python (.py), and"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused_in_a_sentence(
    content: str | None, sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.py"
    if content is not None:
        file.write_text(content)
    assert main(["show", "wa", "--code", str(file)]) == 2
    assert sentence in capsys.readouterr().err


def test_an_option_without_a_file_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "wa", "--code"]) == 2
    assert "--code wants a file of Python (.py) after it" in capsys.readouterr().err


def test_a_file_that_is_no_python_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text(MINE)
    with pytest.raises(InputError, match=r"wants a file of Python"):
        outside.run_file(file)


@pytest.mark.usefixtures("registry")
def test_a_package_that_is_installed_adds_its_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "cilkit.methods.replay:Replay", outside.GROUP)
    monkeypatch.setattr(outside, "entry_points", lambda group: [point])
    outside.add_installed()
    assert METHODS["theirs"] is METHODS["replay"]


@pytest.mark.usefixtures("registry")
def test_a_package_that_is_broken_is_told_of_and_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    point = EntryPoint("theirs", "nothing_of_that_name:Mine", outside.GROUP)
    monkeypatch.setattr(outside, "entry_points", lambda group: [point])
    with pytest.warns(UserWarning, match=r"'theirs' of nothing_of_that_name:Mine cannot be loaded"):
        outside.add_installed()
    assert "theirs" not in METHODS
