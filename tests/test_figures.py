"""Figures show what the records say, whatever has happened so far."""

import io
import sys
from collections.abc import Sequence
from itertools import combinations, pairwise

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from numpy.typing import NDArray

from cilkit.metrics import accuracy_matrix, stage_accuracy
from cilkit.runs.records import (
    Cost,
    EpochRecord,
    Examination,
    Record,
    RunRecord,
    StageRecord,
    stage_records,
)
from cilkit.show import live
from cilkit.show.figures import (
    FIGURES,
    accuracy_matrix_figure,
    accuracy_over_cost,
    accuracy_per_stage,
    answers_by_stage,
    confusion_figure,
    live_figure,
    norms_by_epoch,
    prototype_norms,
)
from cilkit.show.layout import METHOD_COLORS, NEW, OLD, Runs
from cilkit.show.live import LivePlot
from cilkit.show.panels import leading

NAMES = ["größe", "ñandú", "$x$", "a_b", "", "%"]


def make_records(
    n_stages: int,
    per_stage: int = 2,
    names: Sequence[str] = NAMES,
    seed: int = 0,
    flops: float = 1e9,
) -> list[Record]:
    """Return a run of which so many stages are finished: two epochs each, then an alignment."""
    stages = [per_stage] * (len(names) // per_stage)
    records: list[Record] = [RunRecord({"method": "wa"}, [], list(names), stages, {}, {}, "")]
    for stage in range(n_stages):
        old, new = stage * per_stage, per_stage
        before = examination([1.0] * old + [2.0] * new, seed)
        after = examination([1.0] * old + [1.1] * new, seed + 1)
        losses = {"ce": 0.5, "kd": 0.1} if stage else {"ce": 0.5}
        records += [EpochRecord(stage, e, 2, 0.1, losses, 50.0, before.norms) for e in (1, 2)]
        facts = {"gamma": 0.55} if stage else {}
        cost = Cost(images=100, flops=flops, parameters=1000, kept=0)
        records.append(StageRecord(stage, old, old + new, before, after, 10, facts, "", cost))
    return records


def examination(norms: list[float], seed: int) -> Examination:
    n = len(norms)
    counts = np.random.default_rng(seed).integers(1, 9, (n, n))
    return Examination(counts.tolist(), 5.0, [norm + 0.01 * c for c, norm in enumerate(norms)])


def draw(figure: Figure) -> None:
    figure.savefig(io.BytesIO(), format="png")


def heights(line: Line2D) -> NDArray[np.float64]:
    return np.asarray(line.get_ydata(), dtype=np.float64)


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def test_the_rows_of_many_classes_are_answers_and_large_shares_and_the_rest_in_one() -> None:
    chance = np.random.default_rng(0)
    shares = {stage: chance.dirichlet(np.ones(4 * stage)).tolist() for stage in range(1, 7)}
    names = [f"class {c}" for c in range(24)]
    percent, named, answers = leading(shares, names)
    assert [*named][-1] == "14 others"
    assert named[:-1] == sorted(named[:-1], key=names.index)
    assert np.nansum(percent, axis=0) == pytest.approx(100)
    best = [f"class {np.argmax(of_stage)}" for of_stage in shares.values()]
    assert [named[row] for row, _ in answers] == best
    assert [column for _, column in answers] == [*range(6)]
    peaks = [max(row[c] for row in shares.values() if c < len(row)) for c in range(24)]
    rows = {names.index(name) for name in named[:-1] if name not in best}
    others = {c for c in range(24) if names[c] not in named}
    assert max(peaks[c] for c in others) <= min(peaks[c] for c in rows)


def test_an_answer_that_has_no_row_is_among_the_others() -> None:
    shares = {stage: np.eye(30)[2 * stage - 1, : 2 * stage].tolist() for stage in range(1, 16)}
    percent, _, answers = leading(shares, [*map(str, range(30))])
    assert [row for row, _ in answers].count(10) == 5
    assert all(percent[row, column] == 100 for row, column in answers)


@pytest.mark.parametrize(("stages", "classes"), [(1, 2), (3, 6), (10, 20), (30, 90)])
def test_the_answers_of_all_stages_are_drawn_whatever_the_classes_are_called(
    stages: int, classes: int
) -> None:
    each = classes // stages
    shares = {s: [1 / (each * s)] * (each * s) for s in range(1, stages + 1)}
    names = [*NAMES, *(f"a very long name, number {c}" for c in range(6, classes))][:classes]
    figure = answers_by_stage(shares, names, np.zeros((3, 8, 8), np.uint8))
    draw(figure)
    assert len(figure.axes[1].patches) == stages
    labels = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert len(labels) == len({*labels})


def test_the_bars_are_as_high_as_the_prototypes_are_long() -> None:
    last = stage_records(make_records(3))[-1]
    before, after = prototype_norms(make_records(3)).axes
    # matplotlib's `patches` are of any kind; these are bars.
    assert [bar.get_height() for bar in before.patches] == last.before.norms  # type: ignore[attr-defined]
    # As are these.
    assert [bar.get_height() for bar in after.patches] == last.after.norms  # type: ignore[attr-defined]


def test_the_bars_of_old_and_new_classes_have_their_colours() -> None:
    before, _ = prototype_norms(make_records(3)).axes
    colors = [to_hex(bar.get_facecolor()).upper() for bar in before.patches]
    assert colors == [OLD] * 4 + [NEW] * 2


def test_gamma_is_written_above_what_it_has_changed() -> None:
    _, after = prototype_norms(make_records(3)).axes
    assert "γ = 0.55" in after.get_title()


def test_an_earlier_stage_can_be_asked_for() -> None:
    before, _ = prototype_norms(make_records(3), stage=1).axes
    assert len(before.patches) == 4


def test_the_cells_of_the_heat_map_are_the_accuracy_matrix() -> None:
    matrix = accuracy_matrix(make_records(3))
    expected = [f"{value:.1f}" for value in matrix[~np.isnan(matrix)]]
    assert texts(accuracy_matrix_figure(make_records(3))) == expected


def test_the_rows_of_the_confusion_figure_are_percentages() -> None:
    panel = confusion_figure(make_records(3)).axes[0]
    shown = np.asarray(panel.images[0].get_array())
    np.testing.assert_allclose(shown.sum(axis=1), 100)


def test_a_confusion_that_the_end_leaves_alone_is_drawn_once() -> None:
    stage = stage_records(make_records(1))[-1]
    unmoved = StageRecord(0, 0, 2, stage.before, stage.before, 0, {}, "")
    assert len(confusion_figure([unmoved]).axes) == 2  # the matrix and its scale of shades


def test_the_jump_at_a_stages_end_is_drawn() -> None:
    records = make_records(2)
    lines = norms_by_epoch(records).axes[0].lines
    old, new = [heights(line) for line in lines if line.get_linestyle() == ":"][-2:]
    after = stage_records(records)[-1].after.norms
    assert [old[-1], new[-1]] == pytest.approx([np.mean(after[:2]), np.mean(after[2:])])


def test_the_line_of_a_method_is_the_mean_of_its_seeds_in_its_colour() -> None:
    runs = [make_records(3, seed=seed) for seed in (0, 1)]
    thick = accuracy_per_stage({"wa": runs}).axes[0].lines[-1]
    accuracies = [[stage_accuracy(record) for record in stage_records(run)] for run in runs]
    np.testing.assert_allclose(heights(thick), np.mean(accuracies, axis=0))
    assert thick.get_color() == METHOD_COLORS["wa"]


def test_labels_of_lines_that_end_together_do_not_overlap() -> None:
    figure = accuracy_per_stage({method: [make_records(3)] for method in METHOD_COLORS})
    draw(figure)
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]  # without its line
    assert len(boxes) == len(METHOD_COLORS)
    assert not any(a.y0 < b.y1 and b.y0 < a.y1 for a, b in combinations(boxes, 2))


def costs_of(runs: Runs) -> list[tuple[float, float]]:
    """Return where the marks of methods are in the figure of their costs."""
    marks = [line for line in accuracy_over_cost(runs).axes[0].lines if line.get_marker() == "o"]
    return [(float(np.ravel(m.get_xdata())[0]), heights(m)[0]) for m in marks]


def test_a_methods_mark_is_its_mean_cost_and_its_mean_last_accuracy() -> None:
    runs = {"wa": [make_records(3, seed=seed, flops=2e9) for seed in (0, 1)]}
    last = [stage_accuracy(stage_records(run)[-1]) for run in runs["wa"]]
    assert costs_of(runs) == [(pytest.approx(3 * 2), pytest.approx(np.mean(last)))]


def test_the_interval_of_a_mark_is_the_sample_deviation_to_both_sides() -> None:
    runs = [make_records(3, seed=seed) for seed in (0, 1, 2)]
    last = [stage_accuracy(stage_records(run)[-1]) for run in runs]
    [whiskers] = accuracy_over_cost({"wa": runs}).axes[0].collections
    [ends] = [path.vertices[:, 1] for path in whiskers.get_paths()]
    centre, deviation = np.mean(last), np.std(last, ddof=1)
    assert ends == pytest.approx([centre - deviation, centre + deviation])


@pytest.mark.parametrize(("most", "scale"), [(9e9, "linear"), (11e9, "log")])
def test_costs_more_than_tenfold_apart_are_drawn_as_logarithms(most: float, scale: str) -> None:
    runs = {"wa": [make_records(3, flops=1e9)], "joint": [make_records(3, flops=most)]}
    assert accuracy_over_cost(runs).axes[0].get_xscale() == scale


@pytest.mark.parametrize("run", [make_records(2), make_records(3, flops=np.nan), []])
def test_a_run_that_is_not_whole_or_does_not_tell_its_cost_has_no_mark_and_is_named(
    run: list[Record],
) -> None:
    runs = {"wa": [make_records(3)], "joint": [run]}
    assert len(costs_of(runs)) == 1
    said = accuracy_over_cost(runs).axes[0].get_xlabel()
    assert said.endswith("not drawn, for no whole run tells its cost: joint")


@pytest.mark.parametrize("step", [1.0, 1.02, 1.3])
def test_labels_of_costs_hide_no_mark_and_no_other_label(step: float) -> None:
    runs = {
        method: [make_records(3, flops=1e9 * step**place)]
        for place, method in enumerate(METHOD_COLORS)
    }
    figure = accuracy_over_cost(runs)
    draw(figure)
    [ax] = figure.axes
    labels = [Text.get_window_extent(text) for text in ax.texts]
    marks = [line.get_window_extent() for line in ax.lines if line.get_marker() == "o"]
    assert (len(labels), len(marks)) == (len(METHOD_COLORS), len(METHOD_COLORS))
    assert not any(one.overlaps(other) for one, other in combinations(labels, 2))
    assert not any(label.overlaps(mark) for label in labels for mark in marks)
    assert all(ax.bbox.count_contains(label.corners()) == 4 for label in labels)


def test_the_live_figures_numbers_of_epochs_do_not_touch_in_a_long_run() -> None:
    run, epoch, *_ = make_records(1)
    figure = live_figure([run, *[epoch] * 150])
    draw(figure)
    ticks = [tick.get_window_extent() for tick in figure.axes[2].get_xticklabels()]
    assert all(a.x1 + 4 < b.x0 for a, b in pairwise(ticks))


ALL = FIGURES | {
    "accuracy": lambda records: accuracy_per_stage({"wa": [records]}),
    "cost": lambda records: accuracy_over_cost({"wa": [records]}),
    "live": live_figure,
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("n_stages", [0, 1, 3])
def test_every_figure_can_be_drawn_after_any_stage(name: str, n_stages: int) -> None:
    draw(ALL[name](make_records(n_stages)))


@pytest.mark.parametrize("name", ALL)
def test_every_figure_can_be_drawn_in_the_middle_of_a_stage(name: str) -> None:
    draw(ALL[name](make_records(2)[:-1]))


@pytest.mark.parametrize("name", ALL)
def test_every_figure_has_room_for_a_hundred_classes(name: str) -> None:
    draw(ALL[name](make_records(10, per_stage=10, names=[f"class {c}" for c in range(100)])))


@pytest.mark.parametrize("name", ALL)
def test_a_figure_of_nothing_says_so(name: str) -> None:
    assert any("yet" in text for text in texts(ALL[name]([])))


def test_no_figure_leaks_into_pyplot() -> None:
    for figure in ALL.values():
        figure(make_records(3))
    assert plt.get_fignums() == []


def test_a_notebook_can_show_a_figure() -> None:
    # IPython looks for this method, of which matplotlib's type knows nothing.
    png, size = live_figure(make_records(1))._repr_png_()  # type: ignore[attr-defined]
    assert plt.imread(io.BytesIO(png)).shape[:2] == (2 * size["height"], 2 * size["width"])


class Screen:
    """Stands for the notebook's output: counts what it is told to show."""

    def __init__(self) -> None:
        self.shown: list[Figure] = []

    def display(self, figure: Figure, display_id: bool) -> "Screen":
        self.update(figure)
        return self

    def update(self, figure: Figure) -> None:
        self.shown.append(figure)


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    """A notebook, whether IPython is installed or not."""
    screen = Screen()
    monkeypatch.setattr(live, "in_notebook", lambda: True)
    monkeypatch.setitem(sys.modules, "IPython.display", screen)
    return screen


def test_between_stages_the_plot_is_redrawn_at_most_once_a_second(screen: Screen) -> None:
    now = 0.0
    plot = LivePlot(draw=lambda records: Figure(), clock=lambda: now)
    epoch = make_records(1)[1]
    for tenth in range(26):
        now = tenth / 10
        plot(epoch)
    assert len(screen.shown) == 3  # at 0, 1 and 2 seconds


def test_a_slow_drawing_leaves_most_of_the_time_to_the_training(screen: Screen) -> None:
    now = 0.0

    def draw_slowly(records: Sequence[Record]) -> Figure:
        nonlocal now
        now += 2
        return Figure()

    plot = LivePlot(draw=draw_slowly, clock=lambda: now)
    for _ in range(100):
        plot(make_records(1)[1])
        now += 0.5
    assert 2 * len(screen.shown) <= 0.25 * now


def test_every_stage_is_drawn_and_the_last_one_remains(screen: Screen) -> None:
    plot = LivePlot(draw=lambda records: Figure(label=str(len(records))), clock=lambda: 0.0)
    for record in make_records(3):
        plot(record)
    assert [figure.get_label() for figure in screen.shown] == ["1", "4", "7", "10"]
    assert screen.shown[-1] is plot.figure


def test_outside_a_notebook_only_finished_stages_are_drawn() -> None:
    drawn = []

    def draw_nothing(records: Sequence[Record]) -> Figure:
        drawn.append(records[-1])
        return Figure()

    plot = LivePlot(draw=draw_nothing)
    for record in make_records(2):
        plot(record)
    assert drawn == stage_records(make_records(2))


def test_a_new_run_starts_with_no_records() -> None:
    plot = LivePlot(draw=lambda records: Figure())
    for record in make_records(2) + make_records(1):
        plot(record)
    assert plot.records == make_records(1)
