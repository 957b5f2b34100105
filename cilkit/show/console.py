"""What a run says while it works: a line for each stage, and how far it is in between."""

import sys
from collections.abc import Callable, Mapping, Sequence
from math import ceil, inf
from time import monotonic
from typing import Any, NamedTuple

from cilkit.config import LEARNERS
from cilkit.machine.processes import world_size
from cilkit.metrics import new_class_share, old_and_new_accuracy, stage_accuracy, tested_on
from cilkit.progress import Progress
from cilkit.runs.records import EpochRecord, Record, RunRecord, StageRecord

OFTEN, SELDOM = 0.2, 60.0  # seconds between two signs of life: at a terminal, and in a file


class Expected(NamedTuple):
    """What a stage is expected to do."""

    epochs: int
    images: float  # of an epoch
    weight: float  # how long one of them takes, beside one of the first stage


class Console:
    """Stages as lines; in between a bar where somebody sits at a terminal, else a line a minute."""

    def __init__(self, told: Sequence[str] = (), *, clock: Callable[[], float] = monotonic) -> None:
        """Tell of these settings, too, where a run begins."""
        self.told, self.clock, self.said = told, clock, clock()
        self.stages: list[Expected] = []
        self.seconds = self.work = 0.0  # of this stage's epochs so far
        self.rate = 0.0  # seconds that an image of the first stage takes; 0: nobody knows
        self.bar: Any = None

    def __call__(self, record: Record) -> None:
        """Show one record."""
        match record:
            case RunRecord(config=config):
                self.stages = expected(record)
                label = " ".join([config["method"], *(f"{n}={config[n]}" for n in self.told)])
                parts = [f"{label} on {config['dataset']}", f"seed {config['seed']}"]
                parts += filter(None, [tested_on([record])])
                print(", ".join(parts), flush=True)
                if arithmetic := record.machine.get("arithmetic"):
                    print(f"  computes in {arithmetic}", flush=True)
            case EpochRecord(stage=stage):
                self.seconds += record.seconds
                here = self.stages[stage] = self.stages[stage]._replace(epochs=record.epochs)
                self.work += here.images * here.weight
                self.rate = self.seconds / self.work if self.work else 0.0
                self.tell(stage, record.epoch)
            case StageRecord(stage=stage):
                self.seconds = self.work = 0.0
                self.close()
                print(f"  stage {stage + 1}/{len(self.stages)} {describe(record)}", flush=True)

    def stepped(self, progress: Progress) -> None:
        """Tell how far an epoch is: the first one may take long."""
        images = world_size() * progress.means.count / self.stages[progress.stages_done].images
        self.tell(progress.stages_done, progress.epoch + min(images, 0.99))

    def tell(self, stage: int, epoch: float) -> None:
        """Say where the run is, if it is time to; a whole epoch is one that has ended."""
        if self.clock() - self.said < (OFTEN if sys.stderr.isatty() else SELDOM):
            return
        self.said = self.clock()
        epochs, images, weight = self.stages[stage]
        done, total = work(self.stages[:stage]) + epoch * images * weight, work(self.stages)
        place = f"  stage {stage + 1}/{len(self.stages)}, epoch {ceil(epoch)}/{epochs}"
        left = f"about {in_words(self.rate * (total - done))} left" if self.rate else ""
        if sys.stderr.isatty():
            self.draw(done / total, place, left)
        else:
            print(", ".join(filter(None, [place, left])), flush=True)

    def draw(self, share: float, place: str, left: str) -> None:
        """Move the bar."""
        from tqdm import tqdm

        form = f"{place} {{percentage:3.0f}} %|{{bar:20}}| {left}"
        if self.bar is None:
            self.bar = tqdm(total=1.0, leave=False, bar_format=form)
        self.bar.bar_format, self.bar.n = form, share
        self.bar.refresh()

    def close(self) -> None:
        """Take the bar away: what is printed next begins a line."""
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class LastLine:
    """What a run has come to, and nothing before: the line of its last stage."""

    def __init__(self) -> None:
        self.stages = 0

    def __call__(self, record: Record) -> None:
        """Print the last record's line."""
        match record:
            case RunRecord(classes_per_stage=stages):
                self.stages = len(stages)
            case StageRecord(stage=stage) if stage + 1 == self.stages:
                print(f"  stage {stage + 1}/{self.stages} {describe(record)}", flush=True)


def work(stages: list[Expected]) -> float:
    """Return how many images of the first stage would take as long as all epochs of these."""
    return sum(epochs * images * weight for epochs, images, weight in stages)


def expected(run: RunRecord) -> list[Expected]:
    """Return what each stage will do.

    The classes are taken for equally large, and the memory for full.
    """
    config, stages, n_old = run.config, [], 0
    later = getattr(LEARNERS.get(config["method"]), "later", 1.0)
    of_class = run.data.get("training images", len(run.class_names)) / len(run.class_names)
    for index, classes in enumerate(run.classes_per_stage):
        first = config.get("base_epochs") if index == 0 else None
        old = min(exemplars(config, n_old), n_old * of_class)
        weight = later if index > 0 or config.get("pretrained") else 1.0
        stages.append(Expected(first or config["epochs"], classes * of_class + old, weight))
        n_old += classes
    return stages


def exemplars(config: Mapping[str, Any], n_old: int) -> float:
    """Return how many old images a method may train on beside the new ones."""
    if config["method"] == "joint":
        return inf
    return config.get("budget", 0) * (n_old if config.get("budget_per") == "class" else 1)


def in_words(seconds: float) -> str:
    """Return a time as one says it: 40 s, 12 min, 3 h 10 min."""
    minutes = round(seconds / 60)
    if minutes < 2:
        return f"{max(seconds, 1):.0f} s"
    hours, rest = divmod(minutes, 60)
    return f"{hours} h {rest} min" if hours else f"{minutes} min"


def describe(record: StageRecord) -> str:
    """Return a stage's result in one line."""
    parts = [f"{record.n_seen:4d} classes", f"accuracy {stage_accuracy(record):5.1f} %"]
    if record.n_old:
        old, new = old_and_new_accuracy(record)
        parts += [f"old {old:5.1f}", f"new {new:5.1f}"]
        parts += [f"predicted as new {new_class_share(record):5.1f}"]
    parts += [f"{name} {value:.3f}" for name, value in record.facts.items()]
    return "  ".join(parts)
