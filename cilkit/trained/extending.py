"""More classes for a run that has ended: new stages after its own, on new images."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from cilkit.config import Config, as_path, names_of
from cilkit.data.datasets import BROUGHT
from cilkit.data.images import BadImage, Unreadable, check_image
from cilkit.data.samples import DataSet, Samples, gathered, join
from cilkit.data.scenario import Scenario, Stage, class_increments
from cilkit.data.sources.folders import halves
from cilkit.data.sources.split import alike
from cilkit.data.store import Files, restored_store, store_state
from cilkit.errors import InputError, some
from cilkit.experiment import (
    Observer,
    Records,
    as_it_began,
    build_learner,
    first_records,
    go_on,
    naming,
    read,
    save,
    take_up,
)
from cilkit.learner import Learner
from cilkit.machine.lock import alone_in
from cilkit.machine.processes import from_main, is_main
from cilkit.methods import METHODS
from cilkit.methods.joint import Joint
from cilkit.runs.checkpoint import keep, stage_file
from cilkit.runs.folder import check_same_data, find_run, kept_name
from cilkit.runs.outputs import KEPT
from cilkit.runs.provenance import describe
from cilkit.runs.records import RunRecord, stage_records
from cilkit.state import named, part
from cilkit.trained.finished import Finished, finished

# Which images of one tree are for tests: two settings say it, of which one may be given.
UNSPLIT: dict[str, Any] = {"split_file": None, "test_share": 0.0}


def extend(
    old: Path | str,
    out: Path | str,
    observers: Sequence[Observer] = (),
    *,
    dataset: DataSet | None = None,
    test_known: bool = False,
    old_data: Path | str | None = None,
    resume: bool = False,
    keep_pixels: bool = False,
    keep_stages: bool = False,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Records:
    """Teach the classes of another data set to what the run in `old` has learnt; keep it in `out`.

    Order, statistics of the channels and exemplars are the old run's, and so are all but these
    `settings`, such as `data_path`. The new classes come after its own, `increment` in a stage, by
    default all in one. `dataset` is one to use in place of what the settings name. A class that is
    known is refused, or with `test_known` tested on the images that come with it. `old_data` is
    where the old run's data set is now, if it has moved. `old` stays as it is; with `keep_stages`,
    what it has kept of its stages is copied.
    """
    run, out = from_main(lambda: finished(old)), as_path(out)
    if old_data is not None:
        run = replace(run, config=replace(run.config, data_path=as_path(old_data)))
    config = naming(dataset, with_settings(run, settings, dataset is None))
    given = read(config, dataset)
    increment = config.increment if "increment" in settings else None
    config, scenario, exemplars = extended(run, config, given, increment, test_known)
    with alone_in(out):
        found = from_main(lambda: find_run(out, config, resume))
        learner = build_learner(as_it_began(config, found), scenario)
        described = described_with(run, learner, scenario)
        start = replace(run.checkpoint, tensors=with_exemplars(run, exemplars))
        if found:
            check_same_data(found.records[0], described)
        take_up(learner, scenario, found or start)
        records = first_records(described, found, start)
        if not found:  # what the first stage begins with
            save(out, learner, scenario.dataset, records)
        if keep_stages and is_main():
            copy_stages(run, out)
        go_on(learner, scenario, records, out, observers, keep_pixels, keep_stages)
        return Records(records, learner)


def with_settings(run: Finished, settings: Mapping[str, Any], is_named: bool) -> Config:
    """Return a run's settings with others in their place; refuse what has no effect.

    `is_named`: the settings name the data set, and where it is. Where neither they nor its folders
    say which images are for tests, the run's do.
    """
    if strange := sorted(settings.keys() - names_of(run.config)):
        raise InputError(f"{strange[0]} is no setting of {run.config.method}, the run's method")
    config = replace(run.config, **{**UNSPLIT, **settings})
    if not (UNSPLIT.keys() & settings or halves(config.data_path)):
        config = replace(config, **{name: getattr(run.config, name) for name in UNSPLIT})
    if is_named and "data_path" in settings and config.dataset in BROUGHT:
        raise InputError(
            f"{config.dataset}, the run's data set, comes with cilkit, from no --data-path; say by "
            f"--dataset, folder or npz, what lies there"
        )
    return config


def copy_stages(run: Finished, out: Path) -> None:
    """Copy what a run has kept of its stages, but for the last, which the extension begins with."""
    for stage in range(1, len(run.record.classes_per_stage)):
        if (file := stage_file(run.out, stage)).exists():
            keep(out, stage, file.read_bytes())


def extended(
    run: Finished,
    config: Config,
    given: DataSet,
    increment: int | tuple[int, ...] | None,
    test_known: bool,
) -> tuple[Config, Scenario, Samples]:
    """Return settings and stages with the new classes, and the exemplars of the old ones."""
    check_can_learn(run, given)
    old, new = run.record.class_names, new_names(run, given, test_known)
    sizes = class_increments(0, increment or len(new), len(new), given.name)
    names = (*old, *new)
    train, test = (arrived(each, given, names) for each in (given.train, given.test))
    exemplars = exemplars_of(run, config)
    dataset = replace(
        run.scenario().dataset,
        name=given.name,
        train=in_range(train, len(old), len(names)),
        test=gathered([*earlier_tests(run, config, test), test]),
        class_names=names,
    )
    order = (*run.record.class_order, *range(len(old), len(names)))
    stage_sizes = (*run.record.classes_per_stage, *sizes)
    config = replace(config, class_order=order, base=0, increment=stage_sizes)
    stages = stages_of(run, dataset, exemplars, sizes)
    return config, Scenario(stages, order, names, dataset), exemplars


def check_can_learn(run: Finished, given: DataSet) -> None:
    """Refuse methods and images with which a run cannot go on."""
    if METHODS[run.config.method].samples is Joint.samples:
        raise InputError(
            "joint training needs all images of all classes; start a new run with them"
        )
    there, here = tuple(given.train.store.shape[1:]), tuple(run.images["shape"])
    if there != here:
        there_, here_ = (" × ".join(map(str, shape)) for shape in (there, here))
        raise InputError(
            f"images of {given.name} are {there_} (colours, height, width), and those of the run "
            f"are {here_}"
        )
    scale = (list(given.mean), list(given.std))
    if run.config.backbone == "identity" and scale != (run.images["mean"], run.images["std"]):
        raise InputError(
            f"features in {given.name} have another scale than the run's: write both sets of "
            f"images by one call of `cilkit features`"
        )
    memory = part(run.checkpoint.tensors, "memory")
    in_files = "paths" in memory
    if len(memory["labels"]) and in_files != isinstance(given.train.store, Files):
        kinds = ("arrays", "files") if in_files else ("files", "arrays")
        raise InputError(f"{given.name} holds {kinds[0]}, and the run's exemplars are {kinds[1]}")


def new_names(run: Finished, given: DataSet, test_known: bool) -> list[str]:
    """Return the names of the classes to learn; refuse known ones, unless they are to be tested."""
    old, there = run.record.class_names, given.class_names
    for names, whose in ((old, "the run"), (there, given.name)):
        if twice := [name for name in names if [*map(alike, names)].count(alike(name)) > 1]:
            raise InputError(f"{whose} has two classes {twice[0]!r}; they are told apart by name")
    known = set(map(alike, old))
    both = [name for name in there if alike(name) in known]
    if both and not test_known:
        raise InputError(
            f"{given.name} holds {some(both)}, which the run knows already; take it away, or leave "
            f"its training images alone and test on its others by --test-known"
        )
    if new := [name for name in there if alike(name) not in known]:
        return new
    raise InputError(f"{given.name} holds no class that the run does not know")


def arrived(samples: Samples, given: DataSet, names: Sequence[str]) -> Samples:
    """Return those samples whose class is one of these names, numbered as they are."""
    numbers = {alike(name): number for number, name in enumerate(names)}
    of_label = torch.tensor([numbers.get(alike(name), -1) for name in given.class_names])
    labels = of_label[samples.labels]
    return replace(samples, labels=labels).take((labels >= 0).nonzero().flatten())


def in_range(samples: Samples, first: int, end: int) -> Samples:
    """Return the samples of these classes, in their order."""
    chosen = (samples.labels >= first) & (samples.labels < end)
    return samples.take(chosen.nonzero().flatten())


def earlier_tests(run: Finished, config: Config, tests: Samples) -> list[Samples]:
    """Return other old classes' test images, if they still lie where the run had them."""
    others = sorted({*range(len(run.record.class_names))} - {*tests.labels.tolist()})
    where = ("device", "threads", "workers", "timeout")
    there = replace(run.config, download=False, **{name: getattr(config, name) for name in where})
    try:
        given = read(there) if others else None
    except (InputError, OSError):
        return []
    if given is None or tuple(given.test.store.shape[1:]) != tuple(run.images["shape"]):
        return []
    found = arrived(given.test, given, run.record.class_names)
    found = found.take(torch.isin(found.labels, torch.tensor(others)).nonzero().flatten())
    if isinstance(found.store, Files) and isinstance(tests.store, Files):
        return [replace(found, store=found.store.below(config))]
    return [] if isinstance(found.store, Files) or isinstance(tests.store, Files) else [found]


def exemplars_of(run: Finished, config: Config) -> Samples:
    """Return a run's exemplars: the pixels in its checkpoint, or files, which must be there."""
    state = part(run.checkpoint.tensors, "memory")
    store = restored_store(state, run.config)
    if isinstance(store, Files) and (run.out / KEPT).is_dir():
        names = map(kept_name, range(len(store)))
        paths = [os.fsencode(os.path.abspath(run.out / KEPT / name)) for name in names]
        store = Files.of(config, paths)
    elif isinstance(store, Files):
        store = store.below(config)
    if isinstance(store, Files):
        from_main(lambda: check_there(store))
    return Samples.of(store, state["labels"])


def check_there(files: Files) -> None:
    """Refuse exemplars that are gone, or damaged."""
    lost = []
    for row in range(len(files)):
        try:
            check_image(files.path(row))
        except (BadImage, Unreadable) as error:
            lost.append(str(error))
    if lost:
        raise InputError(
            f"{len(lost)} exemplars of the run are not to be had: {'; '.join(lost[:3])}"
            f"{'; …' if lost[3:] else ''}; say by --old-data where they are (a run with "
            f"--keep-pixels keeps copies)"
        )


def with_exemplars(run: Finished, exemplars: Samples) -> dict[str, Tensor]:
    """Return the old checkpoint's tensors with exemplars that are found from everywhere."""
    memory = store_state(exemplars.store) | {"labels": exemplars.labels}
    return run.checkpoint.tensors | named("memory", memory)


def stages_of(
    run: Finished, dataset: DataSet, exemplars: Samples, sizes: Sequence[int]
) -> tuple[Stage, ...]:
    """Return the old stages, without a training image, and the new ones.

    What there is of all classes so far is their images, or their exemplars.
    """
    stages = list(run.scenario().stages)
    for size in sizes:
        n_old = stages[-1].n_seen
        train = in_range(dataset.train, n_old, n_old + size)
        there = in_range(dataset.train, 0, n_old + size) + exemplars
        stages.append(Stage(len(stages), n_old, n_old + size, train, there, train))
    tests = [in_range(dataset.test, stage.n_old, stage.n_seen) for stage in stages]
    return tuple(
        replace(stage, test=join(tests[: place + 1])) for place, stage in enumerate(stages)
    )


def described_with(run: Finished, learner: Learner, scenario: Scenario) -> RunRecord:
    """Return the first record: it says where the run begins, and of what there is no test."""
    described = describe(learner.config, scenario, learner.model.arithmetic.why)
    names = scenario.class_names
    counts = scenario.dataset.test.labels.bincount(minlength=len(names)).tolist()
    untested = [name for name, count in zip(names, counts, strict=True) if not count]
    mark = stage_records(run.checkpoint.records)[-1].fingerprint
    return replace(described, data=described.data | {"extends": mark, "not tested": untested})
