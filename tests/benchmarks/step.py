"""The training step of ResNet-32 against the machine's own ceiling: a product of two matrices.

FLOPs are counted as in the field: a multiplication and an addition are two, and the backward pass
of a convolution costs twice its forward pass. So an image takes 6 times the multiply-adds of the
convolutions and the classifier; batch norm, ReLU and the optimizer count as nothing. The ceiling is
the rate of a 2048 x 2048 product in the same number format, in the same rounds. The step is the
program's own: `train_epoch` with one batch, without a teacher. channels_last is the setting that is
meant to be fast; float32 without it informs.
"""

import os
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.harness import Row, Timing, interleaved
from cilkit import PRESETS, Config, DataSet, Learner, build
from cilkit.loop import train_epoch

BATCH, SIDE = 128, 2048
PLAIN = replace(PRESETS["cifar100-b50-10"], method="finetune", base=0)
FORMATS = {
    "float32": PLAIN,
    "float32 channels_last": replace(PLAIN, channels_last=True),
    "bf16 channels_last": replace(PLAIN, channels_last=True, precision="bf16"),
}
CEILINGS = dict(zip(FORMATS, ("float32 product", "float32 product", "bf16 product"), strict=True))
GOALS = {"float32 channels_last": 75, "bf16 channels_last": 70}


def main() -> list[Row]:
    """Return the share of the ceiling that a step reaches, on one thread and on all."""
    rows = []
    for threads in sorted({1, os.cpu_count() or 1}):
        times = timed_steps(threads, with_ceiling=True)
        rows += [share(name, threads, times[name], times[CEILINGS[name]]) for name in FORMATS]
    return rows


def share(name: str, threads: int, step: Timing, product: Timing) -> Row:
    """Return the row of one format: FLOP/s of the step in percent of the product's, by wall time.

    With more than one thread CPU time tells nothing: threads that wait for each other spin.
    """
    flops, ceiling = BATCH * flops_of_an_image(), 2 * SIDE**3
    ours, best = flops / step.wall, ceiling / product.wall
    by_cpu = 100 * (flops / step.cpu) / (ceiling / product.cpu)
    label = f"ResNet-32 step, {name}, {threads} thread{'s' * (threads > 1)}, % of the ceiling"
    text = f"{BATCH / step.wall:.0f} images/s, {ours / 1e9:.0f} GFLOP/s"
    by_wall = 100 * ours / best
    ratio = by_cpu if threads == 1 else by_wall
    return Row(label, text, f"{best / 1e9:.0f} GFLOP/s", ratio, GOALS.get(name), by_wall=by_wall)


def timed_steps(threads: int, rounds: int = 5, with_ceiling: bool = False) -> dict[str, Timing]:
    """Return the time of one step in each format, and of the products if asked."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    contenders = {name: step(config) for name, config in FORMATS.items()}
    if with_ceiling:
        contenders["float32 product"] = product(torch.float32)
        contenders["bf16 product"] = product(torch.bfloat16)
    times = interleaved(contenders, rounds, warm_up=1)
    torch.set_num_threads(before)
    return times


def learner_of(config: Config) -> Learner:
    """Return a learner of 10 classes that stands before its first step."""
    pixels = np.random.default_rng(0).integers(0, 256, (100, 32, 32, 3), np.uint8)
    labels = np.arange(100) % 10
    dataset = DataSet.of(pixels, labels, pixels, labels)
    learner, scenario = build(replace(config, device="cpu"), dataset)
    learner.grow(scenario.stages[0])
    learner.progress.start_phase(learner.model, learner.config, learner.config.plan(0), 0)
    return learner


def step(config: Config) -> Callable[[], object]:
    """Return one step of training, on a batch that is ready."""
    learner = learner_of(config)
    batch = torch.randint(256, (BATCH, 3, 32, 32), dtype=torch.uint8)
    labels = torch.arange(BATCH) % 10
    return lambda: train_epoch(learner, [(batch, labels, 1.0)], lr=0.01)


def product(dtype: torch.dtype) -> Callable[[], Tensor]:
    """Return the product of two square matrices."""
    left, right = torch.randn(2, SIDE, SIDE).to(dtype)
    return lambda: left @ right


def flops_of_an_image() -> int:
    """Return the FLOPs of forward and backward of one image: 6 for each multiply-add."""
    macs: list[int] = []

    def count(module: nn.Module, _: object, out: Tensor) -> None:
        products = module.get_parameter("weight")[0].numel()  # each output is the sum of so many
        macs.append(out[0].numel() * products)

    model = learner_of(PLAIN).model.eval()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.register_forward_hook(count)
    with torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    return 6 * sum(macs)
