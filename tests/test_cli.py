"""The command line as a person meets it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pytest

from cilkit import METHODS, PRESETS, read_records, summary
from cilkit.cli import KINDS, Compare, Features, Run, check_options, main, parse, starts_of
from cilkit.config import names_of
from cilkit.methods.ewc import EWC
from cilkit.methods.replay import Replay
from cilkit.show.headings import by_heading

QUICK = ["--epochs", "1", "--base", "5", "--increment", "5", "--backbone", "resnet8"]


def refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Return the sentence that a command is refused with, at once."""
    try:
        status = main(words)
    except SystemExit as stop:  # tyro's own
        status = int(stop.code or 0)
    assert status == 2
    return " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_help_lists_the_presets(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(name in text for name in PRESETS)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            ["--method", "wb"],
            "unknown method 'wb'; known: finetune, lwf, replay, replay-kd, wa, joint",
        ),
        (["--dataset", "digit"], "unknown data set 'digit'; known: digits, cifar100, "),
        (["--backbone", "resnet21"], "unknown backbone 'resnet21'; known: resnet8, resnet20"),
        (["--preset", "cifar"], "unknown preset 'cifar'; known: digits, glyphs-b50-10, "),
        (["--augment", "crops"], "unknown augmentation 'crops'; known: none, crop, crop-flip"),
        (["--increment", "11"], "base 0 and increment 11 do not fit the 10 classes of digits"),
        (["--base", "11"], "base 11 and increment 2 do not fit the 10 classes of digits"),
        (["--class-order", "0", "1", "1"], "class_order must hold each label from 0 to 9 once"),
        (["--budget", "9"], "budget is 9 exemplars in total, too few for 10 classes"),
        (["--epochs", "0"], "epochs is 0; it must lie between 1 and"),
        (["--lr", "nan"], "lr is nan; it must lie between"),
        (["--seed", "-1"], "seed is -1; it must lie between 0 and"),
        (["--schedule", "step"], "milestones is empty"),
        (["--device", "tpu"], "device 'tpu' cannot be used here"),
        (["--dataset", "cifar100", "--data-path", "/nowhere"], "no CIFAR-100 in '/nowhere'"),
        (["--budget-per", "stage"], "invalid choice 'stage'"),
        (["--augment", "timm", "--auto-augment", "foo"], "timm does not take the policy 'foo'"),
        (["--augment", "timm", "--auto-augment", "rand-m99x"], "does not take the policy"),
        (["--backbone", "vit_tiny_patch16_224"], "cannot take images of 8 × 8 pixels"),
        (["--epoch", "3"], "unknown option '--epoch': `cilkit run --help` lists all; did you mean"),
        (["--mehtod=wa"], "did you mean '--method'?"),
        (["--kep_stages"], "did you mean '--keep-stages'?"),
        (
            ["--method", "finetune", "--temperature", "3"],
            "unknown option '--temperature': `cilkit run --help` lists all; it is a setting of lwf",
        ),
        (["--preset="], "unknown preset ''; known: digits, "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_gets_one_sentence(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(["run", *words, "--out", str(tmp_path)], capsys)


@pytest.mark.parametrize("words", [["--epochs", "-1"], ["--kd-weight", "2", "--kd-mix", "convex"]])
def test_what_a_setting_may_be_is_said_in_one_line(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["run", *words, "--out", str(tmp_path)])
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("cilkit: error: ")


@pytest.mark.parametrize(
    "words",
    [
        ["run", "--image-size", "32"],
        ["compare", "--image-size=32", "--preset", "cifar100-b0-10"],
        ["run", "--dataset", "npz", "--data-path", "x.npz", "--image-size", "32"],
        ["data", "digits", "--image-size", "32"],
    ],
)
def test_a_size_that_images_would_not_get_is_refused(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refused([*words, "--out", str(tmp_path / "out")], capsys)
    assert "--image-size is how large image files are read, and those of" in sentence
    assert not (tmp_path / "out").exists()


def test_a_reader_who_has_read_enough_hears_no_complaint(tmp_path: Path) -> None:
    """As `cilkit presets digits | head -1`: the pipe is closed before all is written."""
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "cilkit", "presets", "digits"], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_no_words_at_all_are_answered_with_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert "compare" in refused([], capsys)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("compar --out x", "unknown command 'compar'; known: run, compare, "),
        ("--mehtod wa", "unknown command '--mehtod'; known: run, "),
        ("run --mehtod wa", "did you mean '--method'?"),  # --out is missing, too
        ("compare --vry lr 1 2 --out x", "did you mean '--vary'?"),
        ("compare --methods finetune --ewc-lambda 5 --out x", "it is a setting of ewc"),
        ("extend runs/x --test-shar 0.1", "did you mean '--test-share'?"),
        ("data digits --data-pth x", "did you mean '--data-path'?"),
        ("features --pretraind", "did you mean '--pretrained'?"),
        ("predict runs/x --tops 3", "did you mean '--top'?"),
        ("export --file x", "unknown option '--file': `cilkit export --help` lists all"),
    ],
)
def test_of_an_unknown_command_or_option_the_nearest_is_named(
    words: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sentence in refused(words.split(), capsys)


@pytest.mark.parametrize("command", KINDS)
def test_every_option_in_the_help_is_known(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main([command, "--help"])
    words = [
        command,
        *re.findall(r"^[│ ]{0,4}(--[a-z][\w-]*)", capsys.readouterr().out, re.MULTILINE),
    ]
    assert words[1:] or command in ("show", "export", "presets")
    check_options(words, starts_of(words))


def test_the_last_preset_counts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--preset", "digits", "--preset", "nope", "--out", str(tmp_path)]
    assert "unknown preset 'nope'" in refused(words, capsys)


@pytest.mark.parametrize("words", [["--method", "joint"], ["--seed", "9"]])
def test_compare_refuses_what_it_would_not_heed(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sentence = refused(["compare", *words, "--out", str(tmp_path)], capsys)
    assert "compare takes --methods and --seeds" in sentence


def test_a_refused_run_leaves_tensorboards_files_alone(tmp_path: Path) -> None:
    assert main(["run", *QUICK, "--out", str(tmp_path), "--tensorboard"]) == 0
    [events] = tmp_path.glob("events.out.tfevents.*")
    before = events.read_bytes()
    words = ["run", *QUICK, "--lr", "0.5", "--out", str(tmp_path), "--tensorboard", "--resume"]
    assert main(words) == 2
    assert events.read_bytes() == before


@pytest.mark.parametrize("words", [["run", "--budget", "9"], ["compare", "--base", "11"]])
def test_what_is_refused_leaves_no_folder(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused([*words, "--out", str(tmp_path / "made" / "out")], capsys)
    assert not (tmp_path / "made" / "out").exists()


def test_a_place_that_cannot_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert "cannot write to" in refused(["run", "--out", str(tmp_path / "file" / "run")], capsys)


def test_an_empty_folder_has_nothing_to_draw(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "no records in" in refused(["plot", str(tmp_path)], capsys)


def test_run_leaves_records_tables_and_figures(tmp_path: Path) -> None:
    assert main(["run", *QUICK, "--out", str(tmp_path), "--csv", "--tensorboard"]) == 0
    left = {path.name for path in tmp_path.iterdir()}
    assert {"records.jsonl", "checkpoint.safetensors", "epochs.csv", "stages.csv"} <= left
    assert {"accuracy.png", "prototype-norms.png", "confusion.png"} <= left
    assert any(name.startswith("events.out.tfevents") for name in left)


def test_a_quiet_run_prints_its_last_line_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", *QUICK, "--out", str(tmp_path)]
    assert main(words) == 0
    loud = [line for line in capsys.readouterr().out.splitlines() if "drew" not in line]
    assert main([*words, "--resume", "--quiet"]) == 0
    assert capsys.readouterr() == (loud[-1] + "\n", "")
    assert len(loud) > 2


def test_a_quiet_comparison_prints_its_table_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--methods", "finetune", "joint", "--seeds", "3", *QUICK]
    assert main([*words, "--quiet", "--out", str(tmp_path)]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["finetune", "joint"]
    assert err == ""


def test_a_quiet_run_still_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "--quiet", "--lr", "-1", "--out", str(tmp_path)]
    assert "lr is -1" in refused(words, capsys)


def test_compare_leaves_a_summary_in_percent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--methods", "finetune", "wa", "--seeds", "3", "4", *QUICK]
    assert main([*words, "--out", str(tmp_path)]) == 0
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert {method: {key: len(v) for key, v in of.items()} for method, of in summary.items()} == {
        "finetune": {"last": 2, "average": 2},
        "wa": {"last": 2, "average": 2},
    }
    assert f"{sum(summary['wa']['last']) / 2:.1f} ±" in capsys.readouterr().out


def test_compare_refuses_a_method_that_is_named_twice(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--methods", "wa", "wa", "--out", str(tmp_path)]
    assert "each only once" in refused(words, capsys)


@pytest.mark.slow
def test_two_processes_do_the_same_work_under_torchrun(tmp_path: Path) -> None:
    torchrun = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
    ]
    words = ["-m", "cilkit", "run", *QUICK, "--out", str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*torchrun, *words], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == 1 + 2 * 2
    assert done.stdout.count("stage 2/2") == 1  # one process speaks
    assert "Warning" not in done.stderr


def test_a_comparison_takes_the_settings_of_all_its_methods() -> None:
    words = ["compare", "--methods", "ewc", "replay", "--ewc-lambda", "5", "--budget", "30"]
    command = parse([*words, "--out", "x"])
    assert isinstance(command, Compare)
    ewc, replay = (replace(command.config, method=method) for method in command.methods)
    assert isinstance(ewc, EWC.Settings) and isinstance(replay, Replay.Settings)
    assert (ewc.ewc_lambda, replay.budget) == (5, 30)


def test_the_version_is_that_of_the_package(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"cilkit {version('cilkit')}\n"


def test_presets_are_listed_and_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [*PRESETS]
    assert main(["presets", "glyphs-b50-10"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    settings = PRESETS["glyphs-b50-10"].as_dict()
    assert {name.replace("-", "_") for name in shown} == set(settings)
    assert (shown["base"], shown["base-lr"]) == ("50", "0.05")


def test_a_name_in_other_letters_is_recognised(capsys: pytest.CaptureFixture[str]) -> None:
    sentence = refused(["run", "--method", "WA", "--out", "x"], capsys)
    assert "unknown method 'WA'; known: " in sentence
    assert "; did you mean 'wa'?" in sentence
    assert "did you mean 'glyphs-b50-10'?" in refused(["presets", "Glyphs-B50"], capsys)


def options_of(command: str, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Return the options that a command's help names."""
    with pytest.raises(SystemExit):
        main([command, "--help"])
    return set(re.findall(r"(?<![\w-])--[a-z][\w-]*", capsys.readouterr().out))


def test_compare_offers_only_what_it_takes(capsys: pytest.CaptureFixture[str]) -> None:
    offered = options_of("compare", capsys)
    assert not offered & {"--method", "--seed"}
    assert {"--methods", "--seeds", "--lr", "--temperature"} <= offered


def headings_of(command: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    """Return the boxes of a command's help by their titles."""
    with pytest.raises(SystemExit):
        main(command.split())
    title = re.compile(r"^[╭─ ]*([\w. ]*options)[╮─ ]*$", re.MULTILINE)  # a terminal has lines
    boxes = title.split(capsys.readouterr().out)[1:]
    return dict(zip(boxes[::2], boxes[1::2], strict=True))


@pytest.mark.parametrize("columns", [80, 120])
def test_the_help_of_a_run_has_ten_headings_or_so_the_usual_ones_first(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    found = headings_of("run --help", capsys)
    first, later = ["", "method", "data", "stages"], ["memory", "distilling", "wa", "training"]
    last = ["network", "augmentation", "machine"]
    assert [*found] == [f"{name} options".strip() for name in (*first, *later, *last)]
    assert "--resume " in found["options"] and "--budget " in found["memory options"]
    assert max(len(line) for box in found.values() for line in box.splitlines()) <= columns


@pytest.mark.parametrize("method", METHODS)
def test_every_setting_stands_under_one_heading(method: str) -> None:
    kind = METHODS[method].Settings
    parts = by_heading(kind)
    assert sorted(chain(*parts.values())) == sorted(names_of(kind))
    assert all(parts.values())


def test_switches_that_say_what_is_so_or_are_taken_back_are_passed_over() -> None:
    """The digits' preset multiplies by the square of the temperature, and looks not ahead."""
    words = ["run", "--no-nesterov", "--kd-t-squared", "--no-csv", "--out", "x"]
    words += ["--head-bias", "--no-head-bias", "--no-compile", "--compile"]
    config = parse(words).config  # type: ignore[union-attr]
    assert (config.nesterov, config.kd_t_squared) == (False, True)
    assert (config.head_bias, config.compile) == (False, True)


def test_a_switch_of_any_method_may_say_what_is_so(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sure(Replay):
        @dataclass(frozen=True, kw_only=True)
        class Settings(Replay.Settings):
            """How sure."""

            sure: bool = True  # whether it is

    monkeypatch.setitem(METHODS, "sure", Sure)
    for words, expected in ((["--sure"], True), (["--no-sure"], False), (["--no_sure"], False)):
        config = parse(["run", "--method", "sure", *words, "--out", "x"]).config  # type: ignore[union-attr]
        assert config.sure is expected


def test_the_help_names_a_switch_and_its_opposite_where_it_is_on(
    capsys: pytest.CaptureFixture[str],
) -> None:
    offered = options_of("run", capsys)
    assert {"--nesterov", "--kd-t-squared", "--no-kd-t-squared", "--resume"} <= offered
    assert not offered & {"--no-nesterov", "--no-resume"}


def test_data_offers_the_settings_that_say_what_a_data_set_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    offered = options_of("data", capsys) - {"--help"}
    of_data = {"--data-path", "--download", "--split-file", "--test-share"}
    of_data |= {"--class-list", "--image-size"}
    assert offered == of_data | {"--out"}


def test_features_offers_what_it_looks_with(capsys: pytest.CaptureFixture[str]) -> None:
    offered = options_of("features", capsys)
    assert {"--dataset", "--backbone", "--no-pretrained", "--precision", "--out"} <= offered
    assert not offered & {"--epochs", "--budget", "--temperature", "--method"}
    command = parse(["features", "--no-pretrained", "--bf16", "--out", "x.npz"])
    assert isinstance(command, Features)
    assert (command.config.pretrained, command.config.precision) == (False, "bf16")


def test_a_single_run_leaves_its_summary_and_a_text_that_explains_the_folder(
    tmp_path: Path,
) -> None:
    assert main(["run", *QUICK, "--out", str(tmp_path)]) == 0
    numbers = summary(read_records(tmp_path))
    left = json.loads((tmp_path / "summary.json").read_text())
    assert left == {"wa": {key: [round(numbers[key], 4)] for key in ("last", "average")}}
    text = (tmp_path / "README.txt").read_text()
    assert len(text.splitlines()) == 9
    named = re.findall(r"[\w*.]+\.(?:jsonl?|safetensors|png)", text)
    assert all([*tmp_path.glob(name)] or "previous" in name for name in named)


def test_a_comparison_leaves_a_text_that_explains_all_that_is_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cilkit.cli.draw", lambda *given: None)
    words = ["compare", *QUICK, "--methods", "finetune", "--seeds", "0", "--keep-stages"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    named = re.findall(r"^([\w*.-]+):", (tmp_path / "README.txt").read_text(), re.MULTILINE)
    found = {path.name for path in [*tmp_path.glob("*"), *tmp_path.glob("*/*")]} - {"README.txt"}
    assert all(any(fnmatch(name, one) for one in named) for name in found)
    assert main([*words, "--out", str(tmp_path), "--resume"]) == 0


@pytest.mark.parametrize("kind", ["folder", "npz"])
@pytest.mark.parametrize("command", ["run", "compare"])
def test_who_brings_images_gets_settings_that_are_not_the_digits(kind: str, command: str) -> None:
    found = parse([command, "--dataset", kind, "--data-path", "mine", "--out", "out"])
    assert isinstance(found, Run | Compare)
    assert (found.preset, found.config.dataset) == ("own", kind)
    assert found.config.weight_decay == 5e-4
    assert found.config.threads is None


@pytest.mark.parametrize("method", METHODS)
def test_every_option_says_what_it_does(method: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["run", "--method", method, "--help"])
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    kind = r"(?:INT|FLOAT|STR|PATH|NAME|\{[^}]*\})"
    assert len(re.findall(rf"--[a-z0-9-]+ {kind} ", text)) > 20
    assert re.findall(rf"--[a-z0-9-]+ {kind} \((?:default|required)", text) == []


def test_a_preset_that_is_named_is_the_one_that_is_used() -> None:
    found = parse(["run", "--dataset", "npz", "--preset", "digits", "--out", "out"])
    assert isinstance(found, Run)
    assert (found.preset, found.config.weight_decay) == ("digits", 1e-2)


def test_it_is_said_what_the_settings_for_ones_own_images_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["run", "--dataset", "npz", "--data-path", "no.npz", "--out", str(tmp_path / "o")])
        == 2
    )
    assert "preset own: 20 exemplars of each class" in capsys.readouterr().out
