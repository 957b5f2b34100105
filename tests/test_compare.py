"""Several runs side by side: shared work changes nothing, the summary says what the runs say."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from math import inf, nan
from pathlib import Path
from shutil import copytree
from statistics import mean, stdev
from typing import Any
from unittest.mock import Mock

import pytest
from quick import QUICK

from cilkit import Config, InputError, read_records, run, summary
from cilkit.cli import main
from cilkit.comparison import axes, compare, planned, write_summary
from cilkit.data.loader import Batch, Loader
from cilkit.data.sources.digits import digits
from cilkit.metrics import spread, table
from cilkit.runs.checkpoint import NEWEST
from cilkit.runs.records import (
    Cost,
    EpochRecord,
    Examination,
    Record,
    RunRecord,
    StageRecord,
)
from cilkit.show.layout import Runs
from cilkit.show.save import find_runs, group

METHODS = ("finetune", "replay", "wa")


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Runs]:
    out = tmp_path_factory.mktemp("compared")
    return out, compare(QUICK, METHODS, (0, 1), out)


@pytest.mark.parametrize("method", METHODS)
def test_a_method_that_shares_its_first_stage_gets_the_records_of_a_run_alone(
    method: str, compared: tuple[Path, Runs]
) -> None:
    assert compared[1][method][0] == run(replace(QUICK, method=method))


def test_the_first_stage_is_trained_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dealt: list[int] = []
    deal = Loader.epoch

    def counted(loader: Loader, stage: int, epoch: int, start: int = 0) -> Iterator[Batch]:
        dealt.append(stage)
        return deal(loader, stage, epoch, start)

    monkeypatch.setattr(Loader, "epoch", counted)
    compare(QUICK, METHODS, (0,), tmp_path)
    assert dealt.count(0) == QUICK.epochs
    assert dealt.count(1) == QUICK.epochs * len(METHODS)


def test_the_summary_holds_each_seeds_last_and_average_accuracy(
    compared: tuple[Path, Runs],
) -> None:
    found = json.loads((compared[0] / "summary.json").read_text())
    for method in METHODS:
        for seed in (0, 1):
            expected = summary(read_records(compared[0] / f"{method}-seed{seed}"))
            for key in ("last", "average"):
                assert found[method][key][seed] == pytest.approx(expected[key], abs=1e-4)


def test_a_call_with_fewer_seeds_takes_none_from_the_summary(
    compared: tuple[Path, Runs], tmp_path: Path
) -> None:
    out = copytree(compared[0], tmp_path / "out")
    before = json.loads((out / "summary.json").read_text())
    compare(QUICK, ["replay"], [1], out, resume=True)
    after = json.loads((out / "summary.json").read_text())
    assert {method: sorted(of["last"]) for method, of in after.items()} == {
        method: sorted(of["last"]) for method, of in before.items()
    }
    assert after["replay"]["last"][0] == before["replay"]["last"][1]


def test_runs_of_other_settings_in_the_folder_are_not_of_the_summary(
    compared: tuple[Path, Runs], tmp_path: Path
) -> None:
    copytree(compared[0] / "finetune-seed0", tmp_path / "out" / "finetune-seed0")
    compare(replace(QUICK, lr=0.04), ["finetune"], [7], tmp_path / "out", resume=True)
    found = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert len(found["finetune"]["last"]) == 1


def test_the_table_shows_mean_and_sample_deviation(compared: tuple[Path, Runs]) -> None:
    last = [summary(records)["last"] for records in compared[1]["wa"]]
    line = next(line for line in table(compared[1]).splitlines() if line.startswith("wa"))
    assert f"{mean(last):.1f} ± {stdev(last):.1f}" in line


def test_the_table_shows_what_a_run_costs_and_what_a_stage_hands_on(
    compared: tuple[Path, Runs],
) -> None:
    numbers = [summary(records) for records in compared[1]["wa"]]
    title, *lines = table(compared[1]).splitlines()
    assert title.endswith(" cost (GFLOP)    kept (MB)")
    line = next(line for line in lines if line.startswith("wa"))
    expected = [
        mean(one["flops"] for one in numbers) / 1e9,
        mean(one["megabytes"] for one in numbers),
    ]
    assert line.split()[-2:] == [f"{value:.3g}" for value in expected]


def made_up(flops: float, kept: float = 0.0) -> list[Record]:
    """Return the one stage of a run that costs so much."""
    seen = Examination([[1]], 0.0, [1.0])
    run = RunRecord({"seed": 0, "class_order": "natural"}, [0], ["0"], [1], {}, {}, "")
    cost = Cost(images=1, flops=flops, parameters=250_000, kept=kept)
    return [run, StageRecord(0, 0, 1, seen, seen, 0, {}, "", cost)]


def test_what_costs_more_than_joint_training_is_named_below_the_table() -> None:
    costs = {"wa": 2e9, "joint lr=0.1": 5e9, "joint": 4e9, "der": 4.1e9, "podnet": 6e9}
    said = table({label: [made_up(flops)] for label, flops in costs.items()}).splitlines()[-1]
    assert said == "Training on all images again (joint) costs less than der, podnet."


@pytest.mark.parametrize(
    "costs", [{"wa": 2e9, "joint": 4e9}, {"wa": 2e9}, {"wa": nan, "joint": nan}]
)
def test_nothing_stands_below_the_table_where_nothing_is_known_to_cost_more(
    costs: dict[str, float],
) -> None:
    runs = {label: [made_up(flops)] for label, flops in costs.items()}
    assert table(runs).splitlines()[-1].startswith([*costs][-1])


@pytest.mark.parametrize(
    ("flops", "unit", "cell"),
    [
        (nan, "FLOP", "–"),
        (999, "FLOP", "999"),
        (1e3, "kFLOP", "1"),
        (2.345e15, "PFLOP", "2.35"),
        (4.5e20, "EFLOP", "450"),
        (1.5e22, "EFLOP", "15000"),
    ],
)
def test_a_cost_has_the_unit_in_which_it_is_short(flops: float, unit: str, cell: str) -> None:
    title, line = table({"wa": [made_up(flops)]}).splitlines()
    assert f"cost ({unit})" in title
    assert line.split()[-2:] == [cell, "1"]  # 250,000 parameters of 4 bytes


def test_old_images_and_numbers_are_handed_on_beside_the_network() -> None:
    assert summary(made_up(1.0, kept=500_000))["megabytes"] == 1.5


@pytest.mark.parametrize("values", [[nan], [nan, nan], [nan, 1.0], [inf, 1.0], [1.0, -inf]])
def test_a_number_that_does_not_exist_is_a_dash(values: list[float]) -> None:
    assert spread(values) == "–"


def test_a_comparison_of_one_stage_has_a_table_with_dashes_and_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is old in it, and nothing can be forgotten: the upper bound of all methods."""
    words = ["compare", "--base", "10", "--epochs", "1", "--methods", "wa", "joint"]
    assert main([*words, "--seeds", "0", "1", "--out", str(tmp_path)]) == 0
    lines = [
        line for line in capsys.readouterr().out.splitlines() if line.startswith(("wa", "joi"))
    ]
    for line in (line for line in lines if "±" in line):
        assert line.split().count("–") == 2
        assert line.count("±") == 3
    assert sum("±" in line for line in lines) == 2
    assert (tmp_path / "joint-accuracy-matrix.png").exists()
    assert (tmp_path / "cost.png").exists()
    assert set(strict_json(tmp_path / "summary.json")) == {"wa", "joint"}


def strict_json(file: Path) -> dict[str, dict[str, list[float | None]]]:
    """Read JSON as others do, who know no NaN."""

    def refuse(word: str) -> None:
        raise ValueError(word)

    return json.loads(file.read_text(), parse_constant=refuse)


def test_a_summary_is_json_for_others_too(tmp_path: Path) -> None:
    write_summary(tmp_path, {"wa": {"last": [nan, 1.0]}})
    write_summary(tmp_path, {"joint": {"last": [inf]}})
    found = strict_json(tmp_path / "summary.json")
    assert found == {"wa": {"last": [None, 1.0]}, "joint": {"last": [None]}}


def test_a_first_stage_of_other_settings_is_not_replaced(tmp_path: Path) -> None:
    small = replace(QUICK, epochs=1)
    compare(small, ["finetune"], (0,), tmp_path)
    before = (tmp_path / "first-stage-seed0" / NEWEST).read_bytes()
    compare(replace(small, lr=0.1), ["lwf"], (0,), tmp_path, resume=True)
    assert (tmp_path / "first-stage-seed0" / NEWEST).read_bytes() == before


def test_a_comparison_is_never_overwritten(compared: tuple[Path, Runs]) -> None:
    with pytest.raises(InputError, match="holds runs already"):
        compare(QUICK, METHODS, (0, 1), compared[0])


def test_a_resumed_comparison_keeps_what_is_finished(compared: tuple[Path, Runs]) -> None:
    seen: list[Record] = []
    runs = compare(QUICK, METHODS, (0, 1), compared[0], [seen.append], resume=True)
    assert runs == compared[1]
    epochs = 2 * len(METHODS) * 3 * QUICK.epochs  # shown again, none of them trained again
    assert sum(isinstance(record, EpochRecord) for record in seen) == epochs


def test_a_method_that_is_compared_later_stands_beside_the_earlier_ones(tmp_path: Path) -> None:
    small = replace(QUICK, epochs=1)
    compare(small, ["finetune"], (0,), tmp_path)
    compare(small, ["lwf"], (0,), tmp_path, resume=True)
    assert list(json.loads((tmp_path / "summary.json").read_text())) == ["finetune", "lwf"]


def test_the_last_seed_is_checked_before_the_first_is_trained(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="seed is -1"):
        compare(QUICK, METHODS, (0, -1), tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("methods", "vary", "sentence"),
    [
        (["finetune"], {"precision": ["float32", "fp16"]}, "fp16 needs a CUDA card"),
        (["finetune"], {"augment": ["none", "crops"]}, "unknown augmentation 'crops'"),
        (["finetune", "wa"], {}, "budget is 9 exemplars"),
    ],
)
def test_the_last_setting_and_method_are_checked_before_the_first_is_trained(
    methods: list[str], vary: dict[str, list[Any]], sentence: str, tmp_path: Path
) -> None:
    config = replace(QUICK, device="cpu", budget=9)
    with pytest.raises(InputError, match=sentence):
        compare(config, methods, (0,), tmp_path, vary=vary)
    assert not list(tmp_path.iterdir())


def test_images_are_read_once_to_check_all_methods_and_seeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Checked(Exception):
        """The checks are over."""

    read: list[Config] = []
    monkeypatch.setattr("cilkit.experiment.build_dataset", lambda c: read.append(c) or digits(c))
    monkeypatch.setattr("cilkit.comparison.run", Mock(side_effect=Checked))
    with pytest.raises(Checked):
        compare(QUICK, METHODS, (0, 1), tmp_path, orders=(0, 1))
    assert len(read) == 1


def test_one_alone_needs_no_list() -> None:
    alone = planned(QUICK, "wa", 0, orders=1993, vary={"lr": 0.1})
    assert alone == planned(QUICK, ["wa"], [0], orders=[1993], vary={"lr": [0.1]})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"methods": 3}, "unknown method 3; known: finetune"),
        ({"methods": [["wa"]]}, "unknown method ('wa',); known: finetune"),
        ({"methods": None}, "unknown method None; known: finetune"),
        ({"seeds": None}, "seed is None; it must be a whole number"),
        ({"seeds": "01"}, "seed is '01'; it must be a whole number"),
        ({"seeds": [[1]]}, "seed is (1,); it must be a whole number"),
        ({"seeds": range(10**12)}, "seed is range(0, 1000000000000); it must be a whole number"),
        ({"orders": "sorted"}, "class_order is 'sorted'; it must be"),
        ({"vary": "lr"}, "vary is 'lr'; it must be a dictionary"),
    ],
)
def test_what_is_no_list_of_such_things_gets_one_sentence(
    given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(InputError, match=re.escape(sentence)):
        planned(QUICK, **({"methods": ["wa"], "seeds": [0]} | given))


def test_the_last_run_in_the_folder_is_checked_before_the_first_is_trained(tmp_path: Path) -> None:
    small = replace(QUICK, epochs=1)
    run(replace(small, method="wa", lr=0.5), tmp_path / "wa-seed0")
    with pytest.raises(InputError, match=r"lr is 0\.5 there"):
        compare(small, ["finetune", "wa"], (0,), tmp_path, resume=True)
    assert not (tmp_path / "finetune-seed0").exists()


def test_runs_that_differ_in_the_machine_share_a_label() -> None:
    small = replace(QUICK, epochs=1, method="finetune")
    runs = [run(small), run(replace(small, seed=1, save_every=2))]
    assert list(group(runs)) == ["finetune"]


def test_runs_that_differ_in_the_seed_alone_share_a_label(compared: tuple[Path, Runs]) -> None:
    runs = [read_records(path) for path in find_runs([compared[0]])]
    assert {label: len(of_label) for label, of_label in group(runs).items()} == {
        method: 2 for method in METHODS
    }


def test_runs_of_one_method_with_other_settings_get_labels_of_their_own() -> None:
    small = replace(QUICK, epochs=1, method="finetune")
    runs = [run(small), run(replace(small, lr=0.01))]
    assert list(group(runs)) == ["finetune lr=0.05", "finetune lr=0.01"]


def test_runs_that_differ_in_many_settings_are_numbered() -> None:
    small = replace(QUICK, epochs=1, method="finetune")
    runs = [run(small), run(replace(small, lr=0.01, momentum=0.5, batch_size=32))]
    assert list(group(runs)) == ["finetune", "finetune (2)"]


def test_a_comparison_over_settings_and_orders_is_that_of_runs_alone(tmp_path: Path) -> None:
    small = replace(QUICK, epochs=1)
    vary = {"lr": (0.05, 0.01), "kd_weight": (0.5,)}
    runs = compare(small, ["wa"], (0,), tmp_path, orders=("natural", 1993), vary=vary)
    assert list(runs) == ["wa lr=0.05 kd_weight=0.5", "wa lr=0.01 kd_weight=0.5"]
    alone = replace(small, method="wa", lr=0.01, kd_weight=0.5, class_order=1993)
    assert runs["wa lr=0.01 kd_weight=0.5"] == [
        run(replace(alone, class_order="natural")),
        run(alone),
    ]
    assert table(runs).splitlines()[0] == "seeds: 1, class orders: 2"
    assert list(json.loads((tmp_path / "summary.json").read_text())) == list(runs)


def test_a_setting_that_is_named_twice_keeps_all_its_values() -> None:
    words = ["lr", "0.1", "padding", "1", "lr", "0.2"]
    assert axes(words, ["lr", "padding"]) == {"lr": [0.1, 0.2], "padding": [1]}


def test_varied_on_the_command_line_it_is_drawn_and_goes_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["compare", "--epochs", "1", "--increment", "5", "--methods", "finetune", "wa"]
    words += ["--seeds", "0", "--vary", "weight-decay", "0", "1e-2", "--out", str(tmp_path)]
    assert main(words) == 0
    first = capsys.readouterr().out
    assert main([*words, "--resume"]) == 0
    told = [line for line in first.splitlines() if line.startswith("wa weight_decay=0.01  ")]
    assert told == [
        line for line in capsys.readouterr().out.splitlines() if line.startswith(told[0])
    ]
    assert (tmp_path / "wa-weight_decay=0.01-accuracy-matrix.png").exists()


def test_each_run_of_a_comparison_begins_with_what_is_varied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("cilkit.cli.draw", lambda *given: None)
    words = ["compare", "--epochs", "1", "--increment", "5", "--methods", "finetune"]
    words += ["--seeds", "0", "--vary", "lr", "0.03", "0.1", "--orders", "7"]
    assert main([*words, "--out", str(tmp_path)]) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if ", seed 0" in line]
    assert heads == [f"finetune lr={lr} class_order=7 on digits, seed 0" for lr in ("0.03", "0.1")]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["lr"], "give at least one lr"),
        (["lr", "0.1", "0.1"], "give at least one lr, each only once"),
        (["0.1"], "unknown setting '0.1'"),
        (["learningrate", "0.1"], "unknown setting 'learningrate'; known"),
        (["seed", "3"], "seed cannot be varied"),
        (["temperature", "3"], "temperature cannot be varied: it is no setting of finetune"),
        (["lr", "fast"], "lr is 'fast'; it must be a number"),
        (["lr", "{1}"], "lr cannot be varied over {1}; give numbers, words or lists"),
        (["increment", "[4,3,3]", "[4,3,3]"], "give at least one increment, each only once"),
        (["data-path", "a/b", "c"], "data_path cannot be varied over 'a/b'"),
        (["data-path", "a"], "data_path cannot be varied: it is no setting of finetune, or is the"),
    ],
)
def test_what_cannot_be_varied_is_refused_before_any_work(
    words: list[str], sentence: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = ["--out", str(tmp_path / "out")]
    assert main(["compare", "--methods", "finetune", "--vary", *words, *out]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
