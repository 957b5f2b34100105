"""Several methods on several seeds: the ladder from forgetting to remembering. Chapter 6."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mean, stdev

from cilkit import distributed
from cilkit.checkpoint import Checkpoint
from cilkit.config import Config
from cilkit.errors import InputError, lookup
from cilkit.learn import learn
from cilkit.methods import METHODS
from cilkit.metrics import summary
from cilkit.provenance import describe
from cilkit.records import EpochRecord, Record
from cilkit.run import CHECKPOINT, Observer, build, check_writable, run, show, timed

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
    check(methods, seeds, out, resume)
    runs: Runs = {method: [] for method in methods}
    for seed in seeds:
        configs = {method: replace(config, method=method, seed=seed) for method in methods}
        folders = {method: out / f"{method}-seed{seed}" for method in methods}
        due = [method for method in methods if not (folders[method] / CHECKPOINT).exists()]
        sharing = [method for method in due if METHODS[method].shares_first_stage]
        first = first_stage(configs[sharing[0]], observers) if len(sharing) > 1 else None
        for method in methods:
            start = first if method in sharing else None
            records = run(configs[method], folders[method], observers, resume=resume, start=start)
            runs[method].append(records)
    if distributed.is_main():
        (out / SUMMARY).write_text(json.dumps(summarise(runs), indent=2) + "\n")
    return runs


def check(methods: Sequence[str], seeds: Sequence[int], out: Path, resume: bool) -> None:
    """Refuse what cannot be compared, before any work starts."""
    for method in methods:
        lookup("method", method, METHODS)
    for kind, values in (("method", methods), ("seed", seeds)):
        if not values or len(set(values)) < len(values):
            raise InputError(f"give at least one {kind}, each only once; given: {list(values)}")
    if distributed.is_main():
        check_writable(out)
        if not resume and (any(out.glob("*/records.jsonl")) or (out / SUMMARY).exists()):
            raise InputError(
                f"{str(out)!r} holds runs already; name another folder, or go on with --resume"
            )


def first_stage(config: Config, observers: Sequence[Observer] = ()) -> Checkpoint:
    """Train the first stage up to where methods part: its last epoch is over, its end is not."""
    learner, scenario = build(config)
    records: list[Record] = [describe(config, scenario)]
    for record in timed(learn(learner, scenario)):
        records.append(record)
        show([record], observers)
        if isinstance(record, EpochRecord) and record.epoch == record.epochs:
            break
    tensors, numbers = learner.state()
    return Checkpoint(tensors, numbers, records)


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
    lines = [f"{'percent':12}" + "".join(f"{title:>15}" for title in COLUMNS.values())]
    for method, of_method in runs.items():
        numbers = [summary(records) for records in of_method]
        cells = [spread([n[key] for n in numbers]) for key in COLUMNS]
        lines.append(f"{method:12}" + "".join(f"{cell:>15}" for cell in cells))
    return "\n".join(lines)


def spread(values: Sequence[float]) -> str:
    """Return the mean, and the sample standard deviation if there are two values or more."""
    if len(values) < 2:
        return f"{values[0]:.1f}"
    return f"{mean(values):.1f} ± {stdev(values):.1f}"
