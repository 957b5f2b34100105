"""One frozen network, several data sets: what each method makes of its features. Chapter 10."""

from collections.abc import Mapping

from cilkit.metrics import stage_accuracy, summary
from cilkit.runs.records import stage_records
from cilkit.show.layout import Runs
from cilkit.teaching.chapters.side_by_side import WIDTH, side_by_side
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot


def accuracy_by_method(runs: Mapping[str, Runs]) -> Moving:
    """Show the accuracy after each stage: a panel for each data set, by its name.

    The slider moves through the methods, of which each has one run on every data set; all runs
    must have the same stages. There is room for two panels on a page.
    """
    methods = next(iter(runs.values()))
    [records] = next(iter(methods.values()))
    seen = [record.n_seen for record in stage_records(records)]
    labels = ("classes seen so far", "accuracy (%)")
    plot = Plot((0, max(seen)), (0, 100), *labels, width=WIDTH, height=260, right=76)
    axes = plot.axes(seen, [0, 50, 100])
    return Moving(
        "What does each method make of the same network's features?",
        "A panel for each data set: the accuracy on the classes seen so far after each stage, a "
        "line and dots for the method, faint lines for the others, each with its name.",
        "method",
        [method_frame(plot, runs, method) for method in methods],
        side_by_side([axes + plot.names(plot.x[1], ends(each)) for each in runs.values()]),
        width=WIDTH * len(runs),
        height=260,
        printed=len(methods) - 1,
    )


def ends(by_method: Runs) -> dict[str, float]:
    """Return the accuracy (percent) of each method after the last stage."""
    return {method: summary(records)["last"] for method, [records] in by_method.items()}


def method_frame(plot: Plot, runs: Mapping[str, Runs], method: str) -> Frame:
    """Draw one method, and the others faint."""
    panels, says = [], []
    for name, by_method in runs.items():
        panel = plot.words(plot.x[0] + 0.5, 8, name)
        for one, [records] in by_method.items():
            stages = stage_records(records)
            at = [stage.n_seen for stage in stages], [stage_accuracy(stage) for stage in stages]
            panel += plot.line(*at, "" if one == method else "faint")
            panel += plot.dots(*at, "", 3) if one == method else ""
        panels.append(panel)
        says.append(f"{name} {ends(by_method)[method]:.1f} %")
    return Frame(method, f"after the last stage: {', '.join(says)}", side_by_side(panels))
