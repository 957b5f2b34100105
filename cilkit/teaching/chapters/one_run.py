"""Moving figures of a run, from its records."""

from collections.abc import Sequence

import numpy as np

from cilkit.metrics import accuracy_matrix, stage_accuracy
from cilkit.runs.records import (
    EpochRecord,
    Record,
    RunRecord,
    StageRecord,
    run_record,
    stage_records,
)
from cilkit.teaching.moving import Frame, Guess, Moving
from cilkit.teaching.svg import Plot, heat


def norms_by_epoch(records: Sequence[Record]) -> Moving:
    """Show the length of each class's prototype, epoch by epoch, and where alignment takes it."""
    run = run_record(records)
    moments = [r for r in records if isinstance(r, EpochRecord | StageRecord)]
    highest = max(max(norms_of(moment)) for moment in moments)
    names = run.class_names
    axes = ("class", "length of the prototype; dashed: the means")
    plot = Plot((-0.6, len(names) - 0.4), (0, 1.12 * highest), *axes)
    sizes = run.classes_per_stage
    frames = [norms_frame(plot, moment, sum(sizes[: moment.stage])) for moment in moments]
    labels = {float(i): name for i, name in enumerate(names)} if len(names) <= 20 else None
    return Moving(
        "How long is each class's prototype?",
        "One bar for each class known so far, old classes in blue, new ones in orange, with a "
        "dashed line at the mean of each. One slider chooses a stage, the other moves through its "
        "epochs; the alignment at its end is a step of its own.",
        "epoch",
        frames,
        plot.axes(labels),
        printed=len(frames) - 2,  # the last epoch: what alignment will meet
        groups="stage",
    )


def norms_frame(plot: Plot, moment: EpochRecord | StageRecord, n_old: int) -> Frame:
    """Draw the prototypes at one moment."""
    norms = norms_of(moment)
    classes = ["old"] * n_old + ["new"] * (len(norms) - n_old)
    marks, says = plot.bars(norms, classes), []
    for name, part in (("old", norms[:n_old]), ("new", norms[n_old:])):
        if part:
            mean = float(np.mean(part))
            marks += plot.level(mean, "", name)
            says.append(f"{name} {mean:.2f}")
    stage, place = f"stage {moment.stage + 1}", "its end"
    if isinstance(moment, EpochRecord):
        return Frame(f"{stage}, epoch {moment.epoch}", ", ".join(says), marks, stage)
    if gamma := moment.facts.get("gamma"):
        place = "aligned"
        says.append(f"γ = {gamma:.2f}")
    return Frame(f"{stage}, {place}", ", ".join(says), marks, stage, "align" if gamma else "")


def norms_of(moment: EpochRecord | StageRecord) -> list[float]:
    """Return the prototypes' lengths at that moment."""
    return moment.norms if isinstance(moment, EpochRecord) else moment.after.norms


def matrix_by_stage(records: Sequence[Record], title: str = "", guess: bool = False) -> Moving:
    """Show the accuracy matrix as it fills in, stage after stage; with `guess`, ask for its end."""
    matrix, stages = accuracy_matrix(records), stage_records(records)
    columns, n = names_of_stages(run_record(records)), len(stages)
    rows = [f"after stage {i + 1}" for i in range(n)]
    frames = [
        Frame(
            f"stage {i + 1}",
            f"accuracy on all {stage.n_seen} classes {stage_accuracy(stage):.1f} %",
            heat(np.where(np.arange(n)[:, None] <= i, matrix, np.nan), rows, columns[:n]),
        )
        for i, stage in enumerate(stages)
    ]
    return Moving(
        title or "What is left of each stage's classes? Accuracy in percent",
        "A table: a row for each stage after which the network was tested, a column for the "
        "classes that a stage brought. Each step of the slider adds a row.",
        "stage",
        frames,
        width=150 + 84 * n,
        height=50 + 40 * n,
        printed=n - 1,
        guess=expect(stages[-1]) if guess else None,
    )


def expect(stage: StageRecord, name: str = "") -> Guess:
    """Ask for the accuracy after a run's last stage; `name` tells the run from others."""
    of = f" of {name}" if name else ""
    asks = f"What accuracy do you expect{of} at the end, on all {stage.n_seen} classes?"
    return Guess(asks, stage_accuracy(stage))


def names_of_stages(run: RunRecord) -> list[str]:
    """Return the first and the last class that each stage brings: "2–3"."""
    names, ends = run.class_names, np.cumsum(run.classes_per_stage)
    sizes = zip(ends, run.classes_per_stage, strict=True)
    return [f"{names[end - size]}–{names[end - 1]}" for end, size in sizes]
