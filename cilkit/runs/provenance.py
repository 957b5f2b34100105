"""What a result was made with: settings, versions, commit, machine."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cilkit.config import Config
from cilkit.data.samples import DataSet, Samples
from cilkit.data.scenario import Scenario
from cilkit.data.store import Files
from cilkit.machine.devices import accelerator
from cilkit.machine.processes import from_main, world_size
from cilkit.runs.fingerprint import fingerprint
from cilkit.runs.records import RunRecord

PACKAGES = ["cilkit", "torch", "torchvision", "timm", "continuum", "numpy"]
PACKAGES += ["scikit-learn", "pillow"]


def describe(config: Config, scenario: Scenario, arithmetic: str = "") -> RunRecord:
    """Return the first record of a run; `arithmetic` says why it computes in what it does."""
    return RunRecord(
        config=config.as_dict(),
        class_order=list(scenario.class_order),
        class_names=list(scenario.class_names),
        classes_per_stage=list(scenario.classes_per_stage),
        versions=versions(),
        machine=machine() | ({"arithmetic": arithmetic} if arithmetic else {}),
        started=datetime.now(UTC).isoformat(timespec="seconds"),
        data=traits(scenario.dataset),
    )


def traits(dataset: DataSet) -> dict[str, Any]:
    """Return what tells a data set from another; call it in all processes.

    Pixels in memory are all looked at. Of files only paths and lengths are, beside the statistics
    of a sample: one that has changed and is as long as before is not noticed.
    """
    train, test = from_main(lambda: (checksum(dataset.train), checksum(dataset.test)))
    return {
        "training images": len(dataset.train),
        "test images": len(dataset.test),
        "mean": [round(value, 9) for value in dataset.mean],  # another CPU sums in another order
        "deviation": [round(value, 9) for value in dataset.std],
        "checksum of training images": train,
        "checksum of test images": test,
    }


def checksum(samples: Samples) -> str:
    """Return a short text for labels and pixels, or for the files' paths and numbers of bytes.

    It is the same on every machine, wherever the files lie.
    """
    return fingerprint(content(samples) | {"labels": samples.labels})[:16]


def content(samples: Samples) -> dict[str, Tensor]:
    """Return the pixels, or the files' paths and numbers of bytes."""
    if not isinstance(samples.store, Files):
        return {"images": samples.images()}
    files = samples.store.take(samples.rows)
    lengths = [os.path.getsize(files.path(row)) for row in range(len(files))]
    return {"paths": files.paths, "bytes": torch.tensor(lengths)}


def versions() -> dict[str, str]:
    """Return the versions of all that computes, and the commit of this package's sources."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:  # cilkit itself may run from its sources, not installed
            found[package] = "not installed"
    return found | {"commit": commit()}


@cache  # a program computes with what it has read, whatever is checked out while it runs
def commit() -> str:
    """Return the commit of the sources, with a '+' if they have changed since, or 'unknown'."""
    command = ["git", "describe", "--always", "--abbrev=40", "--dirty=+"]
    how: Any = {"cwd": Path(__file__).parent, "capture_output": True, "text": True, "check": True}
    try:
        return subprocess.run(command, **how).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or not a checkout
        return "unknown"


def machine() -> dict[str, Any]:
    """Return what the program runs on, and the command it was started with."""
    kind = accelerator()
    return {
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "processes": world_size(),
        "gpu": torch.cuda.get_device_name() if kind == "cuda" else kind or None,
        "command": command(),
    }


def command() -> str:
    """Return the command that started the program, without the folders of this machine."""
    module = getattr(sys.modules["__main__"], "__spec__", None)  # there for `python -m`
    program = module.name.removesuffix(".__main__") if module else Path(sys.argv[0]).name
    if program != "cilkit":
        program = f"python -m {program}" if module else f"python {program}"
    return " ".join([program, *sys.argv[1:]])
