"""The folder of a run that has ended, read and never written to."""

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import torch

from cilkit.config import LEARNERS, Config, as_path, fits, fitting, in_words, names_of, renamed
from cilkit.data.samples import DataSet, Samples
from cilkit.data.scenario import Scenario, Stage
from cilkit.errors import InputError, shown
from cilkit.runs import checkpoint
from cilkit.runs.checkpoint import NEWEST, Checkpoint, stage_file
from cilkit.runs.folder import check_method
from cilkit.runs.outputs import taken
from cilkit.runs.records import RECORDS, RunRecord, run_record


@dataclass(frozen=True)
class Finished:
    """A run that has ended, or a stage of one: its checkpoint, and what that says of it."""

    out: Path
    checkpoint: Checkpoint
    record: RunRecord
    config: Config
    images: dict[str, Any]  # shape of one, and the channels' mean and deviation

    def scenario(self) -> Scenario:
        """Return the run's stages, without an image."""
        record, images, sizes = self.record, self.images, self.record.classes_per_stage
        nothing = Samples.of(torch.empty(0, *images["shape"]).byte(), torch.empty(0))
        stages = tuple(
            Stage(i, end - size, end, nothing, nothing, nothing)
            for i, (end, size) in enumerate(zip(accumulate(sizes), sizes, strict=True))
        )
        names, mean, std = map(tuple, (record.class_names, images["mean"], images["std"]))
        dataset = DataSet(self.config.dataset, nothing, nothing, names, mean, std)
        return Scenario(stages, tuple(record.class_order), names, dataset)


def finished(out: Path | str) -> Finished:
    """Return the run in a folder; raise `InputError` if there is none that has ended."""
    out = as_path(out)
    found, done, to_do = newest(out)
    if done < to_do:
        raise InputError(
            f"the run in {str(out)!r} has finished {done} of its {to_do} stages; go on with it by "
            f"--resume"
        )
    if "images" not in found.numbers:
        raise InputError(
            f"the run in {str(out)!r} was made by an earlier version, which did not keep the mean "
            f"and the deviation of its channels; give its command once more, with --resume and the "
            f"same data"
        )
    return described(out, found)


def after_stage(out: Path | str, stage: int) -> Finished:
    """Return a run, ended or not, as it was after a stage, counted from 1.

    Raises `InputError` if nothing of it was kept.
    """
    out, given, stage = as_path(out), stage, fitting(stage, int)
    if not fits(stage, int):
        raise InputError(f"stage is {shown(given)}; it must be {in_words(int)}, from 1")
    if (file := stage_file(out, stage)).exists():
        return described(out, checkpoint.load(file))
    _, done, to_do = newest(out)
    if not 1 <= stage <= to_do:
        raise InputError(f"the run in {str(out)!r} has no stage {stage}; it has 1 to {to_do}")
    if stage > done or stage == to_do:
        return finished(out)
    raise InputError(
        f"the run in {str(out)!r} did not keep what the network was after stage {stage}; a run "
        f"with --keep-stages does"
    )


def stages_kept(out: Path | str) -> list[int]:
    """Return the stages, counted from 1, after which a run's network is known.

    Raises `InputError` if it is the last one alone: nothing was kept.
    """
    out = as_path(out)
    _, done, to_do = newest(out)
    kept = [stage for stage in range(1, done + 1) if stage_file(out, stage).exists()]
    if kept in ([], [to_do]) and to_do > 1:
        after_stage(out, 1)  # which says how to keep it
    return [*dict.fromkeys([*kept, to_do])] if done == to_do else kept


def described(out: Path, found: Checkpoint) -> Finished:
    """Return a checkpoint beside what it says of its run."""
    record = run_record(found.records)
    return Finished(out, found, record, settings(record, out), found.numbers["images"])


def newest(out: Path) -> tuple[Checkpoint, int, int]:
    """Return the newest checkpoint, how many stages are done, and how many there are.

    A checkpoint that is damaged stays where it is.
    """
    if (out / NEWEST).exists():
        found = checkpoint.load(out / NEWEST)
        if found.records and isinstance(found.records[0], RunRecord):
            return found, found.numbers["stage"], len(found.records[0].classes_per_stage)
    if runs := taken(out, [f"*/{RECORDS}"]):
        raise InputError(
            f"{str(out)!r} holds runs in folders of their own; name one of them, such as "
            f"{str(runs[0].parent)!r}"
        )
    raise InputError(f"no run in {str(out)!r}: it lacks {NEWEST}; name the folder that a run left")


def settings(record: RunRecord, out: Path) -> Config:
    """Return a run's settings; refuse those that this version does not have."""
    given = renamed(record.config)
    check_method(record)
    known = {name for method in LEARNERS.values() for name in names_of(method.Settings)}
    if strange := sorted(given.keys() - known):
        raise InputError(
            f"the run in {str(out)!r} was made by another version ({record.versions['cilkit']}), "
            f"whose settings {', '.join(strange)} are unknown here"
        )
    return Config(**given)
