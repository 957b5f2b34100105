r"""What wants a GPU, in one call: resumption, images per second, and the whole protocol.

    PYTHONPATH=tests python -m benchmarks.gpu --data cifar100_jpeg92.npz --out results

For a machine that is had for minutes and reaches no registry, so nothing is installed: cilkit is
found by PYTHONPATH, and so are wheels of what is missing, unpacked. Each part is a process of its
own with a time limit, and leaves its result at once, in `results.json`. `--small --device cpu`
tries all of it in a minute where there is no GPU.

CIFAR-100 comes as an .npz of JPEG mosaics (arrays of bytes, training images first) and labels, or
is made up (`--small`). JPEG is not the official data: say so beside what is measured on it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from cilkit import PRESETS, Config, DataSet, build, learn, run, summary
from cilkit.config import as_path
from cilkit.loop import train_epoch
from cilkit.machine.processes import processes
from cilkit.runs.records import EpochRecord, stage_records
from cilkit.state import fingerprint_of, restore, state_of

LIMITS = {"facts": 30, "resumption": 60, "speed": 150, "protocol": 480}  # seconds
FORMATS: dict[str, Any] = {
    "float32": {},
    "bf16 channels_last": {"precision": "bf16", "channels_last": True},
    "bf16 channels_last, compiled": {"precision": "bf16", "channels_last": True, "compile": True},
}


def facts(_: argparse.Namespace) -> dict[str, Any]:
    """Return what is measured on."""
    there = torch.cuda.is_available()
    card = torch.cuda.get_device_name() if there else "none"
    return {"torch": torch.__version__, "card": card, "python": sys.version.split()[0]}


def resumption(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return whether runs that were cut after each record end as the whole one does, to the bit."""
    small: Any = {"backbone": "resnet8", "increment": 5, "epochs": 2, "device": arguments.device}
    with processes():
        return {
            method: goes_on(replace(PRESETS["digits"], method=method, **small))
            for method in ("replay-kd", "wa")
        }


def goes_on(config: Config) -> bool:
    """Tell whether a run that is cut after any record, and resumed, ends with the same bits."""
    learner, scenario = build(config)
    count, marks = sum(1 for _ in learn(learner, scenario)), set()
    for cut in range(count):
        first, then = build(config)[0], build(config)[0]
        list(islice(learn(first, scenario), cut))
        restore(then, scenario.stages, *state_of(first))
        list(learn(then, scenario))
        marks.add(fingerprint_of(then))
    return marks == {fingerprint_of(learner)}


def speed(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return images per second of the training step, alone and with a teacher beside it."""
    dataset, found = data(arguments), {}
    for name, formats in FORMATS.items():
        for method in ("finetune", "wa"):
            config = replace(protocol_settings(arguments), method=method, **formats)
            label = name + (", with a teacher" if method == "wa" else "")
            found[label] = round(images_per_second(config, dataset, arguments.small))
            keep(arguments.out, "speed", found)  # the next one may take too long
    return found


def images_per_second(config: Config, dataset: DataSet, small: bool) -> float:
    """Return how many images a second the second stage's steps train on."""
    learner, scenario = build(config, dataset)
    first, second = scenario.stages[:2]
    learner.grow(first)
    learner.end(first)
    learner.grow(second)
    learner.begin(second)
    model, size = learner.model, config.batch_size
    learner.progress.start_phase(model, config, config.plan(1), 0)
    images, labels = second.test.images()[:size].to(model.device), second.test.labels[:size]
    batch, steps = (images, labels.to(model.device), 1.0), 2 if small else 50
    for _ in range(2):  # the first time warms up
        wait(model.device)
        start = perf_counter()
        train_epoch(learner, [batch] * steps, 0.01)
        wait(model.device)
    return steps * len(images) / (perf_counter() - start)


def wait(device: torch.device) -> None:
    """Wait until a GPU has done all that it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize()


def protocol(arguments: argparse.Namespace) -> dict[str, Any]:
    """Run WA's published protocol, seed 0, as fast as it goes; its records stay in a folder."""
    fast: Any = FORMATS["bf16 channels_last"] | {"method": "wa", "seed": 0}
    config, start = replace(protocol_settings(arguments), **fast), perf_counter()
    records = run(config, arguments.out / "wa-seed0", [tell], dataset=data(arguments), resume=True)
    numbers = summary(records)
    stages = [record.after.confusion for record in stage_records(records)]
    return {"seconds": round(perf_counter() - start, 1), **numbers, "stages": len(stages)}


def tell(record: Any) -> None:
    """Say where it is, now and then: what is cut off shall have said how far it came."""
    if not isinstance(record, EpochRecord) or record.epoch % 20 == 1:
        print(record.kind, getattr(record, "stage", ""), getattr(record, "epoch", ""), flush=True)


def protocol_settings(arguments: argparse.Namespace) -> Config:
    """Return the settings of the published protocol, or of a small one to try it with."""
    config = replace(PRESETS["cifar100-b50-10"], device=arguments.device)
    if not arguments.small:
        return config
    small: Any = {"backbone": "resnet8", "budget": 100, "epochs": 1, "base_epochs": 1}
    return replace(config, **small, batch_size=50, milestones=(1,), base_milestones=(1,))


def data(arguments: argparse.Namespace) -> DataSet:
    """Return CIFAR-100, or noise in its place."""
    if arguments.small:
        noise = np.random.default_rng(0).integers(0, 256, (400, 32, 32, 3), np.uint8)
        labels = np.arange(400) % 100
        return DataSet.of(noise, labels, noise, labels, [*map(str, range(100))], "noise")
    with np.load(arguments.data) as file:
        images = np.concatenate([*pictures(file)])
        train, test = file["train_labels"], file["test_labels"]
        names = [*map(str, file["class_names"])] if "class_names" in file else None
    return DataSet.of(images[: len(train)], train, images[len(train) :], test, names, "cifar100")


def pictures(file: Any) -> Iterator[NDArray[np.uint8]]:
    """Yield the images of a file, (N, 32, 32, 3), cut out of mosaics."""
    for name in file:
        if file[name].dtype == np.uint8 and file[name].ndim == 1:
            mosaic = np.asarray(Image.open(BytesIO(file[name].tobytes())))
            cut = mosaic.reshape(mosaic.shape[0] // 32, 32, -1, 32, 3).swapaxes(1, 2)
            yield cut.reshape(-1, 32, 32, 3)


PARTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "facts": facts,
    "resumption": resumption,
    "speed": speed,
    "protocol": protocol,
}


def main() -> None:
    """Do one part, or all of them, each in a process of its own with its time limit."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS)
    parser.add_argument("--data", type=as_path, help="CIFAR-100 as .npz")
    parser.add_argument("--out", type=as_path, default=Path("runs/gpu"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="noise and a small network")
    arguments = parser.parse_args()
    if arguments.data is None and not arguments.small:
        parser.error("give --data, or --small")
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.part:
        keep(arguments.out, arguments.part, PARTS[arguments.part](arguments))
        return
    for part in PARTS:
        print(f"{part} …", flush=True)
        in_time(part)


def in_time(part: str) -> None:
    """Do a part as often as this program was called: with the same options, but for its time."""
    command = [sys.executable, "-m", "benchmarks.gpu", part, *sys.argv[1:]]
    if part == "resumption":  # under NCCL, though there is one process
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "1"]
        command[:3] = [*torchrun, "-m", "benchmarks.gpu"]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        process.wait(LIMITS[part])
    except subprocess.TimeoutExpired:
        print(f"{part} takes longer than {LIMITS[part]} s", flush=True)
        os.killpg(process.pid, signal.SIGKILL)  # torchrun's processes, too


def keep(out: Path, part: str, result: dict[str, Any]) -> None:
    """Add a part's result to those that are there, and print it."""
    file = out / "results.json"
    found = json.loads(file.read_text()) if file.exists() else {}
    file.write_text(json.dumps(found | {part: result}, indent=1))
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
