"""One stage of WA, step by step: what flows where, beside the lines of code that do it."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

from cilkit.data.scenario import Stage
from cilkit.learner import Learner
from cilkit.loop import finish, learn, train_epoch
from cilkit.methods.distilling import Distilling
from cilkit.methods.replay import Replay
from cilkit.methods.wa import WA
from cilkit.metrics import accuracy
from cilkit.runs.records import Record, run_record, stage_records
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import arrow, rect, text

WIDTH, HEIGHT, PANEL = 640, 424, 262  # of the picture; where the panel of its code begins
BOX = (156, 58)
BOXES = {  # left, top
    "new images": (30, 8),
    "data": (30, 98),
    "memory": (30, 188),
    "test": (246, 8),
    "model": (246, 98),
    "teacher": (246, 188),
    "record": (462, 8),
    "losses": (462, 98),
}
Point = tuple[float, float]
ARROWS: dict[str, list[Point]] = {
    "new images > data": [(108, 66), (108, 98)],
    "memory > data": [(108, 188), (108, 156)],
    "new images > memory": [(30, 37), (12, 37), (12, 217), (30, 217)],
    "data > model": [(186, 127), (246, 127)],
    "data > teacher": [(186, 146), (246, 205)],
    "model > losses": [(402, 116), (462, 116)],
    "losses > model": [(462, 138), (402, 138)],
    "teacher > losses": [(402, 217), (540, 217), (540, 156)],
    "model > test": [(324, 98), (324, 66)],
    "test > record": [(402, 37), (462, 37)],
    "model > teacher": [(324, 156), (324, 188)],
}


@dataclass(frozen=True)
class Step:
    """One thing that happens in a stage; words in braces stand for facts of a run."""

    at: str
    says: str
    owner: Callable[..., Any]  # the function that does it
    lines: Sequence[str]  # how the lines begin that do it
    lit: Sequence[str]  # boxes that take part
    flows: Sequence[str] = ()  # arrows
    holds: Mapping[str, str] = field(default_factory=dict)  # what changes in the boxes


STEPS = (
    Step(
        "a stage comes",
        "new images of {names}; of the {n_old} old classes, only the exemplars are left",
        learn,
        ["for stage in"],
        ["new images", "memory", "model", "teacher"],
        holds={
            "new images": "{n_new}",
            "memory": "{kept}",
            "model": "{n_old} classes",
            "teacher": "{n_old} classes",
        },
    ),
    Step(
        "grow: make room",
        "the classifier gets a prototype for each new class",
        Learner.grow,
        ["self.model.grow_to"],
        ["model"],
        holds={"model": "{n_old} → {n_seen} classes"},
    ),
    Step(
        "samples: rehearse",
        "the exemplars join the new images",
        Replay.samples,
        ["return"],
        ["new images", "memory", "data"],
        ["new images > data", "memory > data"],
        {"data": "{n_new} + {exemplars}", "model": "{n_seen} classes"},
    ),
    Step(
        "each batch: predict",
        "the model gives logits for all {n_seen} classes",
        train_epoch,
        ["seen ="],
        ["data", "model", "losses"],
        ["data > model", "model > losses"],
    ),
    Step(
        "losses: labels",
        "cross-entropy, as in fine-tuning, for old and new images alike",
        Learner.losses,
        ["return"],
        ["losses"],
        holds={"losses": "ce"},
    ),
    Step(
        "losses: teacher",
        "on the {n_old} old classes, imitate the model that knew only them",
        Distilling.losses,
        ["taught", "kd =", 'return {"ce"'],
        ["data", "teacher", "losses"],
        ["data > teacher", "teacher > losses"],
        {"losses": "ce + kd"},
    ),
    Step(
        "each batch: a step",
        "gradients go to the model, not to the teacher; {epochs} epochs of such batches",
        train_epoch,
        ["progress.scaled(share", "progress.take_step"],
        ["losses", "model"],
        ["losses > model"],
    ),
    Step(
        "a test",
        "as trained, the accuracy on all {n_seen} classes is {before}",
        finish,
        ["cost, before ="],
        ["model", "test", "record"],
        ["model > test", "test > record"],
        {"test": "{before}", "record": "before", "losses": "", "data": ""},
    ),
    Step(
        "end: align",
        "the new prototypes are multiplied by γ = {gamma}",
        WA.end,
        ["gamma =", "classifier.scale_newest"],
        ["model"],
        holds={"model": "γ = {gamma}", "test": ""},
    ),
    Step(
        "end: next teacher",
        "a frozen copy of the aligned model will teach the next stage",
        Distilling.end,
        ["self.teacher"],
        ["model", "teacher"],
        ["model > teacher"],
        {"model": "{n_seen} classes", "teacher": "{n_seen} classes"},
    ),
    Step(
        "end: next exemplars",
        "herding chooses among the new images; the old classes' share shrinks",
        Replay.end,
        ["self.memory.add"],
        ["new images", "memory", "model"],
        ["new images > memory"],
        {"memory": "{keeps}"},
    ),
    Step(
        "the test that counts",
        "after the end, the accuracy on all {n_seen} classes is {after}",
        finish,
        ["after, cost =", "return StageRecord"],
        ["model", "test", "record"],
        ["model > test", "test > record"],
        {"test": "{after}", "record": "before, after"},
    ),
)


def one_stage(records: Sequence[Record], stage: Stage) -> Moving:
    """Show how a run of WA went through one of its later stages, with that run's numbers."""
    facts, held, frames = facts_of(records, stage), dict[str, str](), []
    for i, step in enumerate(STEPS, 1):
        held |= {box: words.format(**facts) for box, words in step.holds.items()}
        says = step.says.format(**facts)
        frames.append(Frame(f"{i}. {step.at}", says, drawing(step, held)))
    shade = ' fill="currentColor" fill-opacity=".06" rx="6"'
    return Moving(
        f"Stage {stage.index + 1} of a run of WA: what flows where, and the code that does it",
        "Boxes for the new images, the memory, the data of the stage, the model, its teacher, the "
        "losses, the test and the record, with arrows between them. Each step of the slider "
        "lights those that take part, and writes the lines of code below.",
        "step",
        frames,
        rect(0, PANEL, WIDTH, HEIGHT - PANEL, "", shade),
        WIDTH,
        HEIGHT,
        play=False,
    )


def facts_of(records: Sequence[Record], stage: Stage) -> dict[str, str]:
    """Return what the steps tell of a run, ready to be written."""
    run, stages = run_record(records), stage_records(records)
    record, kept = stages[stage.index], stages[stage.index - 1].exemplars
    before, after = (accuracy(part.confusion) for part in (record.before, record.after))
    return {
        "names": " and ".join(run.class_names[stage.n_old : stage.n_seen]),
        "n_new": str(len(stage.train)),
        "n_old": str(stage.n_old),
        "n_seen": str(stage.n_seen),
        "exemplars": str(kept),
        "kept": by_class(kept, stage.n_old),
        "keeps": by_class(record.exemplars, stage.n_seen),
        "epochs": str(run.config["epochs"]),
        "gamma": f"{record.facts['gamma']:.2f}",
        "before": f"{before:.1f} %",
        "after": f"{after:.1f} %",
    }


def by_class(exemplars: int, n_classes: int) -> str:
    """Say how many exemplars each class has: its equal share."""
    return f"{n_classes} × {exemplars // n_classes}"


def drawing(step: Step, held: Mapping[str, str]) -> str:
    """Draw one step: arrows, boxes with what they hold, code."""
    arrows = "".join(
        arrow(points, "" if name in step.flows else "faint") for name, points in ARROWS.items()
    )
    boxes = "".join(box(name, held.get(name, ""), name in step.lit) for name in BOXES)
    return arrows + boxes + written(step)


def box(name: str, holds: str, lit: bool) -> str:
    """Draw a box with its name and what it holds now."""
    (x, y), (width, height) = BOXES[name], BOX
    thick = ' style="stroke-width:4"' if lit else ""
    outline = rect(x, y, width, height, "line" if lit else "line faint", f' rx="8"{thick}')
    weight = ' font-weight="bold"' if lit else ""
    return (
        outline
        + text(x + width / 2, y + (24 if holds else 35), name, "middle", weight)
        + text(x + width / 2, y + 48, holds, "middle")
    )


def written(step: Step) -> str:
    """Write the step's code below the boxes, long lines folded."""
    y, mono = PANEL + 24, ' font-family="monospace"'
    marks = text(12, y, f"{step.owner.__module__}, {step.owner.__qualname__}")
    for line in code(step.owner, step.lines):
        for i, part in enumerate(wrap(line, 52, break_on_hyphens=False)):
            y += 24
            marks += text(12 + 24 * (i > 0), y, part, "start", mono)
    return marks


def code(owner: Callable[..., Any], starts: Sequence[str]) -> list[str]:
    """Return the lines of a function that begin so: the package's own, never a copy."""
    lines = [line.strip().split("  #")[0] for line in inspect.getsource(owner).splitlines()]
    return [next(line for line in lines if line.startswith(start)) for start in starts]
