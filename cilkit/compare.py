"""Several methods on several seeds: the ladder from forgetting to remembering. Chapter 6."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from pathlib import Path
from statistics import mean, stdev

from cilkit import checkpoint
from cilkit.checkpoint import Checkpoint
from cilkit.config import Config, plain
from cilkit.distributed import from_main, is_main, is_restarted
from cilkit.errors import InputError, lookup
from cilkit.experiment import Observer, run
from cilkit.folder import check_writable, find_run
from cilkit.methods import METHODS
from cilkit.metrics import summary
from cilkit.records import EpochRecord, Record, RunRecord

SUMMARY = "summary.json"
# Runs by method, one for each seed.
Runs = dict[str, list[list[Record]]]


def compare(
    config: Config,
    methods: Sequence[str],
    seeds: Sequence[int],
    out: Path,
    observers: Sequence[Observer] = (),
    *,
    resume: bool = False,
) -> Runs:
    """Run each method on each seed, `config` giving all else; leave `summary.json` in `out`.

    With `resume`, finished runs are kept and unfinished ones go on.
    """
    out = Path(out)  # a notebook may give a text
    methods, seeds = plain(methods), plain(seeds)  # or arrays of them
    from_main(lambda: check(config, methods, seeds, out, resume or is_restarted()))
    runs: Runs = {method: [] for method in methods}
    for seed in seeds:
        first = out / f"first-stage-seed{seed}"
        for method in methods:
            folder = out / f"{method}-seed{seed}"
            mine = replace(config, method=method, seed=seed)
            shares = METHODS[method].shares_first_stage
            start = from_main(partial(find_first_stage, first, mine)) if shares else None
            keep = [KeepFirstStage(folder, first)] if shares and start is None else []
            runs[method].append(run(mine, folder, [*observers, *keep], resume=resume, start=start))
    if is_main():
        write_summary(out / SUMMARY, summarise(runs))
    return runs


def write_summary(file: Path, summary: dict[str, dict[str, list[float]]]) -> None:
    """Write what the methods reached, beside those that an earlier call has compared."""
    earlier = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(earlier | summary, indent=2) + "\n")


def find_first_stage(folder: Path, config: Config) -> Checkpoint | None:
    """Return the first stage that another method has trained with the same settings, if any."""
    found = checkpoint.find(folder)
    if found is None or not isinstance(found.records[0], RunRecord):
        return None
    there = found.records[0].config | {"method": config.method}
    return None if config.differences(there) else found


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
        """Copy the newest checkpoint, if this record is its last."""
        found = checkpoint.find(self.run)
        if found is not None and found.records[-1] == record:
            self.first.mkdir(exist_ok=True)
            checkpoint.save(self.first, found)


def check(
    config: Config, methods: Sequence[str], seeds: Sequence[int], out: Path, resume: bool
) -> None:
    """Refuse what cannot be compared, before any work starts."""
    for method in methods:
        lookup("method", method, METHODS)
    for kind, values in (("method", methods), ("seed", seeds)):
        if not values or len(set(values)) < len(values):
            raise InputError(f"give at least one {kind}, each only once; given: {list(values)}")
    check_writable(out)
    if not resume and (any(out.glob("*/records.jsonl")) or (out / SUMMARY).exists()):
        raise InputError(
            f"{str(out)!r} holds runs already; name another folder, or go on with --resume"
        )
    for method, seed in product(methods, seeds):
        mine, folder = replace(config, method=method, seed=seed), out / f"{method}-seed{seed}"
        if folder.exists():
            find_run(folder, mine, resume)


def summarise(runs: Mapping[str, Iterable[Sequence[Record]]]) -> dict[str, dict[str, list[float]]]:
    """Return each method's last and average incremental accuracy, seed by seed, in percent."""
    result = {}
    for method, of_method in runs.items():
        numbers = [summary(records) for records in of_method]
        result[method] = {key: [round(n[key], 4) for n in numbers] for key in ("last", "average")}
    return result


COLUMNS = {
    "last": "last",
    "average": "average",
    "forgetting": "forgetting",
    "old": "old classes",
    "new": "new classes",
}


def table(runs: Mapping[str, Iterable[Sequence[Record]]]) -> str:
    """Return mean ± standard deviation over the seeds, a line for each method, in percent."""
    lines = [f"{'percent':12}" + "".join(f"{title:>13}" for title in COLUMNS.values())]
    for method, of_method in runs.items():
        numbers = [summary(records) for records in of_method]
        cells = [spread([n[key] for n in numbers]) for key in COLUMNS]
        lines.append(f"{method:12}" + "".join(f"{cell:>13}" for cell in cells))
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Return the mean, and the sample standard deviation if there are two values or more."""
    centre = round(mean(values), 6)  # 9.05 is 9.1, however it was summed
    return f"{centre:.1f} ± {stdev(values):.1f}" if len(values) > 1 else f"{centre:.1f}"
