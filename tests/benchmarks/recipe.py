"""What WA leaves on the table: its settings changed one at a time, on CIFAR-100's short protocol.

    PYTHONPATH=tests python -m benchmarks.recipe --data-path DIR --out runs/recipe

It takes about 20 minutes of one core for each change, so `make bench` leaves it out; `--stages 3`
stops each run after 70 classes, and the same command without it goes on from there. Changes that
begin after the first stage share it: it is that of `cilkit compare` in the same folder, or of `wa`,
which is begun where there is none. `tricks` goes on where this ends.
"""

import argparse
import signal
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from cilkit import PRESETS, Config, run
from cilkit.comparison import find_first_stage, keep_first_stage
from cilkit.config import as_path
from cilkit.errors import lookup
from cilkit.experiment import Observer
from cilkit.machine.stopping import ASKED, Stopped
from cilkit.metrics import stage_accuracy
from cilkit.runs.records import Record, StageRecord, read_records, stage_records
from cilkit.show.console import Console

BASE = replace(PRESETS["cifar100-b50-10-short"], method="wa")
TUNED = PRESETS["cifar100-b50-10-short-tuned"]  # three changes together
LATER = {"base_lr": BASE.lr, "base_weight_decay": BASE.weight_decay}  # a change spares stage 1
CHANGES: dict[str, dict[str, Any]] = {
    "wa": {},
    "no-teacher": {"kd_weight": 0.0},  # replay and alignment alone
    "kd-1": {"kd_weight": 1.0},
    "kd-2": {"kd_weight": 2.0},
    "lr-0.05": LATER | {"lr": 0.05},
    "lr-0.2": LATER | {"lr": 0.2},
    "decay-2e-4": LATER | {"weight_decay": 2e-4},
    "decay-1e-3": LATER | {"weight_decay": 1e-3},
    "decay-2e-3": LATER | {"weight_decay": 2e-3},
    "temperature-4": {"temperature": 4.0},
    "published-loss": {"kd_weight": "dynamic", "kd_mix": "convex", "kd_t_squared": False},
    "published-loss-t-squared": {"kd_weight": "dynamic", "kd_mix": "convex"},
    "tuned": {name: getattr(TUNED, name) for name in ("kd_weight", "temperature", "lr", *LATER)},
    "bias": {"head_bias": True},
    "clip": {"clip_weights": True},
    "lr-0.2-clip": LATER | {"lr": 0.2, "clip_weights": True},  # the two that help most, together
    "brightness": {"augment": "paper"},
    "float32": {"precision": "float32"},
    # the published falls by ten, at the same parts of a stage
    "steps": {"schedule": "step", "base_milestones": (5, 10, 14), "milestones": (4, 7, 10)},
}
FROM_THE_START = ("bias", "clip", "lr-0.2-clip", "brightness", "float32", "steps")  # stage 1, too
FIRSTS = {name: name for name in FROM_THE_START}


class StopAfter:
    """Asks the program to stop once so many stages are done, as SIGTERM would."""

    def __init__(self, stages: int) -> None:
        self.stages = stages

    def __call__(self, record: Record) -> None:
        """See one record."""
        match record:
            case StageRecord(stage=stage) if 0 < self.stages <= stage + 1:
                ASKED.append(signal.SIGTERM)


@dataclass(frozen=True)
class Study:
    """Changes by name, each of them alone: the first one changes nothing."""

    changes: Mapping[str, Mapping[str, Any]]
    firsts: Mapping[str, str]  # whose first stage a change begins with, if not the first one's

    def learn(self, name: str, config: Config, out: Path, stages: int) -> None:
        """Train with one change; go on with what is there."""
        unchanged = next(iter(self.changes))
        leader = self.firsts.get(name, unchanged)
        first = out / f"first-stage-{'' if leader == unchanged else leader + '-'}seed{config.seed}"
        leads = replace(config, **self.changes[leader])
        start = find_first_stage(first, leads)
        if name != leader and start is None:
            self.learn(leader, config, out, stages=1)
            start = find_first_stage(first, leads)
        folder = out / f"{name}-seed{config.seed}"
        keep = [partial(keep_first_stage, folder, first)] if name == leader else []
        observers: list[Observer] = [Console(), StopAfter(stages), *keep]
        try:
            run(replace(config, **self.changes[name]), folder, observers, resume=True, start=start)
        except Stopped:
            pass  # saved; a later call goes on
        finally:
            ASKED.clear()


def table(out: Path, names: Iterable[str], seeds: Iterable[int]) -> str:
    """Return the accuracy after each stage, a line for each run, in percent."""
    lines = []
    for name in names:
        for seed in seeds:
            stages = stage_records(read_records(out / f"{name}-seed{seed}"))
            numbers = "".join(f"{stage_accuracy(stage):7.1f}" for stage in stages)
            lines.append(f"{name:26} seed {seed} {numbers}")
    return "\n".join(lines)


def main(study: Study, base: Config, out: Path, description: str) -> None:
    """Run the changes that are named, or all; print the table."""
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks.{out.name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("names", nargs="*", help=f"of {', '.join(study.changes)}; default: all")
    parser.add_argument("--data-path", type=as_path, default=base.data_path)
    parser.add_argument("--out", type=as_path, default=out)
    parser.add_argument("--seeds", type=int, nargs="+", default=[base.seed])
    parser.add_argument("--stages", type=int, default=0, help="stop after so many; 0: go through")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--validation", type=float, default=base.validation)
    given = parser.parse_args()
    names = given.names or list(study.changes)
    for name in names:
        lookup("change", name, study.changes)
    same = {"data_path": given.data_path, "threads": given.threads, "validation": given.validation}
    for seed in given.seeds:
        for name in names:
            study.learn(name, replace(base, seed=seed, **same), given.out, given.stages)
    print(table(given.out, names, given.seeds))


if __name__ == "__main__":
    main(Study(CHANGES, FIRSTS), BASE, Path("runs/recipe"), str(__doc__))
