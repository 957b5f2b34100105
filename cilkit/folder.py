"""The folder of a run: its records, and whether it may be used. Chapter 9."""

from collections.abc import Iterable
from pathlib import Path

from cilkit import checkpoint
from cilkit.checkpoint import Checkpoint
from cilkit.config import Config
from cilkit.distributed import is_main, is_restarted
from cilkit.errors import InputError
from cilkit.records import Record, RunRecord, StageRecord, to_json

RECORDS = "records.jsonl"


def append(out: Path | None, record: Record) -> None:
    """Add a line to the file of records."""
    if out is not None and is_main():
        with (out / RECORDS).open("a", encoding="utf-8") as file:
            file.write(to_json(record) + "\n")


def rewrite(out: Path | None, records: Iterable[Record]) -> None:
    """Put these records in place of what the file held; it is never seen half written."""
    if out is not None and is_main():
        unfinished = out / "records.unfinished"
        lines = "".join(to_json(record) + "\n" for record in records)
        unfinished.write_text(lines, encoding="utf-8")
        unfinished.replace(out / RECORDS)


def find_run(out: Path | None, config: Config, resume: bool) -> Checkpoint | None:
    """Return the checkpoint of the run to be resumed in `out`, if there is one.

    Raises `InputError` if `out` cannot be used, or holds a run of other settings.
    """
    if out is None:
        return None
    resume = resume or is_restarted()
    check_out(out, resume)
    found = checkpoint.find(out) if resume else None
    if found is not None:
        check_same_settings(found.records[0], config, out)
    elif has_results(out):
        raise InputError(
            f"{str(out)!r} holds finished stages, and no checkpoint to go on from; name another "
            f"folder"
        )
    return found


def has_results(out: Path) -> bool:
    """Tell whether the folder holds what a run has found out; a stage's end is its first result."""
    file = out / RECORDS
    return file.exists() and f'{{"kind": "{StageRecord.kind}"' in file.read_text(encoding="utf-8")


def check_out(out: Path, resume: bool) -> None:
    """Refuse a folder that cannot be written, or holds a run that is not to be resumed."""
    check_writable(out)
    if (out / RECORDS).exists() and not resume:
        raise InputError(
            f"{str(out)!r} holds a run already; name another folder, or go on with --resume"
        )


def check_writable(out: Path) -> None:
    """Refuse a place that cannot be written."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise InputError(
            f"cannot write to {str(out)!r}: {error.strerror}; name another folder"
        ) from error


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
