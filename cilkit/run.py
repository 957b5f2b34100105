"""From a configuration to records: `build` the parts, `run` an experiment. Chapters 6 and 9."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter

import torch

from cilkit import checkpoint, distributed
from cilkit.backbones import build_backbone, feature_size
from cilkit.checkpoint import Checkpoint
from cilkit.config import Config
from cilkit.data import Scenario, build_scenario
from cilkit.datasets import DATASETS, build_dataset
from cilkit.errors import InputError, lookup, unknown
from cilkit.learn import learn
from cilkit.learner import Learner
from cilkit.memory import check_budget
from cilkit.methods import METHODS
from cilkit.model import CilClassifier, CilModel, Normalise
from cilkit.provenance import describe
from cilkit.records import EpochRecord, Record, RunRecord, StageRecord, to_json
from cilkit.transforms import AUGMENTATIONS

Observer = Callable[[Record], None]
Progress = EpochRecord | StageRecord
RECORDS, CHECKPOINT = "records.jsonl", "checkpoint.safetensors"


def build(config: Config) -> tuple[Learner, Scenario]:
    """Return the learner and the stages that `config` describes.

    Raises `InputError` for whatever is unknown, missing or does not fit, before any work starts.
    """
    check_names(config)
    device = distributed.find_device(config.device)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    with distributed.one_at_first():
        dataset = build_dataset(config)
    scenario = build_scenario(dataset, config)
    check_budget(config, len(scenario.class_names))
    distributed.seed_all(config.seed)
    return METHODS[config.method](build_model(config, scenario).to(device), config), scenario


def check_names(config: Config) -> None:
    """Refuse a name that no registry holds."""
    lookup("method", config.method, METHODS)
    lookup("data set", config.dataset, DATASETS)
    if config.augment not in AUGMENTATIONS:
        raise unknown("augmentation", config.augment, AUGMENTATIONS)


def build_model(config: Config, scenario: Scenario) -> CilModel:
    """Return the model, untrained, with no class yet."""
    dataset = scenario.dataset
    channels, *size = dataset.train.store.shape[1:]
    backbone = build_backbone(config.backbone, channels)
    classifier = CilClassifier(feature_size(backbone, channels, *size), bias=config.head_bias)
    normalise = Normalise(dataset.mean, dataset.std)
    if config.compile:
        backbone.compile()
    return CilModel(
        backbone, classifier, normalise, bf16=config.bf16, channels_last=config.channels_last
    )


def run(
    config: Config,
    out: Path | None = None,
    observers: Sequence[Observer] = (),
    *,
    resume: bool = False,
    start: Checkpoint | None = None,
) -> list[Record]:
    """Do the whole experiment, keep it in the folder `out`, and show observers each record.

    With `resume`, go on with the run in `out`: observers see its earlier records again, so none of
    them knows of the interruption. `start` is a checkpoint to begin with in place of nothing.
    """
    found = find_checkpoint(out, config, resume) if out is not None else None
    learner, scenario = build(config)
    records: list[Record] = [describe(config, scenario)]
    if found is not None:
        records = found.records
    elif start is not None:
        records += start.records[1:]
    if begin_with := found or start:
        learner.restore(begin_with.tensors, begin_with.numbers)
    folder = out if distributed.is_main() else None
    if folder is not None:
        write_whole(folder / RECORDS, records)
    show(records, observers)
    for record in timed(learn(learner, scenario)):
        records.append(record)
        if folder is not None:
            checkpoint.save(folder / CHECKPOINT, learner, records)
            with (folder / RECORDS).open("a", encoding="utf-8") as file:
                file.write(to_json(record) + "\n")
        show([record], observers)
    return records


def show(records: Iterable[Record], observers: Sequence[Observer]) -> None:
    """Call each observer with each record, in the main process."""
    if distributed.is_main():
        for record in records:
            for observe in observers:
                observe(record)


def timed(records: Iterable[Progress]) -> Iterator[Progress]:
    """Note in each record how long it took to come."""
    start = perf_counter()
    for record in records:
        yield replace(record, seconds=round(perf_counter() - start, 4))
        start = perf_counter()


def write_whole(path: Path, records: Iterable[Record]) -> None:
    """Write these records in place of what the file held; the file is never seen half written."""
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text("".join(to_json(record) + "\n" for record in records), encoding="utf-8")
    unfinished.replace(path)


def find_checkpoint(out: Path, config: Config, resume: bool) -> Checkpoint | None:
    """Return the checkpoint of the run to be resumed in `out`, if there is one.

    Raises `InputError` if it is a run of other settings.
    """
    check_out(out, resume)
    if not (out / CHECKPOINT).exists():
        return None
    found = checkpoint.load(out / CHECKPOINT)
    check_same_settings(found.records[0], config, out)
    return found


def check_out(out: Path, resume: bool) -> None:
    """Refuse a folder that cannot be written, or holds a run that is not to be resumed."""
    if distributed.is_main():
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


def check_same_settings(record: Record, config: Config, out: Path) -> None:
    """Refuse to go on with a run that was started with other settings."""
    assert isinstance(record, RunRecord)
    asked = config.science()
    there = {name: record.config.get(name) for name in asked}
    differ = [f"{k} is {there[k]!r} there, {v!r} here" for k, v in asked.items() if there[k] != v]
    if differ:
        raise InputError(f"{str(out)!r} holds a run of other settings: {'; '.join(differ)}")
