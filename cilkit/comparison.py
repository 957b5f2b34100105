"""Several methods on several seeds: the ladder from forgetting to remembering. Chapter 6."""

import glob
import json
from ast import literal_eval
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import groupby, product
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cilkit.config import MACHINE_SETTINGS, Config, as_path, names_of, several
from cilkit.errors import InputError, lookup, shown, unknown
from cilkit.experiment import Observer, built, run
from cilkit.learner import Learner
from cilkit.machine.lock import alone_in
from cilkit.machine.processes import from_main, is_main, is_restarted
from cilkit.machine.stopping import at_once
from cilkit.methods import METHODS
from cilkit.metrics import summarise
from cilkit.runs import checkpoint
from cilkit.runs.checkpoint import Checkpoint
from cilkit.runs.folder import check_comparison, find_run
from cilkit.runs.outputs import SUMMARY, SUMMARY_UNFINISHED
from cilkit.runs.records import EpochRecord, Record, RunRecord, dumps, run_record

OF_THE_SAME = ("seed", "class_order")  # settings in which runs of one label differ
Vary = Mapping[str, Any]


@dataclass(frozen=True)
class Planned:
    """One run of a comparison; those that differ in the seed or the class order share a label."""

    label: str
    config: Config
    name: str  # of its folder
    first: str  # of the folder with the first stage that it may share


def compare(
    config: Config,
    methods: Sequence[str],
    seeds: Sequence[int] | int,
    out: Path,
    observers: Sequence[Observer] = (),
    *,
    orders: Sequence[int | str] | int = (),
    vary: Vary = MappingProxyType({}),
    resume: bool = False,
    keep_stages: bool = False,
) -> dict[str, list[list[Record]]]:
    """Run each method on each seed, `config` giving all else; leave `summary.json` in `out`.

    With `orders`, on each class order, too, and with `vary`, with each choice of these settings'
    values; one alone needs no list. With `resume`, finished runs are kept and unfinished ones go
    on; with `keep_stages`, each keeps the network after each stage. Nobody else may write to `out`
    meanwhile. Raises `InputError` before the first training for what any run would be refused for.
    """
    out = as_path(out)
    choice = planned(config, methods, seeds, orders=orders, vary=vary)
    runs: dict[str, list[list[Record]]] = {one.label: [] for one in choice}
    with alone_in(out):
        from_main(lambda: check_folders(choice, out, resume or is_restarted()))
        check_runs(choice)
        for one in choice:
            folder, first = out / one.name, out / one.first
            shares = shares_first_stage(one.config)
            start = from_main(partial(find_first_stage, first, one.config)) if shares else None
            keep = [partial(keep_first_stage, folder, first)] if shares and start is None else []
            watch: list[Observer] = [*several(observers), *keep]
            how: Any = {"resume": resume, "start": start, "keep_stages": keep_stages}
            runs[one.label].append([*run(one.config, folder, watch, **how)])  # no learner stays
        if is_main():
            write_summary(out, summarise(with_earlier(runs, choice, out)))
    return runs


def with_earlier(
    runs: Mapping[str, Sequence[Sequence[Record]]], choice: Sequence[Planned], out: Path
) -> dict[str, list[Sequence[Record]]]:
    """Add the finished runs that earlier calls have left, of other seeds or class orders alone."""
    found: dict[str, list[Sequence[Record]]] = {
        label: [*several] for label, several in runs.items()
    }
    now = {one.name for one in choice}
    for label, one in {one.label: one for one in choice}.items():
        for folder in sorted(out.glob(f"{glob.escape(label.replace(' ', '-'))}-seed*")):
            if folder.name not in now and (state := checkpoint.find(folder)):
                first = run_record(state.records)
                mine = one.config.as_dict()
                there = first.config | {name: mine[name] for name in OF_THE_SAME}
                done = state.numbers["stage"] == len(first.classes_per_stage)
                if done and not one.config.differences(there):
                    found[label].append(state.records)
    return found


def planned(
    config: Config,
    methods: Sequence[str],
    seeds: Sequence[int] | int,
    *,
    orders: Sequence[int | str] | int = (),
    vary: Vary = MappingProxyType({}),
) -> list[Planned]:
    """Return the runs of a comparison in their order; refuse what cannot be compared."""
    methods, seeds, orders = several(methods), several(seeds), several(orders)
    if not isinstance(vary, Mapping):
        raise InputError(f"vary is {shown(vary)}; it must be a dictionary of settings and values")
    vary = {name: several(values) for name, values in vary.items()}
    check_choice(methods, seeds, orders, vary)
    choice, ways = [], [*orders] if orders else [config.class_order]
    for seed, order, *values in product(seeds, ways, *vary.values()):
        varied = dict(zip(vary, values, strict=True))
        told = "".join(f" {name}={value}" for name, value in varied.items())
        where = f"seed{seed}" + (f"-order{order}" if orders else "")
        for method in methods:
            given = {"method": method, "seed": seed, "class_order": order} | varied
            check_settings(method, varied)
            mine, name = replace(config, **given), f"{method}{told}-{where}".replace(" ", "-")
            first = f"first-stage-{where}{told}".replace(" ", "-")
            choice.append(Planned(method + told, mine, name, first))
    return choice


def axes(words: Sequence[str], known: Sequence[str]) -> dict[str, list[Any]]:
    """Return settings and their values, of words in a row: lr 0.03 0.1 weight-decay 0 1e-4."""
    found: dict[str, list[Any]] = {}
    for word in words:
        name = word.replace("-", "_")
        if name in known:
            found.setdefault(name, [])
            found[name] = found.pop(name)  # what follows belongs to it
        elif found:
            [*found.values()][-1].append(meant(word))
        else:
            raise unknown("setting", word, known)
    return found


def meant(word: str) -> Any:
    """Return what a word means as a value: a number, True, None, or a text."""
    with suppress(ValueError, SyntaxError):
        return literal_eval(word)
    return word


def check_choice(
    methods: Sequence[str], seeds: Sequence[int], orders: Sequence[int | str], vary: Vary
) -> None:
    """Refuse what cannot be compared, or would be done twice."""
    for method in methods:
        lookup("method", method, METHODS)
    for name, values in vary.items():
        for value in values:
            if not isinstance(value, int | float | str | tuple | None) or "/" in str(value):
                raise InputError(
                    f"{name} cannot be varied over {shown(value)}; give numbers, words or lists"
                )
    for kind, values in (("method", methods), ("seed", seeds), *vary.items()):
        if not values or any(values.count(value) > 1 for value in values):
            raise InputError(f"give at least one {kind}, each only once; given: {list(values)}")
    if any(orders.count(order) > 1 for order in orders):
        raise InputError(f"give each class order only once; given: {list(orders)}")


def check_settings(method: str, varied: Mapping[str, Any]) -> None:
    """Refuse to vary what a method does not have, or what has a way of its own."""
    known = {*names_of(METHODS[method].Settings)} - {"method", "seed", "class_order"}
    known -= MACHINE_SETTINGS
    for name in varied:
        if name not in known:
            raise InputError(
                f"{name} cannot be varied: it is no setting of {method}, or is the machine's, or "
                f"is given by --methods, --seeds, --orders"
            )


def write_summary(out: Path, summary: dict[str, dict[str, list[Any]]]) -> None:
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
    began_otherwise = there.get("weights") != config.as_dict()["weights"]
    return None if differ or began_otherwise else found


def keep_first_stage(folder: Path, first: Path, record: Record) -> None:
    """Copy a run's checkpoint where methods part: the first stage is trained, its `end` to come."""
    if isinstance(record, EpochRecord) and (record.stage, record.epoch) == (0, record.epochs):
        found, kept = checkpoint.find(folder), checkpoint.find(first)
        if found is not None and found.records[-1] == record and kept is None:
            first.mkdir(exist_ok=True)
            checkpoint.save(first, found)


@at_once()
def check_runs(choice: Sequence[Planned]) -> None:
    """Refuse what cannot be trained, the last run's settings too, before the first one begins.

    What is varied may be other images or weights; methods, class orders and seeds share them.
    """

    def varied(one: Planned) -> str:
        return one.label.removeprefix(one.config.method)

    for _, alike in groupby(sorted(choice, key=varied), varied):
        for _ in built([*dict.fromkeys(replace(one.config, seed=0) for one in alike)]):
            pass


def check_folders(choice: Sequence[Planned], out: Path, resume: bool) -> None:
    """Refuse folders that cannot be used, the last one's too, before any work starts."""
    check_comparison(out, resume)
    for one in choice:
        checkpoint.find(out / one.first)  # it may be damaged
        if (out / one.name).exists():
            find_run(out / one.name, one.config, resume)
