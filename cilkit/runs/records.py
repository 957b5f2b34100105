"""What happened, in plain numbers: the only thing that plots, tables and tests look at.

Accuracies are in percent. A run's records are the lines of its `records.jsonl`: a `RunRecord`, then
an `EpochRecord` for each epoch and a `StageRecord` for each stage. Two runs of the same settings
have equal records; what depends on the hour or the machine is left out of the comparison.
"""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from math import inf, isfinite, nan
from pathlib import Path
from typing import Any, ClassVar

from cilkit.config import as_path
from cilkit.errors import InputError

RECORDS = "records.jsonl"


class Record:
    """What happened in a run, as a line of its `records.jsonl`.

    A `RunRecord` comes first, then an `EpochRecord` for each epoch, and a `StageRecord` for each
    stage; a `ResumeRecord` where another number of processes went on. `run` returns them all, and
    `read_records` those of a folder; `learn` yields those of epochs and stages.
    """

    kind: ClassVar[str]

    @cached_property
    def line(self) -> str:
        """The line, without its end; made once, since checkpoints hold the lines of all records."""
        return dumps({"kind": self.kind} | vars(self))


def dumps(value: Any, **options: Any) -> str:
    """Return JSON, which knows no NaN and no infinity: for a number that does not exist, null."""
    options |= {"default": vars, "ensure_ascii": False, "allow_nan": False}
    try:
        return json.dumps(value, **options)
    except ValueError:
        finite = replaced(value, lambda x: x if x is not None and isfinite(x) else None)
        return json.dumps(finite, **options)


def replaced(value: Any, new: Callable[[Any], Any]) -> Any:
    """Return a value of JSON's with each number, or null, replaced by what `new` makes of it."""
    if isinstance(value, Examination | Cost):
        value = vars(value)
    if isinstance(value, dict):
        return {name: replaced(part, new) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(part, new) for part in value]
    return new(value) if isinstance(value, float | None) else value


@dataclass(frozen=True)
class RunRecord(Record):
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
class ResumeRecord(Record):
    """From here on, another number of processes did the work: the same result, up to noise."""

    kind: ClassVar[str] = "resume"

    processes_before: int
    processes: int


@dataclass(frozen=True)
class EpochRecord(Record):
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
class Cost:
    """What a stage takes, the same on every machine; `cilkit.inference` says by which rule.

    Records of earlier versions do not tell: NaN.
    """

    images: float = nan  # trained on, epoch by epoch
    flops: float = nan  # a multiplication and an addition are two
    parameters: float = nan  # of the model, after the stage
    # bytes for later stages beside the model: old images, the method's own numbers
    kept: float = nan


@dataclass(frozen=True)
class StageRecord(Record):
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
    cost: Cost = Cost()
    # of `end` and both tests; filled in by `run`
    seconds: float = field(default=0.0, compare=False)
    training_seconds: float = field(default=0.0, compare=False)  # of its epochs; filled in by `run`

    def __post_init__(self) -> None:
        """Accept the parts as JSON holds them."""
        for part, kind in (("before", Examination), ("after", Examination), ("cost", Cost)):
            if isinstance(getattr(self, part), dict):
                object.__setattr__(self, part, kind(**getattr(self, part)))

    @property
    def images_per_second(self) -> float:
        """Return how fast the stage was trained; NaN where nobody took the time, or none was."""
        return self.cost.images / self.training_seconds if self.training_seconds else nan


KINDS: dict[str, type[Record]] = {
    cls.kind: cls for cls in (RunRecord, ResumeRecord, EpochRecord, StageRecord)
}


def from_json(line: str) -> Record:
    """Return the record whose line it is."""
    values = json.loads(line)
    kind = KINDS[values.pop("kind")]
    if kind is not RunRecord and "null" in line:
        values = replaced(values, lambda number: nan if number is None else number)
    return kind(**values)


def read_records(path: Path) -> list[Record]:
    """Return the records of a run: of the folder that holds `records.jsonl`, or of such a file.

    A last line that was cut short, as by a power cut, is left out with a warning. Raises
    `InputError` for what cannot be the records of one run.
    """
    path = as_path(path)
    file = path / RECORDS if path.is_dir() else path
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(
            f"no records in {str(path)!r}: {error.strerror}; give a run's folder"
        ) from error
    try:
        records = [from_json(line.decode("utf-8")) for line in whole_lines(content, file)]
        check_order(records, file)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{str(file)!r} does not hold records of cilkit: {error}") from error
    return records


def whole_lines(content: bytes, file: Path) -> list[bytes]:
    """Return the lines of a file; the last one only if it is whole."""
    *lines, last = content.split(b"\n")
    if last:
        try:
            json.loads(last)
            lines.append(last)
        except ValueError:
            warnings.warn(f"the last line of {str(file)!r} is cut short and left out", stacklevel=3)
    return lines


def check_order(records: Sequence[Record], file: Path) -> None:
    """Refuse records that do not begin with a run's settings and go on through its stages."""
    if not records or not isinstance(records[0], RunRecord):
        raise InputError(f"{str(file)!r} does not begin as the records of a run do")
    places = [place_of(record) for record in records if not isinstance(record, ResumeRecord)]
    for before, place in pairwise(places):
        if place <= before:
            raise InputError(
                f"{str(file)!r} does not hold the records of one run: {in_words(place)} comes "
                f"after {in_words(before)}"
            )


def place_of(record: Record) -> tuple[float, float]:
    """Return the stage and the epoch of a record: no two of a run have the same."""
    match record:
        case EpochRecord():
            return record.stage, record.epoch
        case StageRecord():
            return record.stage, inf
    return -1, 0  # the settings, before everything


def in_words(place: tuple[float, float]) -> str:
    """Name a record by its place, counting stages from 1."""
    stage, epoch = place
    if stage < 0:
        return "its beginning"
    return f"the end of stage {stage + 1}" if epoch == inf else f"stage {stage + 1}, epoch {epoch}"


def run_record(records: Iterable[Record]) -> RunRecord:
    """Return the first record of a run: its settings."""
    return next(record for record in records if isinstance(record, RunRecord))


def stage_records(records: Iterable[Record]) -> list[StageRecord]:
    """Return the records of finished stages."""
    return [record for record in records if isinstance(record, StageRecord)]


def epoch_records(records: Iterable[Record]) -> list[EpochRecord]:
    """Return the records of finished epochs."""
    return [record for record in records if isinstance(record, EpochRecord)]
