"""Several methods on several seeds: the ladder from forgetting to remembering. Chapter 6."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path

from cilkit.config import Config, as_path, names_of, plain
from cilkit.errors import InputError, lookup
from cilkit.experiment import Observer, run
from cilkit.learner import Learner
from cilkit.machine.lock import alone_in
from cilkit.machine.processes import from_main, is_main, is_restarted
from cilkit.methods import METHODS
from cilkit.metrics import summarise
from cilkit.runs import checkpoint
from cilkit.runs.checkpoint import Checkpoint
from cilkit.runs.folder import check_comparison, find_run
from cilkit.runs.outputs import SUMMARY, SUMMARY_UNFINISHED
from cilkit.runs.records import EpochRecord, Record, RunRecord, dumps


def compare(
    config: Config,
    methods: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    observers: Sequence[Observer] = (),
    *,
    resume: bool = False,
) -> dict[str, list[list[Record]]]:
    """Run each method on each seed, `config` giving all else; leave `summary.json` in `out`.

    With `resume`, finished runs are kept and unfinished ones go on. Nobody else may write to `out`
    meanwhile.
    """
    out, methods, seeds = as_path(out), plain(methods), plain(seeds)  # there may be arrays of them
    check_choice(config, methods, seeds)
    runs: dict[str, list[list[Record]]] = {method: [] for method in methods}
    with alone_in(out):
        from_main(lambda: check_folders(config, methods, seeds, out, resume or is_restarted()))
        for seed in seeds:
            first = out / f"first-stage-seed{seed}"
            for method in methods:
                folder = out / f"{method}-seed{seed}"
                mine = replace(config, method=method, seed=seed)
                shares = shares_first_stage(mine)
                start = from_main(partial(find_first_stage, first, mine)) if shares else None
                keep = [KeepFirstStage(folder, first)] if shares and start is None else []
                watch: list[Observer] = [*observers, *keep]
                runs[method].append(run(mine, folder, watch, resume=resume, start=start))
        if is_main():
            write_summary(out, summarise(runs))
    return runs


def write_summary(out: Path, summary: dict[str, dict[str, list[float]]]) -> None:
    """Write what the methods reached, beside those that an earlier call has compared."""
    file, unfinished = out / SUMMARY, out / SUMMARY_UNFINISHED
    earlier = json.loads(file.read_text("utf-8")) if file.exists() else {}
    unfinished.write_text(dumps(earlier | summary, indent=2) + "\n", "utf-8")
    unfinished.replace(file)


def shares_first_stage(config: Config) -> bool:
    """Tell whether a method's first stage is that of fine-tuning."""
    method = METHODS[config.method]
    usual = method.classifier is Learner.classifier and not method.backbone
    return usual and config.shares_first_stage


def find_first_stage(folder: Path, config: Config) -> Checkpoint | None:
    """Return the first stage that another method has trained with the same settings, if any."""
    found = checkpoint.find(folder)
    if found is None or not isinstance(found.records[0], RunRecord):
        return None
    there = found.records[0].config | {"method": config.method}
    common = names_of(Config)  # a first stage that is shared knows no others
    differ = [name for name, *_ in config.differences(there) if name in common]
    return None if differ else found


class KeepFirstStage:
    """Keeps the checkpoint where methods part: the first stage is trained, its `end` is to come."""

    def __init__(self, run: Path, first: Path) -> None:
        """Copy it from the folder `run` to the folder `first`."""
        self.run, self.first = run, first

    def __call__(self, record: Record) -> None:
        """See one record; where it is the right one, so is the newest checkpoint."""
        match record:
            case EpochRecord(stage=0, epoch=epoch, epochs=epochs) if epoch == epochs:
                self.keep(record)

    def keep(self, record: Record) -> None:
        """Copy the newest checkpoint, if this record is its last, and no other has been kept."""
        found, kept = checkpoint.find(self.run), checkpoint.find(self.first)
        if found is not None and found.records[-1] == record and kept is None:
            self.first.mkdir(exist_ok=True)
            checkpoint.save(self.first, found)


def check_choice(config: Config, methods: Sequence[str], seeds: Sequence[int]) -> None:
    """Refuse what cannot be compared."""
    for method in methods:
        lookup("method", method, METHODS)
    for kind, values in (("method", methods), ("seed", seeds)):
        if not values or len(set(values)) < len(values):
            raise InputError(f"give at least one {kind}, each only once; given: {list(values)}")
    for method, seed in product(methods, seeds):
        replace(config, method=method, seed=seed)


def check_folders(
    config: Config, methods: Sequence[str], seeds: Sequence[int], out: Path, resume: bool
) -> None:
    """Refuse folders that cannot be used, the last one's too, before any work starts."""
    check_comparison(out, resume)
    for seed in seeds:
        checkpoint.find(out / f"first-stage-seed{seed}")  # it may be damaged
    for method, seed in product(methods, seeds):
        mine, folder = replace(config, method=method, seed=seed), out / f"{method}-seed{seed}"
        if folder.exists():
            find_run(folder, mine, resume)
