"""The command that measures herding against random, by the function of the chapter's own cell."""

from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import selection
from claims import SHOWN
from test_notebooks import cells, source

from cilkit import PRESETS, build, learn, read_records
from cilkit.runs.records import StageRecord, run_record, stage_records
from cilkit.teaching.stored import RESULTS


def test_the_cells_that_run_end_with_the_one_that_the_page_shows() -> None:
    [shown] = [
        source(cell)
        for cell in cells(selection.CHAPTER, "code")
        if "def last_stage(" in source(cell)
    ]
    assert selection.cells_up_to("last_stage")[-1] == shown


def test_the_seed_is_written_once_so_that_another_can_take_its_place() -> None:
    assert "".join(selection.cells_up_to("last_stage")).count(SHOWN) == 1


def test_records_go_to_where_the_package_keeps_them() -> None:
    assert selection.KEPT == RESULTS / "digits-selection"


@pytest.fixture(scope="module")
def names() -> dict[str, Any]:
    """Return what the command takes from the chapter, with a last stage that costs nothing."""
    config = replace(PRESETS["digits"], method="replay", epochs=1)
    learner, scenario = build(config)
    _, record = islice(learn(learner, scenario), 2)
    assert isinstance(record, StageRecord)

    def last_stage(budget: int, choice: str) -> StageRecord:
        return replace(record, exemplars=budget, facts={choice: 1.0})

    return {"config": config, "scenario": scenario, "last_stage": last_stage}


@pytest.fixture
def stored(names: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder with the records of a seed, one of which was there before."""
    monkeypatch.setattr(selection, "chapter", lambda seed: names)
    there = tmp_path / "random-80-seed7"
    there.mkdir()
    (there / "records.jsonl").write_text("kept")
    selection.store(tmp_path, 7)
    return tmp_path


def test_a_record_that_is_there_stays_as_it_is(stored: Path) -> None:
    assert (stored / "random-80-seed7" / "records.jsonl").read_text() == "kept"


def test_a_record_holds_the_stage_that_last_stage_returned_for_its_budget_and_choice(
    stored: Path,
) -> None:
    [stage] = stage_records(read_records(stored / "herding-20-seed7"))
    assert (stage.exemplars, stage.facts) == (20, {"herding": 1.0})


def test_a_record_names_the_cell_and_the_settings_that_made_it(stored: Path) -> None:
    run = run_record(read_records(stored / "random-40-seed7"))
    assert run.machine["command"] == "book/03_exemplars.ipynb: last_stage(40, 'random')"
    assert (run.config["budget"], run.config["selection"]) == (40, "random")
