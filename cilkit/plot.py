"""Figures on disk, from records on disk."""

from collections.abc import Sequence
from pathlib import Path

from cilkit.config import MACHINE_SETTINGS
from cilkit.errors import InputError
from cilkit.figures import FIGURES, accuracy_per_stage
from cilkit.folder import check_writable
from cilkit.records import Record, read_records, run_record, stage_records

DPI = 150


def plot(folders: Sequence[Path], out: Path | None = None) -> list[Path]:
    """Draw the accuracy of all runs in `folders`, and every figure of each method's first run.

    The PNG files go to `out`, by default the first folder; their paths are returned. Raises
    `InputError` if there is nothing to draw, or `out` cannot be written.
    """
    if not folders:
        raise InputError("name at least one folder that `cilkit run` filled")
    runs = group([read_records(path) for path in find_runs(folders)])
    out = Path(out or folders[0])
    check_writable(out)
    drawn = [out / "accuracy.png"]
    accuracy_per_stage(runs).savefig(drawn[0], dpi=DPI)
    for label, of_label in runs.items():
        for name, figure in FIGURES.items():
            drawn.append(out / (f"{name}.png" if len(runs) == 1 else f"{label}-{name}.png"))
            figure(of_label[0], title=label).savefig(drawn[-1], dpi=DPI)
    return drawn


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """Return the record files in these folders and one level below."""
    found = []
    for folder in map(Path, folders):  # a notebook may give a text
        files = sorted([*folder.glob("records.jsonl"), *folder.glob("*/records.jsonl")])
        if not files:
            raise InputError(
                f"no records in {str(folder)!r}; give a folder that `cilkit run` filled"
            )
        found += files
    return found


def group(runs: Sequence[Sequence[Record]]) -> dict[str, list[Sequence[Record]]]:
    """Return finished runs by label: runs that differ in nothing but the seed share one."""
    labels: dict[str, str] = {}
    grouped: dict[str, list[Sequence[Record]]] = {}
    for records in runs:
        if stage_records(records):
            settings = run_record(records).config.items()
            config = {k: v for k, v in settings if k not in ("seed", *MACHINE_SETTINGS)}
            method, key = config["method"], str(sorted(config.items(), key=str))
            taken = sum(label.split(" ")[0] == method for label in labels.values())
            labels.setdefault(key, method if not taken else f"{method} ({taken + 1})")
            grouped.setdefault(labels[key], []).append(records)
    if not grouped:
        raise InputError("no stage of these runs is finished yet; there is nothing to draw")
    return grouped
