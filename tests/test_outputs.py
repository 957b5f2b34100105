"""Nothing is overwritten: a folder is free only if none of the names is taken that are written."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from shutil import copy, copytree

import pytest

from cilkit import Config, InputError, read_records, run
from cilkit.cli import main
from cilkit.runs.checkpoint import NEWEST, PREVIOUS
from cilkit.show.observers import Csv, TensorBoard

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parent.parent
QUICK = ["--base", "5", "--increment", "5", "--epochs", "1"]
DIGITS = ROOT / "cilkit" / "results" / "digits"
STORED = [str(min(DIGITS.glob(f"{method}-seed*"))) for method in ("finetune", "wa")]
COMMANDS = {
    "run": ["run", *QUICK, "--csv", "--tensorboard"],
    "compare": ["compare", *QUICK, "--methods", "finetune", "--seeds", "0"],
    "data": ["data", "digits"],
    "plot one": ["plot", STORED[0]],
    "plot two": ["plot", *STORED],
}
# What only a crash leaves, or a run of more stages.
MORE = {
    "run": ["records.unfinished", "checkpoint.unfinished", PREVIOUS],
    "compare": ["summary.unfinished", "finetune-seed0/records.unfinished"],
}
Names = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each command leaves."""
    folders = {name: tmp_path_factory.mktemp("left") / "out" for name in COMMANDS}
    for name, out in folders.items():
        assert main([*COMMANDS[name], "--out", str(out)]) == 0
    return folders


def contents(folder: Path) -> dict[Path, bytes]:
    return {
        path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("command", COMMANDS)
def test_whatever_stands_where_a_command_would_write_is_left_alone(
    command: str, folders: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [*map(str, contents(folders[command])), *MORE.get(command, [])]
    for number, name in enumerate(names):
        foreign = tmp_path / str(number) / name
        foreign.parent.mkdir(parents=True)
        foreign.write_bytes(b"mine\n")
        assert main([*COMMANDS[command], "--out", str(tmp_path / str(number))]) == 2, name
        assert contents(tmp_path / str(number)) == {Path(name): b"mine\n"}
    assert capsys.readouterr().err.count("name another folder") == len(names)


@pytest.mark.parametrize("name", [NEWEST, "events.out.tfevents.1600000000.myhost"])
def test_the_files_of_the_report_are_left_alone(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    """A checkpoint that somebody copied, to go on with it, and another program's events."""
    content = (folders["run"] / NEWEST).read_bytes()
    (tmp_path / name).write_bytes(content)
    assert main([*COMMANDS["run"], "--out", str(tmp_path)]) == 2
    assert contents(tmp_path) == {Path(name): content}


def test_a_run_from_a_notebook_overwrites_nothing(folders: dict[str, Path], tmp_path: Path) -> None:
    copy(folders["run"] / NEWEST, tmp_path)
    before = contents(tmp_path)
    with pytest.raises(InputError, match="holds a run already"):
        run(Config(base=5, increment=5, epochs=1), tmp_path)
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["epochs.csv", "stages.csv", "confusion.png", "records.jsonl"])
def test_a_resumed_run_writes_over_nothing_but_its_own(
    name: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    out = copytree(folders["run"], tmp_path / "run")
    (out / name).write_bytes(b"mine\n")
    before = contents(out)
    assert main([*COMMANDS["run"], "--out", str(out), "--resume"]) == 2
    assert contents(out) == before


def test_a_checkpoint_beside_the_records_of_another_run_is_not_gone_on_with(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    """Its settings are the same; but it has another history."""
    out = copytree(folders["run"], tmp_path / "run")
    records = (out / "records.jsonl").read_text().replace('"started": "2', '"started": "1')
    (out / "records.jsonl").write_text(records)
    assert main([*COMMANDS["run"], "--out", str(out), "--resume"]) == 2
    assert (out / "records.jsonl").read_text() == records


def test_a_resumed_run_makes_its_tables_figures_and_events_anew(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    out = copytree(folders["run"], tmp_path / "run")
    (out / "events.out.tfevents.1600000000.myhost").write_bytes(b"mine")
    assert main([*COMMANDS["run"], "--out", str(out), "--resume"]) == 0
    events = sorted(out.glob("events.*"))
    assert len(events) == 2  # its own, begun again, and the other one
    assert events[0].read_bytes() == b"mine"
    for name in ("epochs.csv", "stages.csv"):
        assert (out / name).read_bytes() == (folders["run"] / name).read_bytes()


def test_tensorboard_lets_another_run_s_events_be(tmp_path: Path) -> None:
    config = Config(base=5, increment=5, epochs=1, threads=1)
    for seed in (0, 1):
        run(replace(config, seed=seed), observers=[TensorBoard(tmp_path)])
    assert len(list(tmp_path.iterdir())) == 2


def test_tables_are_not_begun_where_there_are_some(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    copy(folders["run"] / "stages.csv", tmp_path)
    with pytest.raises(InputError, match=r"holds 'stages\.csv' already"):
        Csv(tmp_path)


@pytest.mark.parametrize("more", [[], ["--resume"]])
def test_a_run_and_a_comparison_do_not_share_a_folder(
    more: list[str], folders: dict[str, Path], tmp_path: Path
) -> None:
    for there, command in (("run", "compare"), ("compare", "run")):
        out = copytree(folders[there], tmp_path / there)
        before = contents(out)
        assert main([*COMMANDS[command], "--out", str(out), *more]) == 2
        assert contents(out) == before


def test_a_comparison_goes_on_with_no_summary_of_somebody_else(
    folders: dict[str, Path], tmp_path: Path
) -> None:
    out = copytree(folders["compare"], tmp_path / "two")
    (out / "summary.json").write_text('{"mine": 1}')
    assert main([*COMMANDS["compare"], "--out", str(out), "--resume"]) == 2
    assert (out / "summary.json").read_text() == '{"mine": 1}'


@pytest.mark.parametrize("command", ["data", "plot one"])
def test_pictures_of_cilkit_are_drawn_again(
    command: str, folders: dict[str, Path], tmp_path: Path
) -> None:
    out = copytree(folders[command], tmp_path / "out")
    for path in out.iterdir():
        path.write_bytes(path.read_bytes()[:-100])
    assert main([*COMMANDS[command], "--out", str(out)]) == 0
    assert contents(out) == contents(folders[command])


def test_a_file_with_the_name_of_a_probe_stays(tmp_path: Path) -> None:
    (tmp_path / ".writable").write_text("mine")
    assert main([*COMMANDS["data"], "--out", str(tmp_path)]) == 0
    assert (tmp_path / ".writable").read_text() == "mine"


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "records.jsonl").symlink_to("elsewhere")
    assert main([*COMMANDS["run"], "--out", str(tmp_path)]) == 2
    assert not (tmp_path / "elsewhere").exists()


# Paths that no shell has looked at.


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, and another folder that is the current one."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.mark.parametrize("command", ["run", "compare", "data", "plot one"])
def test_a_folder_for_results_may_be_in_the_home(
    command: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if command in ("run", "compare"):  # figures take most of the time
        monkeypatch.setattr("cilkit.cli.draw", lambda *_: None)
    assert main([*COMMANDS[command], "--out=~/results"]) == 0
    assert (home / "results").is_dir()
    assert list(Path.cwd().iterdir()) == []


def test_settings_that_are_paths_may_begin_in_the_home(home: Path) -> None:
    config = Config(data_path=Path("~/d"), split_file=Path("~/split.txt"))
    assert (config.data_path, config.split_file) == (home / "d", home / "split.txt")


def test_a_run_is_found_and_drawn_in_the_home(home: Path) -> None:
    copytree(STORED[0], home / "run")
    assert read_records(Path("~/run")) == read_records(home / "run")
    assert main(["plot", "~/run"]) == 0
    assert (home / "run" / "accuracy.png").exists()


def test_who_watches_may_write_to_the_home(home: Path) -> None:
    home.mkdir()
    watch = [Csv(Path("~")), TensorBoard(Path("~"))]
    run(Config(base=5, increment=5, epochs=1, threads=1), observers=watch)
    assert len(list(home.iterdir())) == 3
    assert list(Path.cwd().iterdir()) == []
