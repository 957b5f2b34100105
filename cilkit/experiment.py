"""From a configuration to records: `build` the parts, `run` an experiment. Chapters 6 and 9."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch
from torch import Tensor

from cilkit.backbones import build_backbone, feature_size
from cilkit.backbones.pretrained import check_size, origin, take_weights, weights_of
from cilkit.config import AUTO, Config, as_path, renamed, several
from cilkit.data.damage import check_torchvision, without_damage
from cilkit.data.datasets import DATASETS, build_dataset
from cilkit.data.loader import check_enough, smallest_share
from cilkit.data.samples import DataSet
from cilkit.data.scenario import Scenario, build_scenario
from cilkit.data.transforms import AUGMENTATIONS, check_policy
from cilkit.data.validation import with_validation
from cilkit.data.workers import make_room
from cilkit.errors import InputError, lookup, unknown
from cilkit.inference import has_own_rule
from cilkit.learner import Learner
from cilkit.loop import learn
from cilkit.machine.arithmetic import arithmetic_for, fastest
from cilkit.machine.devices import find_device, synchronise
from cilkit.machine.lock import alone_in
from cilkit.machine.processes import from_main, is_main, one_at_first, world_size
from cilkit.machine.seeds import seed_all
from cilkit.machine.stopping import Stopped, at_once
from cilkit.memory import Memory, MemorySettings, check_budget
from cilkit.methods import METHODS
from cilkit.methods.joint import Joint
from cilkit.methods.replay import Replay
from cilkit.model import CilModel, Normalise
from cilkit.runs import checkpoint
from cilkit.runs.checkpoint import Checkpoint
from cilkit.runs.folder import append, check_same_data, find_run, keep_files, rewrite
from cilkit.runs.provenance import describe
from cilkit.runs.records import (
    EpochRecord,
    Record,
    ResumeRecord,
    RunRecord,
    StageRecord,
    epoch_records,
    run_record,
    stage_records,
)
from cilkit.state import check_all_is_saved, restore, state_of

Observer = Callable[[Record], None]


class Records(list[Record]):
    """A run's records, and the learner that it has trained: `run(config).learner.model`."""

    def __init__(self, records: Iterable[Record], learner: Learner) -> None:
        super().__init__(records)
        self.learner = learner


Progress = EpochRecord | StageRecord


@at_once()
def build(config: Config, dataset: DataSet | None = None) -> tuple[Learner, Scenario]:
    """Return the learner and the stages that `config` describes, or those of a data set given.

    Raises `InputError` for whatever is unknown, missing or does not fit, before any work starts.
    """
    return next(built([naming(dataset, config)], dataset))


def built(
    configs: Sequence[Config], dataset: DataSet | None = None
) -> Iterator[tuple[Learner, Scenario]]:
    """Yield the same for several settings that differ in neither images nor weights."""
    first, weights = configs[0], dict[str, Tensor]()
    if first.pretrained:
        with one_at_first():  # who downloads
            weights = weights_of(first.backbone, first.weights)
    dataset = read(first, dataset)
    for config in configs:
        scenario = build_scenario(dataset, config)
        learner = build_learner(config, scenario)
        if config.pretrained:
            take_weights(learner.model.backbone, weights)
        yield learner, scenario


def read(config: Config, dataset: DataSet | None = None) -> DataSet:
    """Return the data set that is given or named, without damage, ready for this machine."""
    check_names(config, dataset)
    check_torchvision()
    make_room(config.workers, loaders=2)  # the training's wait while others read for a test
    find_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with one_at_first():
        dataset = dataset or build_dataset(config)
    dataset = with_validation(without_damage(dataset, config), config)
    if config.augment == "timm":
        check_policy(dataset, config)
    return dataset


def build_learner(config: Config, scenario: Scenario) -> Learner:
    """Return the learner, which knows nothing yet; refuse stages that cannot be trained.

    Its settings say what it computes in where `config` leaves it to the machine.
    """
    check_stages(config, scenario)
    seed_all(config.seed)
    model = build_model(config, scenario).to(find_device(config.device))
    if config.sync_bn:
        model = synchronise(model)
    check_batch_norm(model, config, scenario)
    precision, channels_last, _ = model.arithmetic
    return METHODS[config.method](
        model, replace(config, precision=precision, channels_last=channels_last)
    )


def naming(dataset: DataSet | None, config: Config) -> Config:
    """Return the configuration with the name of the data set that is used."""
    if dataset is None:
        return config
    if not isinstance(dataset, DataSet):
        raise InputError(
            f"dataset is a {type(dataset).__name__}; make a DataSet of arrays, by DataSet.of("
            f"train_images, train_labels, test_images, test_labels), or of torch's, by "
            f"DataSet.from_torch(train, test)"
        )
    return replace(config, dataset=dataset.name)


def check_names(config: Config, dataset: DataSet | None) -> None:
    """Refuse a name that no registry holds."""
    lookup("method", config.method, METHODS)
    if dataset is None:
        lookup("data set", config.dataset, DATASETS)
    if config.augment not in AUGMENTATIONS:
        raise unknown("augmentation", config.augment, AUGMENTATIONS)


def check_stages(config: Config, scenario: Scenario) -> None:
    """Refuse now what could not be trained when its stage comes."""
    if isinstance(config, MemorySettings):
        check_budget(config, len(scenario.class_names))
    for count in images_by_stage(config, scenario):
        check_enough(count, config)


def images_by_stage(config: Config, scenario: Scenario) -> list[int]:
    """Return how many images each stage trains on; nothing where a method chooses.

    Stages that were trained elsewhere have none.
    """
    method = METHODS[config.method]
    samples, share = method.samples, Memory(config).share
    if method.phases is not Learner.phases:
        return []
    stages = [stage for stage in scenario.stages if len(stage.train)]
    if samples is Joint.samples:
        return [len(stage.train_so_far) for stage in stages]
    counts = [len(stage.train) for stage in stages]
    if samples is Replay.samples:
        for place, stage in enumerate(stages):
            of_old = stage.train_so_far.labels.bincount()[: stage.n_old]
            counts[place] += int(of_old.clamp(max=share(max(1, stage.n_old))).sum())
    return counts if samples in (Learner.samples, Replay.samples) else []


def check_batch_norm(model: CilModel, config: Config, scenario: Scenario) -> None:
    """Refuse a share of one image where batch norm has only one number to average."""
    if 1 not in [smallest_share(count, config) for count in images_by_stage(config, scenario)]:
        return
    shape = scenario.dataset.train.store.shape[1:]
    image = torch.zeros(1, *shape, dtype=torch.uint8, device=model.device)
    try:
        deepcopy(model).train().features(image)
    except ValueError as error:
        raise InputError(
            f"a batch would leave one image for a process, and batch norm needs more in this "
            f"network ({error}); use a larger batch size, or fewer processes"
        ) from error


def build_model(config: Config, scenario: Scenario) -> CilModel:
    """Return the model, untrained, with no class yet."""
    dataset, method = scenario.dataset, METHODS[config.method]
    learned = origin(config.backbone) if config.pretrained else None
    mean, std, _ = learned or (dataset.mean, dataset.std, None)
    size = [side * config.enlarge for side in dataset.train.store.shape[2:]]
    if learned:
        check_size(config.backbone, *size)
    backbone = build_backbone(config.backbone, len(mean), **method.backbone)
    num_features = feature_size(backbone, len(mean), *size)
    classifier = method.classifier(num_features, config.head_bias, config.head_init)
    normalise = Normalise(mean, std, config.enlarge)
    arithmetic = arithmetic_for(config, backbone, min(size))
    if config.compile:
        backbone.compile()
    return CilModel(backbone, classifier, normalise, arithmetic=arithmetic)


def run(
    config: Config,
    out: Path | None = None,
    observers: Sequence[Observer] = (),
    *,
    resume: bool = False,
    start: Checkpoint | None = None,
    dataset: DataSet | None = None,
    keep_pixels: bool = False,
    keep_stages: bool = False,
) -> Records:
    """Do the whole experiment, keep it in the folder `out`, and show observers each record.

    The `learner` comes with the records, ready to be asked, or taken further.

    With `resume`, go on with the run in `out`: observers see its earlier records again, so none of
    them knows of the interruption. Nobody else may write to `out` meanwhile. `start` is a
    checkpoint to begin with in place of nothing, `dataset` one to use in place of what `config`
    names. With `keep_pixels`, copies of the exemplars' files are in `out` at the end, with
    `keep_stages` the network after each stage, for `load(out, stage=2)`.
    """
    config, out = naming(dataset, config), out and as_path(out)
    with alone_in(out):
        found = from_main(lambda: find_run(out, config, resume))
        begin_with = found or start
        learner, scenario = build(as_it_began(config, begin_with), dataset)
        described = describe(learner.config, scenario, learner.model.arithmetic.why)
        if begin_with:
            check_same_data(begin_with.records[0], described)
            take_up(learner, scenario, begin_with)
        records = first_records(described, found, start)
        if found and "images" not in found.numbers:  # an earlier version's
            save(out, learner, scenario.dataset, records)
        go_on(learner, scenario, records, out, observers, keep_pixels, keep_stages)
        return Records(records, learner)


def go_on(
    learner: Learner,
    scenario: Scenario,
    records: list[Record],
    out: Path | None,
    observers: Sequence[Observer],
    keep_pixels: bool,
    keep_stages: bool,
) -> None:
    """Do what is left of an experiment; add to its records, in `out` too, and show them all.

    What else is kept in `out` is what `run` says.
    """
    kept = out if keep_stages else None
    observers = several(observers)
    keep_stage(kept, learner, scenario.dataset, records)  # the last one may have ended without it
    rewrite(out, records)
    show(records, observers)
    steps = [one.stepped for one in observers if hasattr(one, "stepped")]
    learner.progress.watchers = steps if is_main() else []
    try:
        for record in timed(learn(learner, scenario), records):
            records.append(record)
            keep_stage(kept, learner, scenario.dataset, records)
            if is_due(record, learner.config):
                save(out, learner, scenario.dataset, records)
            append(out, record)
            show([record], observers)
    except Stopped:
        save(out, learner, scenario.dataset, records)
        raise
    if keep_pixels:
        keep_files(out, learner.memory.exemplars.store)


def as_it_began(config: Config, begin_with: Checkpoint | None) -> Config:
    """Return settings that compute as a run began to, where they leave it to the machine.

    A sentence tells if this machine would have chosen otherwise: its result would be another one.
    """
    if begin_with is None:
        return config
    stored = renamed(run_record(begin_with.records).config)
    named = [name for name in ("precision", "channels_last") if getattr(config, name) == AUTO]
    began = replace(config, **{name: stored[name] for name in named if name in stored})
    here, why = fastest(find_device(config.device))
    if is_main() and config.precision == AUTO and began.precision not in (AUTO, here):
        warnings.warn(
            f"the run began in {began.precision} and goes on so; by itself, this machine would "
            f"compute in {why}",
            stacklevel=3,
        )
    return began


def first_records(
    described: RunRecord, found: Checkpoint | None, start: Checkpoint | None
) -> list[Record]:
    """Return the records so far: of the run to be resumed, or of the start it shares.

    The last one notes it if other processes go on than came so far.
    """
    begin = found or start
    if begin is None:
        return [described]
    records = [found.records[0] if found else described, *begin.records[1:]]
    before, to_do = begin.numbers["processes"], len(described.classes_per_stage)
    if before != world_size() and begin.numbers["stage"] < to_do:
        records.append(ResumeRecord(before, world_size()))
    return records


def is_due(record: Progress, config: Config) -> bool:
    """Tell whether a checkpoint is due after this record."""
    if isinstance(record, StageRecord) or record.epoch == record.epochs:
        return True
    return record.epoch % config.save_every == 0


def take_up(learner: Learner, scenario: Scenario, checkpoint: Checkpoint) -> None:
    """Restore the learner; refuse a checkpoint that it cannot have come from."""
    try:
        restore(learner, scenario.stages, checkpoint.tensors, checkpoint.numbers)
    except (RuntimeError, KeyError, ValueError, TypeError) as error:  # torch's, of names and shapes
        reason = " ".join(str(error).split())[:200]  # torch names it in its second line
        raise InputError(f"the checkpoint does not fit these settings: {reason}") from error


def save(out: Path | None, learner: Learner, dataset: DataSet, records: list[Record]) -> None:
    """Write a checkpoint, in the main process, of the state of all."""
    if out is not None:
        check_all_is_saved(learner)
    state = checkpoint_of(learner, dataset, records)
    if out is not None and is_main():
        checkpoint.save(out, state)


def keep_stage(
    out: Path | None, learner: Learner, dataset: DataSet, records: Sequence[Record]
) -> None:
    """Keep, in the main process, what answers after the stage that has just ended, if one has."""
    done = learner.progress.stages_done
    if out is None or not done or learner.progress.in_stage or not is_main():
        return
    answers = ("model.", "own.") if has_own_rule(learner) else ("model.",)
    state = checkpoint_of(learner, dataset, [records[0], stage_records(records)[-1]])
    tensors = {name: one for name, one in state.tensors.items() if name.startswith(answers)}
    checkpoint.keep(out, done, checkpoint.as_bytes(replace(state, tensors=tensors)))


def checkpoint_of(learner: Learner, dataset: DataSet, records: list[Record]) -> Checkpoint:
    """Return a learner's state, in all processes, and what its images are like.

    With that, the model can be used where the data set is not.
    """
    tensors, numbers = state_of(learner)
    shape, mean, std = map(list, (dataset.train.store.shape[1:], dataset.mean, dataset.std))
    images = {"shape": shape, "mean": mean, "std": std}
    return Checkpoint(tensors, numbers | {"images": images}, records)


def show(records: Iterable[Record], observers: Sequence[Observer]) -> None:
    """Call each observer with each record, in the main process."""
    if is_main():
        for record in records:
            for observe in observers:
                observe(record)


def timed(records: Iterable[Progress], earlier: Sequence[Record]) -> Iterator[Progress]:
    """Note in each record how long it took to come, in a stage's how long its epochs took, too."""
    start = perf_counter()
    for record in records:
        seconds = round(perf_counter() - start, 4)
        if isinstance(record, StageRecord):
            epochs = (e.seconds for e in epoch_records(earlier) if e.stage == record.stage)
            record = replace(record, training_seconds=round(sum(epochs), 4))
        yield replace(record, seconds=seconds)
        start = perf_counter()
