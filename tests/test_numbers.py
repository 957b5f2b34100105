"""A number in prose comes from a stored record."""

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import mean, stdev

import numpy as np
import pytest
from selection import BUDGETS, CHAPTER, CHOICES, SEEDS
from test_notebooks import cells, prose
from test_readability import CORE, PACKAGE, code_lines

from cilkit import METHODS as REGISTRY
from cilkit import PRESETS, read_records
from cilkit.metrics import (
    megabytes,
    old_and_new_accuracy,
    spread,
    stage_accuracy,
    summarise,
    summary,
)
from cilkit.runs.records import Cost, run_record, stage_records
from cilkit.teaching.stored import by_method

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "cilkit" / "results"
README = (ROOT / "README.md").read_text(encoding="utf-8")
LOG = (ROOT / "tests" / "benchmarks" / "README.md").read_text(encoding="utf-8")
METHODS = ("finetune", "replay", "replay-kd", "wa")
REGISTERED = {*REGISTRY}
stored_sets = pytest.mark.parametrize("name", ["digits", "glyphs"])


def summary_of(name: str) -> dict[str, dict[str, list[float]]]:
    stored: dict[str, dict[str, list[float]]] = json.loads(
        (RESULTS / name / "summary.json").read_text()
    )
    return stored


@stored_sets
@pytest.mark.parametrize("method", METHODS)
def test_the_readmes_tables_show_the_stored_summaries(name: str, method: str) -> None:
    stored = summary_of(name)[method]
    table = README.split(f"| {name} |")[1].split("\n\n")[0]
    assert f"| {method} | {spread(stored['last'])} | {spread(stored['average'])} |" in table


@stored_sets
def test_a_stored_summary_is_that_of_the_stored_records(name: str) -> None:
    assert summarise(by_method(RESULTS / name)) == summary_of(name)


@stored_sets
def test_the_ladder_of_methods_stands_as_the_readme_tells_it(name: str) -> None:
    means = [mean(summary_of(name)[method]["last"]) for method in METHODS]
    assert means == sorted(means)
    assert means[0] <= 25
    assert means[-1] >= 85
    assert means[-1] >= means[1] + 8


@pytest.mark.parametrize(("method", "most"), [*zip(METHODS, (3, 6, 3, 3), strict=True)])
def test_the_digits_numbers_stand_still_over_ten_seeds(method: str, most: float) -> None:
    last = summary_of("digits")[method]["last"]
    assert len(last) == 10
    assert stdev(last) <= most


@pytest.mark.parametrize(("below", "above"), [*pairwise(METHODS)])
def test_each_step_of_the_digits_ladder_is_three_points_and_right_on_nine_of_ten_seeds(
    below: str, above: str
) -> None:
    stored = summary_of("digits")
    gains = [b - a for a, b in zip(stored[below]["last"], stored[above]["last"], strict=True)]
    assert mean(gains) >= 3
    assert sum(gain > 0 for gain in gains) >= 9


def test_the_readmes_rows_for_cifar_100_show_the_stored_records() -> None:
    runs = by_method(RESULTS / "cifar100-short")
    rows = [
        f"| {method} | {spread(found['last'])} | {spread(found['average'])} |"
        for method, found in summarise(runs).items()
    ]
    table = README.split("| cifar100-short |")[1].split("\n\n")[0]
    assert table.splitlines()[2:] == rows


def test_the_readme_states_what_the_tuned_preset_reached() -> None:
    runs = by_method(RESULTS / "cifar100-recipe")["tuned"]
    found = summarise({"wa": runs})["wa"]
    told = f"{spread(found['last'])} at the end and {spread(found['average'])} on average"
    assert told in README.replace("\n", " ")


@pytest.mark.parametrize(
    ("recipe", "sentence"),
    [
        ("no-teacher", "without a teacher, WA ends at {:.1f} (seed 0)"),
        ("lr-0.2", "the learning rate alone ends at {:.1f} (seed 0)"),
    ],
)
def test_the_readme_states_what_one_change_reached(recipe: str, sentence: str) -> None:
    [records] = by_method(RESULTS / "cifar100-recipe")[recipe]
    told = sentence.format(summary(records)["last"])
    assert told in README.replace("\n", " ")


def test_the_tuned_preset_is_the_recipe_that_was_measured() -> None:
    for records in by_method(RESULTS / "cifar100-recipe")["tuned"]:
        made = run_record(records).config
        preset = replace(PRESETS["cifar100-b50-10-short-tuned"], method="wa", seed=made["seed"])
        assert preset.differences(made) == []


def test_the_log_of_tricks_shows_the_stored_records() -> None:
    told = re.findall(r"^\| `([\w.-]+)` \| ([\d.]+) \| ([\d.]*) \| ([\d.]*) \|", LOG, re.MULTILINE)
    stored = []
    for name, [records] in by_method(RESULTS / "cifar100-tricks").items():
        made, stages = run_record(records), stage_records(records)
        assert made.config["validation"] == 0.1
        assert not made.versions["commit"].endswith("+")
        cells = [f"{stage_accuracy(stage):.1f}" for stage in stages] + ["", ""]
        stored.append((name, *cells[:3]))
    assert sorted(told) == sorted(stored)


def test_the_log_of_tricks_tells_what_its_table_does_not_show() -> None:
    runs = {
        name: stage_records(run) for name, [run] in by_method(RESULTS / "cifar100-tricks").items()
    }
    packed, balanced = runs["packed-alike-lr-0.05"], runs["balanced"]
    unaligned = [
        100 * np.trace(one.before.confusion) / np.sum(one.before.confusion) for one in packed
    ]
    assert f"{unaligned[1]:.1f} and {unaligned[2]:.1f} before alignment" in LOG
    assert f"of a class γ is {packed[1].facts['gamma']:.2f}" in LOG
    new = [old_and_new_accuracy(stage)[1] for stage in balanced[1:]]
    assert f"are lost ({new[0]:.0f} and {new[1]:.0f} %)" in LOG
    kept, pixels = packed[0].facts["bytes"], 3 * 32 * 32
    assert (
        f"take {kept / packed[0].exemplars:.0f} bytes on average where pixels take {pixels}" in LOG
    )
    assert f"in {100 * kept / (2000 * pixels):.0f} % of the bytes" in LOG


def test_the_log_of_tricks_tells_what_the_tuned_preset_was_worth_on_test_images() -> None:
    found = [("cifar100-recipe", "tuned"), ("cifar100-short", "wa")]
    tuned, short = (
        [
            round(stage_accuracy(stage), 1)
            for stage in stage_records(by_method(RESULTS / name)[run][0])
        ]
        for name, run in found
    )
    told = f"were worth {tuned[2] - short[2]:.1f} there, and {tuned[5] - short[5]:.1f} after 100"
    assert told in " ".join(LOG.split())


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("digits", "--preset digits --seeds 30 31 32 33 34 35 36 37 38 39"),
        ("glyphs", "--preset glyphs-b50-10 --seeds 0 1 2 3 4 5 6 7 8 9"),
    ],
)
def test_the_stored_records_were_made_by_the_presets_command(name: str, command: str) -> None:
    for records in by_method(RESULTS / name)["wa"]:
        made = run_record(records)
        assert made.machine["command"].startswith(f"cilkit compare {command}")
        assert not made.versions["commit"].endswith("+")


ROWS = {
    "AVX2": "AVX2 in place of AVX-512",
    "SSE4.1": "SSE4.1",
    "two threads": "two threads",
    "two processes": "two processes",
}


@pytest.mark.parametrize("way", ROWS)
def test_troubleshooting_states_how_far_another_machine_moves_the_numbers(way: str) -> None:
    last = json.loads((RESULTS / "machines.json").read_text())["last"]
    here, there = last["here"], last[way]
    moved = {m: [b - a for a, b in zip(here[m], there[m], strict=True)] for m in here}
    means = max(abs(mean(values)) for values in moved.values())
    runs = max(abs(value) for values in moved.values() for value in values)
    row = f"| {ROWS[way]} | up to {means:.1f} points | up to {runs:.1f} points |"
    assert row in (ROOT / "book" / "troubleshooting.md").read_text(encoding="utf-8")


def test_what_other_machines_were_compared_with_are_the_stored_results() -> None:
    here = json.loads((RESULTS / "machines.json").read_text())["last"]["here"]
    assert here == {method: summary_of("digits")[method]["last"] for method in here}


def test_chapter_9_states_how_the_long_preset_for_cifar_100_trains() -> None:
    preset, page = PRESETS["cifar100-b50-10"], prose(ROOT / "book" / "09_experiment.ipynb")
    first, rest = (
        ", ".join(map(str, m)) for m in (preset.base_milestones or (), preset.milestones)
    )
    told = {
        "batch size": preset.batch_size,
        "learning rate": preset.lr,
        "momentum": preset.momentum,
        "weight decay": f"{preset.base_weight_decay}, then {preset.weight_decay}",
        "epochs": f"{preset.base_epochs}, then {preset.epochs}",
        "schedule": f"a tenth after epochs {first}, then {rest}",
        "bias in the heads": "yes" if preset.head_bias else "no",
        "clipping": "yes" if preset.clip_weights else "no",
    }
    rows = [re.findall(rf"^\| {name} \| .+? \| (.+?) \|", page, re.MULTILINE) for name in told]
    assert rows == [[str(value)] for value in told.values()]


@pytest.mark.parametrize("number", ["last", "average"])
def test_the_presets_say_what_the_heads_first_values_are_worth(number: str) -> None:
    found = json.loads((RESULTS / "head-init.json").read_text())[number]
    gains = [b - a for a, b in zip(found["torch"], found["pycil"], strict=True)]
    told = f"{number} {mean(gains):+.1f} +- {stdev(gains) / len(gains) ** 0.5:.1f}"
    assert told in (PACKAGE / "presets.py").read_text(encoding="utf-8")


ZOO = json.loads((RESULTS / "zoo-digits.json").read_text(encoding="utf-8"))

MADE = json.loads((RESULTS / "zoo-digits-cost.json").read_text(encoding="utf-8"))
COSTS = {name: Cost(**of) for name, of in MADE["cost"].items()}


def test_the_page_of_methods_shows_the_stored_comparison_of_all_methods_best_first() -> None:
    found = sorted(ZOO["summary"].items(), key=lambda row: -mean(row[1]["last"]))
    rows = [
        f"| `{name}` | {spread(of['last'])} | {spread(of['average'])} | {ZOO['time'][name]:.1f} | "
        f"{COSTS[name].flops / 1e9:.1f} | {1000 * megabytes(COSTS[name]):.0f} |"
        for name, of in found
    ]
    text = (ROOT / "book" / "methods.md").read_text(encoding="utf-8")
    table = text.split("| method | last | average | time | cost | kept |")[1].split("\n\n")[0]
    assert table.splitlines()[2:] == rows
    assert {name for name, _ in found} == REGISTERED


def test_what_the_page_of_methods_says_of_its_table_is_so() -> None:
    last = {name: mean(of["last"]) for name, of in ZOO["summary"].items()}
    remedies = [last[name] for name in ("wa", "bic", "icarl", "lucir")]
    assert max(remedies) - min(remedies) < 3
    assert min(remedies) - last["replay-kd"] > 5
    assert last["ewc"] - last["finetune"] < 1
    assert last["joint"] > last["ridge"] > last["der"] > max(*remedies, last["podnet"])


def test_the_stored_costs_are_those_of_the_same_command_with_one_seed() -> None:
    one, all_ = (stored["made"]["command"].split() for stored in (MADE, ZOO))
    seeds = all_[all_.index("--seeds") + 1 :][:5]
    assert {*all_} - {*one} == {*seeds[1:], "runs/zoo"}
    assert {*one} - {*all_} == {"runs/zoo-cost"}
    assert re.fullmatch("[0-9a-f]{40}", MADE["made"]["commit"])


def test_what_the_page_of_methods_says_of_cost_and_memory_is_so() -> None:
    joint, ridge, der = COSTS["joint"], COSTS["ridge"], COSTS["der"]
    share = {name: cost.flops / joint.flops for name, cost in COSTS.items()}
    assert {name for name, of in share.items() if 0.75 < of < 1} == {"der", "podnet"}
    assert max(share, key=share.__getitem__) == "joint"
    assert round(joint.kept / 1000) == 86 and joint.kept < 4 * der.parameters
    assert ridge.kept / joint.kept == pytest.approx(100, rel=0.02)
    assert round(ridge.kept / (3 * 224 * 224)) == 58
    assert ridge.flops / COSTS["finetune"].flops == pytest.approx(2, abs=0.1)
    assert ZOO["time"]["ridge"] == 0.2


PUBLISHED = (ROOT / "book" / "methods.md").read_text(encoding="utf-8").split("(published)=")[-1]
PAGES = {path.stem: path for path in (ROOT / "book" / "methods").glob("*.md")}


def cells_of(text: str, first: str) -> list[list[str]]:
    """Return the rows of the table whose first column is called so, as cells."""
    table = text.split(f"| {first} |")[1].split("\n\n")[0]
    return [[cell.strip() for cell in row.split("|")[1:-1]] for row in table.splitlines()[2:]]


def test_the_methods_of_the_published_table_have_our_last_accuracies_best_first() -> None:
    rows = {row[0].strip("`"): float(row[1]) for row in cells_of(PUBLISHED, "method")}
    assert rows == {name: round(mean(ZOO["summary"][name]["last"]), 1) for name in rows}
    assert [*rows.values()] == sorted(rows.values(), reverse=True)


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_methods_page_states_what_it_costs_and_keeps(name: str) -> None:
    mine, last = COSTS[name], spread(ZOO["summary"][name]["last"])
    took, least, most = (COSTS[each].flops / 1e9 for each in (name, "finetune", "joint"))
    told = (
        f"On the digits a run takes {took:.1f} {{term}}`GFLOP`, where fine-tuning takes "
        f"{least:.1f} and joint training {most:.1f}. In the end the network has "
        f"{mine.parameters:,} parameters, and {mine.kept / 1000:,.1f} kB are kept beside it, for "
        f"{last} % of all digits."
    )
    costs = PAGES[name].read_text(encoding="utf-8").split("## What it costs")[1]
    assert told in costs.replace("\n", " ")


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_methods_page_shows_our_numbers_beside_the_published_ones(name: str) -> None:
    found, text = ZOO["summary"][name], PAGES[name].read_text(encoding="utf-8")
    [ours] = [line for line in text.splitlines() if re.match(r"\|.*\bhere \|", line)]
    wanted = [spread(found["average"]), spread(found["last"])]
    if name == "ewc":  # beside fine-tuning, last accuracy only
        wanted = [spread(ZOO["summary"]["finetune"]["last"]), spread(found["last"])]
    assert [cell.strip() for cell in ours.split("|")[2:-1]] == wanted


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_methods_page_has_the_published_numbers_of_the_page_of_all_methods(name: str) -> None:
    """What a method's page says of the common sources is what the common table says."""
    table = {row[0].strip("`"): row[2:] for row in cells_of(PUBLISHED, "method")}
    rows = [line for line in PAGES[name].read_text(encoding="utf-8").splitlines() if "|" in line]
    common = [line for line in rows if "PyCIL's figure |" in line or "DyTox's table |" in line]
    last = [line.split("|")[-2].strip() for line in common]
    assert last == [value for value in table.get(name, []) if value]


def test_chapter_7_has_the_published_numbers_of_the_page_of_all_methods() -> None:
    page = prose(ROOT / "book" / "07_measuring.ipynb")
    there = {row[0].strip("*").lower(): row[2] for row in cells_of(page, "method | average | last")}
    here = {row[0].strip("`"): row[3] for row in cells_of(PUBLISHED, "method")}
    both = there.keys() & here.keys()
    assert {name: there[name] for name in both} == {name: here[name] for name in both}
    assert len(both) >= 4


def test_what_the_pages_of_methods_say_of_ranks_is_so() -> None:
    last = {name: of["last"] for name, of in ZOO["summary"].items()}
    means = {name: mean(values) for name, values in last.items()}
    middle = [means[name] for name in ("icarl", "podnet", "wa", "bic")]
    assert max(middle) - min(middle) < 1.5
    for name in ("icarl", "podnet"):
        assert sum(a > b for a, b in zip(last[name], last["wa"], strict=True)) == 3
    assert min(middle) > means["lucir"] > means["replay"] + 10
    assert means["fetril"] < means["replay"] and means["means"] < means["ridge"]
    assert means["finetune"] < means["ewc"] < means["lwf"]
    assert ZOO["time"]["ridge"] == 0.2
    table = {row[0].strip("`"): row[2:] for row in cells_of(PUBLISHED, "method")}
    resnet18 = [float(table[name][2]) for name in ("icarl", "podnet", "wa", "bic")]
    assert 12 < max(resnet18) - min(resnet18) < 13
    for column in range(3):
        values = {m: float(row[column].rstrip("*")) for m, row in table.items() if row[column]}
        assert max(values, key=values.__getitem__) == "der"


def test_the_pages_say_how_much_less_the_digits_hold_features_than_pycil_does() -> None:
    chosen, usual = PRESETS["digits"].others, REGISTRY["podnet"].Settings
    assert usual.flat_weight / chosen.flat_weight == pytest.approx(10)
    assert usual.pod_weight / chosen.pod_weight == pytest.approx(50)
    assert (chosen.less_forget, REGISTRY["lucir"].Settings.less_forget) == (1, 5)


def test_the_readme_states_the_size_of_the_core() -> None:
    lines = sum(code_lines(PACKAGE / name) for name in CORE)
    assert f"The method, the loop and the formulas are {lines} lines" in README


# What a page's cell prints of its own run, where that run is stored as well: the notebook, the
# words with the record's numbers to be filled in, and the record.
PAIRS = [
    (
        "03_exemplars",
        "replay, this run: average {average:.1f} %, last {last:.1f} %",
        "digits/replay-seed30",
    ),
    *(
        (
            "03_exemplars",
            f"budget {budget:3}: {budget // 8:2} of an old class, 133 of a new one; "
            "old {old:.1f} %, new {new:.1f} %",
            f"digits-selection/herding-{budget}-seed30",
        )
        for budget in (20, 80, 200)
    ),
    (
        "04_distillation",
        "this run    old {old:4.1f}   new {new:4.1f}   all {last:4.1f}",
        "digits/replay-kd-seed30",
    ),
    (
        "04_distillation",
        "exemplars and teacher      old {old:5.1f} %   new {new:5.1f} %   all {last:5.1f} %",
        "digits/replay-kd-seed30",
    ),
]


def printed(page: str) -> str:
    """Return all that the cells of a notebook printed, as it is stored."""
    outputs = [
        o for cell in cells(ROOT / "book" / f"{page}.ipynb", "code") for o in cell["outputs"]
    ]
    return "".join("".join(output.get("text", "")) for output in outputs)


@pytest.mark.parametrize(("page", "words", "run"), PAIRS)
def test_a_pages_run_is_the_stored_record_of_the_same_command(
    page: str, words: str, run: str
) -> None:
    assert words.format(**summary(read_records(RESULTS / run))) in printed(page)


@pytest.mark.parametrize("choice", CHOICES)
@pytest.mark.parametrize("budget", BUDGETS)
def test_herding_and_random_are_compared_on_ten_seeds_by_the_chapters_cell(
    budget: int, choice: str
) -> None:
    runs = by_method(RESULTS / "digits-selection")[f"{choice}-{budget}"]
    made = [run_record(records) for records in runs]
    assert [run.config["seed"] for run in made] == list(SEEDS)
    command = f"book/{CHAPTER.name}: last_stage({budget}, {choice!r})"
    assert {run.machine["command"] for run in made} == {command}
    wanted = replace(PRESETS["digits"], method="replay", budget=budget, selection=choice)
    for run, seed in zip(made, SEEDS, strict=True):
        assert replace(wanted, seed=seed).differences(run.config) == []
