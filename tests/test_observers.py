"""Tables and scalars are derived from records, whole or resumed."""

import csv
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict, replace
from math import inf, isnan, nan
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Finished

from cilkit import Config
from cilkit.metrics import old_and_new_accuracy, stage_accuracy
from cilkit.progress import Progress
from cilkit.runs.records import (
    EpochRecord,
    Record,
    RunRecord,
    StageRecord,
    epoch_records,
    from_json,
    stage_records,
)
from cilkit.show.console import Console, exemplars, in_words
from cilkit.show.observers import Csv, TensorBoard


@pytest.fixture(scope="module")
def records(finished: Finished) -> list[Record]:
    return finished[1]


def rows(path: Path) -> list[dict[str, str]]:
    with path.open() as file:
        return list(csv.DictReader(file))


def test_a_record_comes_back_from_its_line_of_json(records: list[Record]) -> None:
    assert [from_json(record.line) for record in records] == records


def test_a_line_holds_a_record_as_dataclasses_understand_it(records: list[Record]) -> None:
    for record in records:
        assert json.loads(record.line) == {"kind": record.kind} | asdict(record)


def test_a_number_that_does_not_exist_is_null_in_json_and_comes_back(
    records: list[Record],
) -> None:
    """JSON knows no NaN: another program could read nothing of the whole line."""
    last = stage_records(records)[-1]
    after = replace(last.after, calibration_error=nan)
    line = replace(last, after=after, facts={"gamma": inf}).line
    assert json.loads(line)["after"]["calibration_error"] is None
    assert "NaN" not in line and "Infinity" not in line
    found = from_json(line)
    assert isinstance(found, StageRecord)
    assert isnan(found.after.calibration_error) and isnan(found.facts["gamma"])


def test_a_changed_copy_of_a_written_record_has_a_line_of_its_own(records: list[Record]) -> None:
    written = epoch_records(records)[0]
    assert written.line != replace(written, lr=written.lr + 1).line


def test_csv_has_a_row_for_each_epoch_with_its_losses(
    records: list[Record], tmp_path: Path
) -> None:
    observer = Csv(tmp_path)
    for record in records:
        observer(record)
    found = [(int(row["stage"]), float(row["ce"])) for row in rows(tmp_path / "epochs.csv")]
    assert found == [(record.stage, record.losses["ce"]) for record in epoch_records(records)]


def test_csv_has_a_row_for_each_stage_with_its_accuracy(
    records: list[Record], tmp_path: Path
) -> None:
    observer = Csv(tmp_path)
    for record in records:
        observer(record)
    found = [float(row["accuracy"]) for row in rows(tmp_path / "stages.csv")]
    assert found == [stage_accuracy(record) for record in stage_records(records)]


def test_a_loss_and_a_fact_that_no_method_had_before_make_columns(
    records: list[Record], tmp_path: Path
) -> None:
    observer = Csv(tmp_path)
    for record in records:
        if isinstance(record, EpochRecord) and record.stage:
            record = replace(record, losses=record.losses | {"pod": 0.25})
        if isinstance(record, StageRecord) and record.stage:
            record = replace(record, facts=record.facts | {"scale": 1.5})
        observer(record)
    for table, column, number in (("epochs.csv", "pod", "0.25"), ("stages.csv", "scale", "1.5")):
        found = [row[column] for row in rows(tmp_path / table)]
        assert found == ["" if row["stage"] == "0" else number for row in rows(tmp_path / table)]


def test_tables_of_a_resumed_run_show_no_row_twice(records: list[Record], tmp_path: Path) -> None:
    interrupted = Csv(tmp_path)
    for record in records[:3]:
        interrupted(record)
    resumed = Csv(tmp_path, resume=True)
    for record in records:
        resumed(record)
    assert len(rows(tmp_path / "epochs.csv")) == len(epoch_records(records))


def test_tensorboard_gets_each_stages_accuracy(records: list[Record], tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    observer = TensorBoard(tmp_path)
    for record in records:
        observer(record)
    events = EventAccumulator(str(tmp_path)).Reload()
    found = [event.value for event in events.Scalars("stage/accuracy")]
    assert found == pytest.approx([stage_accuracy(record) for record in stage_records(records)])


def test_the_console_says_a_line_for_each_stage_of_a_quick_run_and_shows_no_bar(
    records: list[Record],
) -> None:
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        observer = Console()
        for record in records:
            observer(record)
    last = stage_records(records)[-1]
    old, new = old_and_new_accuracy(last)
    assert f"old {old:5.1f}  new {new:5.1f}" in out.getvalue().splitlines()[-1]
    assert len(out.getvalue().splitlines()) == 1 + 3
    assert err.getvalue() == ""


def said_by(records: list[Record], seconds: float, out: io.StringIO) -> list[str]:
    """Return what the console says where every epoch takes so many seconds."""
    now = [0.0]
    with redirect_stdout(out):
        console = Console(clock=lambda: now[0])
        for record in records:
            if isinstance(record, EpochRecord):
                now[0] += seconds
                record = replace(record, seconds=seconds)
            console(record)
    return [line for line in out.getvalue().splitlines() if "epoch" in line]


def test_in_a_file_a_long_run_says_where_it_is_and_how_long_it_takes(
    records: list[Record],
) -> None:
    """Of 4, 3 and 3 classes of like size, and 40 exemplars: three stages of two epochs each."""
    lines = said_by(records, 3600.0, io.StringIO())
    assert isinstance(records[0], RunRecord)
    of_class = records[0].data["training images"] / 10
    first, later = 4 * of_class, 3 * of_class + 40
    hours = (first + 4 * later) / first
    minutes = round(60 * hours)
    assert lines[0] == f"  stage 1/3, epoch 1/2, about {minutes // 60} h {minutes % 60} min left"
    assert len(lines) == 6


@pytest.mark.parametrize(("method", "later"), [("means", 0.0), ("ridge", 0.0), ("fetril", 1 / 3)])
def test_the_time_left_knows_which_methods_train_little_after_the_first_stage(
    method: str, later: float, records: list[Record]
) -> None:
    """Of 4, 3 and 3 classes: the first stage's two epochs take an hour each."""
    first = records[0]
    assert isinstance(first, RunRecord)
    config = Config(method=method, epochs=2).as_dict()
    lines = said_by([replace(first, config=config), *records[1:3]], 3600.0, io.StringIO())
    minutes = [round(60 * hours) for hours in (1 + later * 3, later * 3)]
    for line, left in zip(lines, minutes, strict=True):
        assert line.endswith(f"about {in_words(60 * left)} left")


def test_a_stage_without_work_does_not_trouble_the_console(records: list[Record]) -> None:
    first = records[0]
    assert isinstance(first, RunRecord)
    config = Config(method="means", pretrained=True, epochs=2).as_dict()
    said = said_by([replace(first, config=config), *records[1:3]], 3600.0, io.StringIO())
    assert said == ["  stage 1/3, epoch 1/2", "  stage 1/3, epoch 2/2"]


def test_the_console_says_a_line_a_minute_at_most(records: list[Record]) -> None:
    assert len(said_by(records, 31.0, io.StringIO())) == 3
    assert said_by(records, 1.0, io.StringIO()) == []


def test_the_console_tells_how_far_the_first_epoch_is(
    records: list[Record], capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    console, progress = Console(clock=lambda: now[0]), Progress()
    console(records[0])
    progress.watchers.append(console.stepped)
    for _ in range(3):
        now[0] += 50
        progress.finish_step(64, {"ce": torch.tensor(1.0)})
    assert capsys.readouterr().out.splitlines()[1:] == ["  stage 1/3, epoch 1/2"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (40, "40 s"),
        (89, "89 s"),
        (91, "2 min"),
        (3599, "1 h 0 min"),
        (11400, "3 h 10 min"),
    ],
)
def test_times_are_told_as_one_says_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words


@pytest.mark.parametrize(
    ("settings", "old"),
    [
        ({"method": "finetune"}, 0),
        ({"budget": 40}, 40),
        ({"budget": 5, "budget_per": "class"}, 20),
        ({"method": "joint"}, inf),
    ],
)
def test_the_console_knows_how_many_old_images_there_are(
    settings: dict[str, Any], old: float
) -> None:
    config = Config(**({"method": "wa"} | settings)).as_dict()
    assert exemplars(config, n_old=4) == old
