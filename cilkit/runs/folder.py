"""The folder of a run: its records, and whether it may be used. Chapter 9."""

import re
import shlex
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from cilkit.config import LEARNERS, Config
from cilkit.data.store import Files, Store
from cilkit.errors import InputError, lookup
from cilkit.machine.lock import check_writable
from cilkit.machine.processes import is_main, is_restarted
from cilkit.runs import checkpoint
from cilkit.runs.checkpoint import Checkpoint
from cilkit.runs.outputs import (
    HALVES,
    KEPT,
    KEPT_UNFINISHED,
    RECORDS_UNFINISHED,
    RUN,
    RUNS,
    SUMMARY,
    check_free,
    check_ours,
    taken,
)
from cilkit.runs.records import (
    RECORDS,
    Record,
    RunRecord,
    from_json,
    read_records,
    run_record,
    stage_records,
)


def append(out: Path | None, record: Record) -> None:
    """Add a line to the file of records."""
    if out is not None and is_main():
        with (out / RECORDS).open("a", encoding="utf-8") as file:
            file.write(record.line + "\n")


def rewrite(out: Path | None, records: Iterable[Record]) -> None:
    """Put these records in place of what the file held; it is never seen half written."""
    if out is not None and is_main():
        unfinished = out / RECORDS_UNFINISHED
        lines = "".join(record.line + "\n" for record in records)
        unfinished.write_text(lines, encoding="utf-8")
        unfinished.replace(out / RECORDS)


def keep_files(out: Path | None, exemplars: Store) -> None:
    """Copy exemplars' files into the folder of a run, all or none, unless it has them already.

    They are called by their numbers. Pixels in memory need no copy: the checkpoint has them.
    """
    if out is None or not is_main() or not isinstance(exemplars, Files) or (out / KEPT).exists():
        return
    unfinished = out / KEPT_UNFINISHED
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir()
        for row in range(len(exemplars)):
            shutil.copyfile(exemplars.path(row), unfinished / kept_name(row))
        unfinished.replace(out / KEPT)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise


def kept_name(row: int) -> str:
    """Return what the copy of an exemplar is called."""
    return f"{row:06d}"


def find_run(out: Path | None, config: Config, resume: bool) -> Checkpoint | None:
    """Return the checkpoint of the run to be resumed in `out`, if there is one.

    Raises `InputError` if `out` cannot be used, holds a run of other settings, or something that
    the run would overwrite.
    """
    if out is None:
        return None
    resume = resume or is_restarted()
    check_out(out, resume)
    found = checkpoint.find(out) if resume else None
    if found is not None:
        check_method(run_record(found.records))
        check_same_settings(found.records[0], config, out)
        check_same_run(found.records[0], out / RECORDS)
    elif not is_empty(out / RECORDS):
        check_unfinished(read_records(out), config, out)
    return found


def check_out(out: Path, resume: bool, beside: Iterable[str] = ()) -> None:
    """Refuse a folder that cannot be written, or holds what a run would overwrite or mix with.

    `beside` names what is written beside the run itself.
    """
    check_writable(out)
    there = taken(out, RUN)
    if there and not resume:
        raise InputError(
            f"{str(out)!r} holds a run already; name another folder, or go on with --resume"
        )
    if not there:
        check_free(out, () if resume else HALVES)
        check_no_runs(out)
    (check_ours if resume else check_free)(out, beside)


def check_no_runs(out: Path) -> None:
    """Refuse a folder of runs, such as a comparison's: a run among them would count as one more."""
    if there := taken(out, RUNS):
        name = there[0].relative_to(out)
        raise InputError(
            f"{str(out)!r} holds runs in folders of their own ({str(name)!r}); name another folder"
        )


def check_comparison(out: Path, resume: bool, beside: Iterable[str] = ()) -> None:
    """Refuse a folder that a comparison would overwrite, or that holds one run, not several."""
    if not resume and taken(out, RUNS):
        raise InputError(
            f"{str(out)!r} holds runs already; name another folder, or go on with --resume"
        )
    check_free(out, RUN if resume else (*RUN, *HALVES))
    check_ours(out, [SUMMARY])
    (check_ours if resume else check_free)(out, beside)


def is_empty(file: Path) -> bool:
    """Tell whether a file is missing, or has lost its content to a power cut."""
    return not taken(file.parent, [file.name]) or (
        file.is_file() and not file.read_bytes().strip(b"\0")
    )


def check_same_run(record: Record, file: Path) -> None:
    """Refuse a checkpoint that lies beside the records of another run: they would be lost."""
    assert isinstance(record, RunRecord)
    if not is_empty(file) and started(file) != record.started:
        raise InputError(
            f"{str(file)!r} is not of the run whose checkpoint lies beside it; move one of them "
            f"away"
        )


def started(file: Path) -> str:
    """Return when the run began whose records a file holds; '' if it holds none."""
    try:
        first = from_json(file.read_text("utf-8").split("\n")[0])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return ""
    return first.started if isinstance(first, RunRecord) else ""


def check_unfinished(records: Sequence[Record], config: Config, out: Path) -> None:
    """Refuse to begin anew where a run has a result: the end of a stage is the first one."""
    if stage_records(records):
        raise InputError(
            f"{str(out)!r} holds finished stages, and no checkpoint to go on from; name another "
            f"folder"
        )
    check_same_settings(records[0], config, out)


def check_same_data(record: Record, described: RunRecord) -> None:
    """Refuse to go on with other images or classes than a run was started with."""
    assert isinstance(record, RunRecord)
    names = ("class_names", "class_order", "classes_per_stage")
    differ = [name for name in names if getattr(record, name) != getattr(described, name)]
    differ += [name for name, value in record.data.items() if described.data.get(name) != value]
    if differ:
        raise InputError(
            f"this run was started with other data: {', '.join(differ)} differ; give the same "
            f"data, or name another folder"
        )


def check_method(record: RunRecord) -> None:
    """Refuse a run of a method that is unknown here; name the file that made it known there."""
    method, command = record.config.get("method", Config.method), record.machine.get("command", "")
    file = re.search(r"--code[ =](.+?\.py)(?: |$)", command)
    if method not in LEARNERS and file:
        raise InputError(
            f"{method!r}, the run's method, is not cilkit's own; give the file that adds it, too: "
            f"--code {shlex.quote(file[1])}"
        )
    lookup("method", method, LEARNERS)


def check_same_settings(record: Record, config: Config, out: Path) -> None:
    """Refuse to go on with a run that was started with other settings."""
    assert isinstance(record, RunRecord)
    differences = config.differences(record.config)
    if differences:
        differ = [f"{name} is {there!r} there, {here!r} here" for name, there, here in differences]
        raise InputError(
            f"{str(out)!r} holds a run of other settings: {'; '.join(differ)}; give the same "
            f"settings, or name another folder"
        )
