"""The loop: `for record in learn(learner, scenario): ...`. Chapter 6."""

from collections.abc import Iterable, Iterator, Sequence

import torch

from cilkit.data.loader import Batch, Loader
from cilkit.data.scenario import Scenario, Stage
from cilkit.inference import examine, stage_cost, training_cost
from cilkit.learner import Learner, Phase, phases_left
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
    config, progress, model = learner.config, learner.progress, learner.model
    for stage in scenario.stages[progress.stages_done :]:
        seed_all(config.seed, stage.index)  # new prototypes start alike in every process
        learner.grow(stage)
        if not progress.in_stage:
            with whole_or_undone(learner):
                learner.begin(stage)
        phases = learner.phases(stage)
        epochs = sum(phase.plan.epochs for phase in phases)
        for phase, first in phases_left(phases, progress.epoch):
            loader = Loader(phase.samples, scenario.dataset, config, model.device)
            progress.start_phase(model, config, phase.plan, first)
            for epoch in range(progress.epoch, first + phase.plan.epochs):
                lr = phase.plan.rate(epoch - first)
                means = train_epoch(learner, loader.epoch(stage.index, epoch, progress.step), lr)
                accuracy, norms = means.pop("accuracy"), model.classifier.norms()
                yield EpochRecord(stage.index, epoch + 1, epochs, lr, means, accuracy, norms)
        yield finish(learner, stage, phases)


@advice("in a training step; a smaller --batch-size needs less")
def train_epoch(learner: Learner, batches: Iterable[Batch], lr: float) -> dict[str, float]:
    """Make one pass over the batches; return the means of all losses, and of the accuracy."""
    model, progress = learner.model.train(), learner.progress
    for images, labels, share in batches:
        with whole_step():
            seen = model.see(images)
            losses = learner.losses(seen, labels)
            model.zero_grad()
            progress.scaled(share * torch.stack([*losses.values()]).sum()).backward()
            average_gradients(model)
            progress.take_step(lr)
            learner.stepped()
            hits = (seen.logits.argmax(1) == labels).float().mean()
            progress.finish_step(len(labels), losses | {"accuracy": 100 * hits})
    return progress.finish_epoch(model)


def finish(learner: Learner, stage: Stage, phases: Sequence[Phase]) -> StageRecord:
    """End a stage, and test before and after; an error takes the end back."""
    learner.model.train()  # whoever has looked at it meanwhile
    seed_all(learner.config.seed, stage.index, learner.progress.epoch)  # and whatever was drawn
    cost, before = training_cost(learner, stage, phases), examine(learner, stage)
    with whole_or_undone(learner):
        facts = learner.end(stage)
        learner.progress.finish_stage()
        after, cost = examine(learner, stage), stage_cost(cost, learner, stage)
        mark = agree(fingerprint_of(learner))
    classes = (stage.index, stage.n_old, stage.n_seen)
    return StageRecord(*classes, before, after, len(learner.memory), facts, mark, cost)
