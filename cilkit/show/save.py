"""Figures on disk, from records on disk."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from cilkit.config import MACHINE_SETTINGS, as_path
from cilkit.errors import InputError
from cilkit.machine.lock import make_writable
from cilkit.metrics import tested_on
from cilkit.runs.outputs import DRAWN, check_ours
from cilkit.runs.records import RECORDS, Record, read_records, run_record, stage_records
from cilkit.show.figures import FIGURES, accuracy_over_cost, accuracy_per_stage
from cilkit.show.layout import Runs

DPI = 150
MOST = 2  # settings in a label


def plot(folders: Sequence[Path], out: Path | None = None) -> list[Path]:
    """Draw the accuracy of all runs in `folders`, and every figure of each method's first run.

    Where there are several methods, their accuracy over what they cost, too. The PNG files go to
    `out`, by default the first folder, in place of earlier ones of cilkit's; their paths are
    returned. Raises `InputError` if there is nothing to draw, if `out` cannot be written, or if it
    holds something else under one of these names.
    """
    if not folders:
        raise InputError("name at least one folder that `cilkit run` filled")
    runs = group([read_records(path) for path in find_runs(folders)])
    out = as_path(out or folders[0])
    names = figure_names(runs)
    make_writable(out)
    check_ours(out, names)
    for name, figure in zip(names, drawn(runs), strict=True):
        figure.savefig(out / name, dpi=DPI, metadata=DRAWN)
    return [out / name for name in names]


def drawn(runs: Runs) -> Iterator[Figure]:
    """Yield the figures, in the order of their names."""
    title = tested_on(*chain(*runs.values())) or None
    yield accuracy_per_stage(runs, title=title)
    if len(runs) > 1:
        yield accuracy_over_cost(runs, title=title)
    for label, (first, *_) in runs.items():
        for draw in FIGURES.values():
            yield draw(first, title=", ".join(filter(None, [label, tested_on(first)])))


def find_runs(folders: Sequence[Path]) -> list[Path]:
    """Return the record files in these folders and one level below."""
    found = []
    for folder in map(as_path, folders):
        files = sorted([*folder.glob(RECORDS), *folder.glob(f"*/{RECORDS}")])
        if not files:
            raise InputError(
                f"no records in {str(folder)!r}; give a folder that `cilkit run` filled"
            )
        found += files
    return found


def group(runs: Sequence[Sequence[Record]]) -> dict[str, list[Sequence[Record]]]:
    """Return finished runs by label: runs that differ in seed or class order alone share one.

    One method's runs are told apart by the settings in which they differ, or, if these are many,
    by a number.
    """
    done = [records for records in runs if stage_records(records)]
    if not done:
        raise InputError("no stage of these runs is finished yet; there is nothing to draw")
    settings = [decisive(records) for records in done]
    grouped: dict[str, list[Sequence[Record]]] = {}
    labels: dict[str, str] = {}
    for records, mine in zip(done, settings, strict=True):
        method = mine["method"]
        others = [other for other in settings if other["method"] == method]
        differ = [k for k, v in mine.items() if any(other.get(k) != v for other in others)]
        full = method + "".join(f" {name}={mine[name]}" for name in differ)
        number = 1 + sum(label.split(" ")[0] == method for label in labels.values())
        short = f"{method} ({number})" if number > 1 else method
        label = labels.setdefault(full, full if len(differ) <= MOST else short)
        grouped.setdefault(label, []).append(records)
    return grouped


def decisive(records: Sequence[Record]) -> dict[str, Any]:
    """Return the settings that tell runs apart: all but the machine's, the seed, and the order."""
    aside = {"seed", "class_order", *MACHINE_SETTINGS}
    return {k: v for k, v in run_record(records).config.items() if k not in aside}


def figure_names(labels: Iterable[str] = ()) -> list[str]:
    """Return the names of the figures of runs with these labels; by default, of one run."""
    labels = list(labels)
    starts = [f"{label}-".replace(" ", "-") for label in labels] if len(labels) > 1 else [""]
    common = ["accuracy.png", "cost.png"] if len(labels) > 1 else ["accuracy.png"]
    return [*common, *(f"{start}{name}.png" for start in starts for name in FIGURES)]
