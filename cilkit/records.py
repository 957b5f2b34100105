"""What happened, in plain numbers: the only thing that plots, tables and tests look at.

Accuracies are in percent. A run's records are the lines of its `records.jsonl`: a `RunRecord`, then
an `EpochRecord` for each epoch and a `StageRecord` for each stage. Two runs of the same settings
have equal records; what depends on the hour or the machine is left out of the comparison.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from cilkit.errors import InputError


class Written:
    """What becomes a line of JSON: once, since every checkpoint holds the lines of all records."""

    kind: ClassVar[str]

    @cached_property
    def line(self) -> str:
        """The line, without its end."""
        return json.dumps({"kind": self.kind} | vars(self), default=vars, ensure_ascii=False)


@dataclass(frozen=True)
class RunRecord(Written):
    """What was asked for, and on what."""

    kind: ClassVar[str] = "run"

    config: dict[str, Any]
    class_order: list[int]  # original labels in order of arrival
    class_names: list[str]  # in order of arrival
    classes_per_stage: list[int]
    versions: dict[str, str] = field(compare=False)
    machine: dict[str, Any] = field(compare=False)
    started: str = field(compare=False)
    data: dict[str, Any] = field(default_factory=dict)  # what tells one data set from another


@dataclass(frozen=True)
class ResumeRecord(Written):
    """From here on, another number of processes did the work: the same result, up to noise."""

    kind: ClassVar[str] = "resume"

    processes_before: int
    processes: int


@dataclass(frozen=True)
class EpochRecord(Written):
    """One pass over a stage's training samples."""

    kind: ClassVar[str] = "epoch"

    stage: int
    epoch: int  # from 1
    epochs: int  # of this stage
    lr: float
    losses: dict[str, float]  # weighted means, as summed for training
    accuracy: float  # on the training batches, as they were met
    norms: list[float]  # length of each class's prototype
    seconds: float = field(default=0.0, compare=False)  # filled in by `run`


@dataclass(frozen=True)
class Examination:
    """A test of the model on the test images of all classes seen so far."""

    confusion: list[list[int]]  # row: true class, column: predicted class
    calibration_error: float
    norms: list[float]  # length of each class's prototype


@dataclass(frozen=True)
class StageRecord(Written):
    """What the model knows after a stage."""

    kind: ClassVar[str] = "stage"

    stage: int
    n_old: int
    n_seen: int
    before: Examination  # after the last epoch, before the method's `end`
    after: Examination  # after it: the stage's result
    exemplars: int  # in the memory
    facts: dict[str, float]  # what `end` says of itself: gamma
    fingerprint: str  # of weights, statistics, exemplars and teacher, the same in every process
    seconds: float = field(
        default=0.0, compare=False
    )  # of `end` and both tests; filled in by `run`

    def __post_init__(self) -> None:
        """Accept the parts as JSON holds them."""
        for part in ("before", "after"):
            if isinstance(getattr(self, part), dict):
                object.__setattr__(self, part, Examination(**getattr(self, part)))


Record = RunRecord | ResumeRecord | EpochRecord | StageRecord
KINDS: dict[str, type[Record]] = {
    cls.kind: cls for cls in (RunRecord, ResumeRecord, EpochRecord, StageRecord)
}


def to_json(record: Record) -> str:
    """Return one line of JSON, without the line's end."""
    return record.line


def from_json(line: str) -> Record:
    """Return the record that `to_json` wrote."""
    values = json.loads(line)
    return KINDS[values.pop("kind")](**values)


def read_records(path: Path) -> list[Record]:
    """Return the records of a run: of the folder that holds `records.jsonl`, or of such a file."""
    path = Path(path)  # a notebook may give a text
    file = path / "records.jsonl" if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"no records in {str(path)!r}: {error.strerror}; give a run's folder"
        ) from error
    try:
        records = [from_json(line) for line in content.decode("utf-8").splitlines()]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{str(file)!r} does not hold records of cilkit: {error}") from error
    if not any(isinstance(record, RunRecord) for record in records):
        raise InputError(f"{str(file)!r} does not begin as the records of a run do")
    return records


def run_record(records: Iterable[Record]) -> RunRecord:
    """Return the first record of a run: its settings."""
    return next(record for record in records if isinstance(record, RunRecord))


def stage_records(records: Iterable[Record]) -> list[StageRecord]:
    """Return the records of finished stages."""
    return [record for record in records if isinstance(record, StageRecord)]


def epoch_records(records: Iterable[Record]) -> list[EpochRecord]:
    """Return the records of finished epochs."""
    return [record for record in records if isinstance(record, EpochRecord)]
