"""The way of working that this course grew from, as a program of its own: the peer to be beaten.

Written anew, in our own words, from the tutorial's text and from a list of what its code does. Run
it by `torchrun`; `tutorial.py` does. It learns WA on the same data set, network, epochs,
memory, batches and learning rate as cilkit, and prints its accuracies as one line of JSON.

Kept on purpose, since it is what is measured: one Pillow image at a time through timm's transform;
worker processes that are started anew for each pass; float32; a barrier and four `.item()` for each
step; a barrier for each mean that is printed; DDP that sends rank 0's buffers at each forward pass,
in tests too; a test every five epochs, with images doubled so that the processes have equally many;
features of new images and exemplars together, from the training augmentation, with gradients, by
every process for itself; continuum's herding; so, exemplars that differ between the processes.

Mended, so that it runs here and learns the same: gloo on the CPU for NCCL; the batch size is that
of all processes together; the statistics are the data set's own; the policy keeps Posterize from
asking Pillow for zero bits; no progress is printed. Images must be in colour.
"""

import argparse
import json
import random
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist  # noqa: TID251 - the peer is a program of its own, without cilkit.machine.processes
import torch.nn.functional as F
from continuum import ClassIncremental
from continuum.datasets import InMemoryDataset
from continuum.rehearsal import RehearsalMemory
from timm.data.transforms_factory import create_transform
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler
from torchvision.transforms import Compose, Normalize, RandomCrop, ToTensor

from cilkit.backbones import build_backbone
from cilkit.config import Config
from cilkit.data.datasets import build_dataset
from cilkit.data.samples import DataSet, Samples
from cilkit.data.scenario import class_order
from cilkit.functional import alignment
from cilkit.heads import CilClassifier

TEMPERATURE, KD_WEIGHT = 2.0, 0.5
TEST_EVERY = 5  # epochs


class GrowingModel(nn.Module):
    """A backbone, and one linear head with a bias for each stage; pixels come normalised."""

    def __init__(self, backbone: nn.Module) -> None:
        super().__init__()
        self.backbone, self.classifier = backbone, CilClassifier(64, bias=True)

    def forward(self, images: Tensor) -> Tensor:
        """Images -> logits."""
        return self.classifier(self.backbone(images))


class Meter:
    """A running mean that is brought together over the processes when it is asked for."""

    def __init__(self) -> None:
        self.total, self.count = 0.0, 0

    def update(self, value: float, count: int = 1) -> None:
        """Add a value that stands for `count` of them."""
        self.total, self.count = self.total + value * count, self.count + count

    def mean(self) -> float:
        """Wait for all, and return the mean of all."""
        both = torch.tensor([self.total, self.count], dtype=torch.float64)
        dist.barrier()
        dist.all_reduce(both)
        return float(both[0] / both[1])


def main() -> None:
    """Learn all stages; print the accuracy after each of them."""
    options = parse()
    dist.init_process_group("gloo")
    torch.manual_seed(options.seed)
    np.random.seed(options.seed)
    random.seed()  # the tutorial leaves Python's own generator unseeded
    dataset = build_dataset(Config(dataset=options.dataset, data_path=options.data_path))
    train, test = scenarios(dataset, options)
    model = GrowingModel(build_backbone(options.backbone, len(dataset.mean)))
    memory = RehearsalMemory(memory_size=options.budget, herding_method="barycenter")
    teacher, accuracies = None, []
    for number in range(len(train)):
        tested = test[: number + 1]
        accuracies.append(learn_stage(model, teacher, memory, train[number], tested, options))
        teacher = deepcopy(model).requires_grad_(False).eval()
    if dist.get_rank() == 0:
        print(json.dumps({"accuracy": accuracies}))
    dist.destroy_process_group()


def parse() -> argparse.Namespace:
    """Return the options, which have the names that cilkit gives them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dataset", default="glyphs")
    parser.add_argument("--data-path", type=Path, default=Path("data"))
    parser.add_argument("--backbone", default="resnet32")
    for name in ("lr", "momentum", "weight-decay"):
        parser.add_argument(f"--{name}", type=float, required=True)
    for name in ("base", "increment", "class-order", "padding", "budget", "batch-size", "epochs"):
        parser.add_argument(f"--{name}", type=int, required=True)
    for name in ("workers", "seed"):
        parser.add_argument(f"--{name}", type=int, default=0)
    parser.add_argument("--auto-augment", required=True)
    return parser.parse_args()


def scenarios(dataset: DataSet, options: argparse.Namespace) -> tuple[Any, Any]:
    """Return continuum's scenarios of the training images and of those to test with."""
    size = dataset.train.store.shape[-1]
    augmented = create_transform(
        input_size=size,
        is_training=True,
        color_jitter=0.4,  # without effect beside a policy
        auto_augment=options.auto_augment,
        interpolation="bicubic",
        re_prob=0.0,
        mean=dataset.mean,
        std=dataset.std,
    ).transforms
    augmented[0] = RandomCrop(size, padding=options.padding)  # for images as small as CIFAR's
    plain = [ToTensor(), Normalize(dataset.mean, dataset.std)]
    order = class_order(options.class_order, len(dataset.class_names))
    return tuple(
        ClassIncremental(
            as_continuum_has_it(samples),
            initial_increment=options.base,
            increment=options.increment,
            transformations=[Compose(changes)],
            class_order=list(order),
        )
        for samples, changes in ((dataset.train, augmented), (dataset.test, plain))
    )


def as_continuum_has_it(samples: Samples) -> Any:
    """Return the images as one array in memory, (N, H, W, C)."""
    pixels = samples.images().permute(0, 2, 3, 1).contiguous().numpy()
    return InMemoryDataset(pixels, samples.labels.numpy())


def learn_stage(
    model: GrowingModel,
    teacher: GrowingModel | None,
    memory: Any,
    new: Any,
    test: Any,
    options: argparse.Namespace,
) -> float:
    """Train, align, choose exemplars; return the accuracy on all classes seen so far."""
    classifier = model.classifier
    n_old = classifier.n_classes
    classifier.grow_to(n_old + new.nb_classes)
    if teacher is not None:
        new.add_samples(*memory.get())
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(
        model.parameters(), options.lr, options.momentum, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.epochs)
    loader, test_loader = dealt(new, True, options), dealt(test, False, options)
    for epoch in range(options.epochs):
        loader.sampler.set_epoch(epoch)
        train_epoch(parallel, teacher, loader, optimizer)
        schedule.step()
        if (epoch + 1) % TEST_EVERY == 0:
            accuracy_on(parallel, test_loader)
    if teacher is not None:
        classifier.scale_newest(alignment(classifier.weight, n_old).item())
    accuracy = accuracy_on(parallel, test_loader)
    remember(model, memory, new, options)
    return accuracy


def dealt(samples: Any, shuffle: bool, options: argparse.Namespace) -> Any:
    """Return a loader of this process's share; without `persistent_workers` each pass forks."""
    return DataLoader(
        samples,
        batch_size=options.batch_size // dist.get_world_size(),
        sampler=DistributedSampler(samples, shuffle=shuffle),
        num_workers=options.workers,
    )


def train_epoch(
    model: nn.Module,
    teacher: GrowingModel | None,
    loader: Iterable[Any],
    optimizer: torch.optim.Optimizer,
) -> None:
    """Make one pass; every step waits for all processes, and reads four numbers."""
    model.train()
    meters = {name: Meter() for name in ("ce", "kd", "loss", "accuracy")}
    for images, labels, _ in loader:
        logits = model(images)
        ce, kd = F.cross_entropy(logits, labels), torch.zeros(())
        if teacher is not None:
            kd = KD_WEIGHT * soft_target(logits, teacher(images))
        loss = ce + kd
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        dist.barrier()
        hits = 100 * (logits.argmax(1) == labels).float().mean()
        for meter, value in zip(meters.values(), (ce, kd, loss, hits), strict=True):
            meter.update(value.item(), len(labels))
    for meter in meters.values():
        meter.mean()


def soft_target(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the distillation loss on the old classes, times the temperature squared."""
    student = student[:, : teacher.shape[1]] / TEMPERATURE
    log_p = F.log_softmax(teacher / TEMPERATURE, dim=1)
    kl = F.kl_div(F.log_softmax(student, dim=1), log_p, reduction="batchmean", log_target=True)
    return kl * TEMPERATURE**2


@torch.no_grad()
def accuracy_on(model: nn.Module, loader: Iterable[Any]) -> float:
    """Return the accuracy in percent; images that the sampler doubled count twice."""
    model.eval()
    loss, accuracy = Meter(), Meter()
    for images, labels, _ in loader:
        logits = model(images)
        loss.update(F.cross_entropy(logits, labels).item())
        accuracy.update(100 * (logits.argmax(1) == labels).float().mean().item(), len(labels))
    loss.mean()
    return accuracy.mean()


def remember(model: GrowingModel, memory: Any, stage: Any, options: argparse.Namespace) -> None:
    """Let continuum choose from all images of the stage, by features of their augmented looks."""
    model.eval()
    batch = options.batch_size // dist.get_world_size()
    features = [
        model.backbone(images).detach().numpy()
        for images, _, _ in DataLoader(stage, batch_size=batch)
    ]
    memory.add(*stage.get_raw_samples(), np.concatenate(features))


if __name__ == "__main__":
    main()
