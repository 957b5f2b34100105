"""Two runs beside each other, class by class: what one forgets and the other keeps."""

from collections.abc import Mapping, Sequence

from cilkit.metrics import class_accuracies, stage_accuracy
from cilkit.runs.records import Record, StageRecord, run_record, stage_records
from cilkit.teaching.chapters.one_run import expect
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot

WIDTH = 320  # of a panel


def accuracy_by_class(runs: Mapping[str, Sequence[Record]]) -> Moving:
    """Show the accuracy on each class after each stage: a panel for each run, by its name.

    All runs must have the same stages; there is room for two on a page, and for ten classes. What
    becomes of the last one, the reader is asked first.
    """
    *_, (last, records_of_last) = runs.items()
    names = run_record(records_of_last).class_names
    plot = Plot(
        (-0.6, len(names) - 0.4), (0, 100), "class", "accuracy (%)", width=WIDTH, height=260
    )
    axes = plot.axes(dict(enumerate(names)), [0, 50, 100])
    moments = zip(*(stage_records(records) for records in runs.values()), strict=True)
    frames = [stage_frame(plot, dict(zip(runs, moment, strict=True))) for moment in moments]
    return Moving(
        "How many test images of each class are recognised?",
        "Panels of bars, one for each class seen so far, old classes in blue, new ones in orange. "
        "The slider moves through the stages, each of which brings new classes.",
        "stage",
        frames,
        side_by_side([axes] * len(runs)),
        width=WIDTH * len(runs),
        height=260,
        printed=len(frames) - 1,
        guess=expect(stage_records(records_of_last)[-1], last),
    )


def stage_frame(plot: Plot, stages: Mapping[str, StageRecord]) -> Frame:
    """Draw what each run knows after one stage."""
    panels, says = [], []
    for name, stage in stages.items():
        classes = ["old"] * stage.n_old + ["new"] * (stage.n_seen - stage.n_old)
        head = plot.words(plot.x[1], 106, name, "end")
        panels.append(head + plot.bars(class_accuracies(stage.after.confusion), classes))
        says.append(f"{name} {stage_accuracy(stage):.1f} %")
    first = next(iter(stages.values()))
    said = f"accuracy on all {first.n_seen} classes so far: {', '.join(says)}"
    return Frame(f"stage {first.stage + 1}", said, side_by_side(panels))


def side_by_side(panels: Sequence[str]) -> str:
    """Put drawings of the same width next to each other."""
    return "".join(f'<g transform="translate({WIDTH * i})">{p}</g>' for i, p in enumerate(panels))
