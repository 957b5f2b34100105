"""The loop: `for record in learn(learner, scenario): ...`. Chapter 6."""

from collections.abc import Iterable, Iterator

import torch

from cilkit.data.loader import Batch, Loader
from cilkit.data.scenario import Scenario
from cilkit.inference import examine
from cilkit.learner import Learner
from cilkit.machine.devices import advice
from cilkit.machine.processes import agree, average_gradients
from cilkit.machine.seeds import seed_all
from cilkit.machine.stopping import whole_step
from cilkit.runs.records import EpochRecord, StageRecord
from cilkit.state import fingerprint_of, whole_or_undone


def learn(learner: Learner, scenario: Scenario) -> Iterator[EpochRecord | StageRecord]:
    """Teach `learner` the stages it has not finished, yielding what happens as it happens.

    Nothing happens until someone asks for the next record. All state is the learner's: one that
    comes from a checkpoint, or from a loop that was left, goes on where it stood.
    """
    config = learner.config
    for stage in scenario.stages[learner.stage :]:
        plan = config.plan(stage.index)
        seed_all(config.seed, stage.index)  # new prototypes start alike in every process
        loader = Loader(learner.begin(stage), scenario.dataset, config, learner.model.device)
        if not hasattr(learner, "optimizer"):  # an interrupted stage goes on with its own
            learner.start_optimizer()
        for epoch in range(learner.epoch, plan.epochs):
            lr = plan.rate(epoch)
            batches = loader.epoch(stage.index, epoch, learner.step)
            losses, accuracy = train_epoch(learner, batches, lr)
            norms = learner.model.classifier.norms()
            yield EpochRecord(stage.index, epoch + 1, plan.epochs, lr, losses, accuracy, norms)
        learner.model.train()  # whoever has looked at it meanwhile
        seed_all(config.seed, stage.index, plan.epochs)  # and whatever was drawn
        before = examine(learner.model, stage)
        with whole_or_undone(learner):
            facts = learner.end(stage)
            learner.finish_stage()
            after = examine(learner.model, stage)
            mark = agree(fingerprint_of(learner))
        classes = (stage.index, stage.n_old, stage.n_seen)
        yield StageRecord(*classes, before, after, len(learner.memory), facts, mark)


@advice("in a training step; a smaller --batch-size needs less")
def train_epoch(
    learner: Learner, batches: Iterable[Batch], lr: float
) -> tuple[dict[str, float], float]:
    """Make one pass over the batches; return the mean of each loss, and the accuracy in percent."""
    learner.set_lr(lr)
    model = learner.model.train()
    for images, labels, share in batches:
        with whole_step():
            logits = model(images)
            losses = learner.losses(images, logits, labels)
            learner.optimizer.zero_grad()
            (share * torch.stack([*losses.values()]).sum()).backward()
            average_gradients(model)
            learner.optimizer.step()
            hits = (logits.argmax(1) == labels).float().mean()
            learner.finish_step(len(labels), losses | {"accuracy": 100 * hits})
    means = learner.finish_epoch()
    return means, means.pop("accuracy")
