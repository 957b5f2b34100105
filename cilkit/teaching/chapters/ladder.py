"""The ladder from forgetting to remembering: one repair more at each step."""

import numpy as np

from cilkit.metrics import old_and_new_accuracy, spread, stage_accuracy, summary
from cilkit.runs.records import stage_records
from cilkit.show.layout import Runs
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import Plot

RUNGS = {
    "finetune": "fine-tuning, no repair",
    "replay": "with exemplars",
    "replay-kd": "with exemplars and a teacher",
    "wa": "with exemplars, a teacher and alignment",
}
SHORT = dict(zip(RUNGS, ("no repair", "exemplars", "teacher", "alignment"), strict=True))


def ladder(runs: Runs, name: str) -> Moving:
    """Show what each repair adds, over the runs of `RUNGS` on the data set `name`."""
    seen = [record.n_seen for record in stage_records(runs["wa"][0])]
    curves = Plot((0, max(seen)), (0, 100), "classes seen so far", "accuracy (%)", right=240)
    bars = Plot((-0.7, 1.7), (0, 100), "at the end", left=520)
    frames = [
        Frame(
            rung,
            says(runs, method),
            drawn(runs, list(RUNGS)[: i + 1], curves) + ends(runs, method, bars),
        )
        for i, (method, rung) in enumerate(RUNGS.items())
    ]
    many = len(runs["wa"])
    return Moving(
        f"{name}: switch on one repair after another ({many} seeds)",
        "Left, the accuracy over the classes seen so far: a line for the mean of the seeds, dots "
        "for each of them, faint lines for the steps before, each with its name. Right, the "
        "accuracy on old classes and on the newest ones after the last stage.",
        "repairs",
        frames,
        curves.axes(seen if len(seen) < 7 else None) + bars.axes({0.0: "old", 1.0: "new"}),
    )


def says(runs: Runs, method: str) -> str:
    """Say mean ± standard deviation over the seeds, in percent."""
    numbers = [summary(records) for records in runs[method]]
    told = ("last", "average", "forgetting")
    return ", ".join(f"{word} {spread([n[word] for n in numbers])}" for word in told)


def drawn(runs: Runs, methods: list[str], plot: Plot) -> str:
    """Draw the mean curves, those of earlier methods faint, and the last method's runs as dots."""
    xs = [record.n_seen for record in stage_records(runs[methods[-1]][0])]
    marks, means = "", {}
    for method in methods:
        ys = [[stage_accuracy(record) for record in stage_records(r)] for r in runs[method]]
        mean = means[SHORT[method]] = np.mean(ys, axis=0).tolist()
        marks += plot.line(xs, mean, "" if method == methods[-1] else "faint")
    marks += plot.names(xs[-1], {name: mean[-1] for name, mean in means.items()})
    return marks + "".join(plot.dots(xs, of_seed, "", 3) for of_seed in ys)


def ends(runs: Runs, method: str, plot: Plot) -> str:
    """Draw the mean accuracy on old and on new classes at the end."""
    pairs = [old_and_new_accuracy(stage_records(records)[-1]) for records in runs[method]]
    means = np.mean(pairs, axis=0)
    numbers = [plot.words(x, y + 3, f"{y:.1f}", "middle") for x, y in enumerate(means.tolist())]
    return plot.bars(means, ["old", "new"]) + "".join(numbers)
