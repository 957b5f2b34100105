"""The loop: `for record in learn(learner, scenario): ...`. Chapter 6."""

from collections.abc import Iterable, Iterator

import torch
from torch import nn

from cilkit.data import Scenario
from cilkit.distributed import agree, parallel, seed_all
from cilkit.evaluation import examine
from cilkit.learner import Learner
from cilkit.loader import Batch, Loader
from cilkit.records import EpochRecord, StageRecord
from cilkit.schedule import learning_rate
from cilkit.state import fingerprint_of


def learn(learner: Learner, scenario: Scenario) -> Iterator[EpochRecord | StageRecord]:
    """Teach `learner` the stages it has not finished, yielding what happens as it happens.

    Nothing happens until someone asks for the next record. All state is the learner's: one that
    comes from a checkpoint goes on where it stood.
    """
    config = learner.config
    for stage in scenario.stages[learner.stage :]:
        seed_all(config.seed, stage.index)  # new prototypes start alike in every process
        loader = Loader(learner.begin(stage), scenario.dataset, config, learner.model.device)
        learner.start_optimizer()
        model, plan = parallel(learner.model), config.plan(stage.index)
        for epoch in range(learner.epoch, plan.epochs):
            lr = learning_rate(config, plan, epoch)
            batches = loader.epoch(stage.index, epoch, learner.step)
            losses, accuracy = train_epoch(model, learner, batches, lr)
            norms = learner.model.classifier.norms()
            yield EpochRecord(stage.index, epoch + 1, plan.epochs, lr, losses, accuracy, norms)
        before = examine(learner.model, stage)
        facts = learner.end(stage)
        learner.finish_stage()
        after = examine(learner.model, stage)
        classes = (stage.index, stage.n_old, stage.n_seen)
        mark = agree(fingerprint_of(learner))
        yield StageRecord(*classes, before, after, len(learner.memory), facts, mark)


def train_epoch(
    model: nn.Module, learner: Learner, batches: Iterable[Batch], lr: float
) -> tuple[dict[str, float], float]:
    """Make one pass over the batches; return the mean of each loss, and the accuracy in percent."""
    learner.set_lr(lr)
    model.train()
    for images, labels, share in batches:
        logits = model(images)
        losses = learner.losses(images, logits, labels)
        learner.optimizer.zero_grad()
        (share * torch.stack([*losses.values()]).sum()).backward()
        learner.optimizer.step()
        hits = (logits.argmax(1) == labels).float().mean()
        learner.finish_step(len(labels), losses | {"accuracy": 100 * hits})
    means = learner.finish_epoch()
    return means, means.pop("accuracy")
