"""Those who watch a run: each is called with one record after the other, and changes nothing."""

import csv
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from cilkit.config import as_path
from cilkit.errors import InputError
from cilkit.metrics import new_class_share, old_and_new_accuracy, stage_accuracy
from cilkit.runs.outputs import EVENTS, TABLES, check_free, check_ours
from cilkit.runs.records import EpochRecord, Record, StageRecord


class Csv:
    """Two tables beside the records: `epochs.csv` and `stages.csv`, a row each."""

    def __init__(self, folder: Path, resume: bool = False) -> None:
        """Start new tables in `folder`; a resumed run shows its earlier records again.

        Raises `InputError` where tables are already, unless they are to be begun again with
        `resume`, and cilkit's.
        """
        self.folder = as_path(folder)
        (check_ours if resume else check_free)(self.folder, TABLES)
        self.columns = {name: list(columns) for name, columns in TABLES.items()}
        self.rows: dict[str, list[dict[str, float]]] = {name: [] for name in TABLES}

    def __call__(self, record: Record) -> None:
        """Add the record's row, if it has one; a loss or fact that is new makes a column."""
        if row := scalars(record):
            name = f"{record.kind}s.csv"
            self.rows[name].append(row)
            columns = self.columns[name]
            fresh = [column for column in row if column not in columns]
            columns += fresh
            anew = bool(fresh) or len(self.rows[name]) == 1
            with (self.folder / name).open("w" if anew else "a", newline="") as file:
                writer = csv.DictWriter(file, columns)
                if anew:
                    writer.writeheader()
                writer.writerows(self.rows[name] if anew else [row])


class TensorBoard:
    """Scalars for TensorBoard: epochs as `epoch/...` over all epochs, stages as `stage/...`."""

    def __init__(self, folder: Path) -> None:
        """Write event files to `folder`; raise `InputError` where TensorBoard is not installed."""
        if find_spec("tensorboard") is None:
            raise InputError("tensorboard is not installed; try: pip install tensorboard")
        self.folder = as_path(folder)
        self.writer: Any = None
        self.epochs = 0

    def __call__(self, record: Record) -> None:
        """Write the record's numbers."""
        self.writer = self.writer or self.start(record)
        self.epochs += isinstance(record, EpochRecord)
        step = record.stage if isinstance(record, StageRecord) else self.epochs
        for name, value in scalars(record).items():
            if name not in ("stage", "epoch"):
                self.writer.add_scalar(f"{record.kind}/{name}", value, step)
        self.writer.flush()

    def start(self, first: Record) -> Any:
        """Begin a file in place of the same run's, interrupted, whose records are shown once more.

        A run is known by its first record, which its files are named after; others are let be.
        """
        from torch.utils.tensorboard.writer import SummaryWriter

        name = f".cilkit-{sha256(first.line.encode()).hexdigest()[:12]}"
        for old in self.folder.glob(f"{EVENTS}{name}"):
            old.unlink()
        return SummaryWriter(str(self.folder), filename_suffix=name)


def scalars(record: Record) -> dict[str, float]:
    """Return the single numbers of a record by name; those of a run's first record are none."""
    match record:
        case EpochRecord():
            values = {"stage": record.stage, "epoch": record.epoch, "lr": record.lr}
            return values | {"accuracy": record.accuracy} | record.losses
        case StageRecord():
            old, new = old_and_new_accuracy(record)
            return {
                "stage": record.stage,
                "n_seen": record.n_seen,
                "accuracy": stage_accuracy(record),
                "old": old,
                "new": new,
                "new_share": new_class_share(record),
                "calibration_error": record.after.calibration_error,
            } | record.facts
    return {}
