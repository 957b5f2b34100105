"""What the book shows: moving figures, the playground, sliders, included code, stored results."""

import inspect
import json
import re
import sys
from dataclasses import astuple
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import cilkit
from cilkit import herd
from cilkit.metrics import stage_accuracy
from cilkit.runs.records import stage_records
from cilkit.teaching import (
    Frame,
    Moving,
    Plot,
    Table,
    explore,
    heat,
    herding_playground,
    matrix_by_stage,
    norms_by_epoch,
    source,
    stored,
)
from cilkit.teaching.chapters.playground import if_next
from cilkit.teaching.svg import ticks

FRAMES = [Frame("one", "says 1", "<circle r='1'/>"), Frame("two", "</script> & more", "<g/>")]


def moving(**changes: Any) -> Moving:
    return Moving(
        **({"title": "a < b", "describe": "d", "slider": "s", "frames": FRAMES} | changes)
    )


def data_of(html: str) -> list[list[str]]:
    found = re.search(r'<script type="application/json">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])


def test_the_page_holds_every_frame_as_it_was_given() -> None:
    assert data_of(moving()._repr_html_()) == [list(astuple(frame)) for frame in FRAMES]


def test_the_page_knows_which_frames_are_a_group_and_which_steps_have_a_name() -> None:
    frames = [*FRAMES, Frame("three", "says 3", "<g/>", "second", "align")]
    packed = data_of(moving(frames=frames, groups="half")._repr_html_())
    assert [frame[3:] for frame in packed] == [["", ""], ["", ""], ["second", "align"]]


def test_what_a_frame_says_cannot_end_the_script() -> None:
    assert moving()._repr_html_().count("</script>") == 2


def test_the_picture_for_paper_is_drawn_without_the_script() -> None:
    before_scripts = moving(printed=1)._repr_html_().split("<script")[0]
    assert "<g/>" in before_scripts
    assert "two: &lt;/script&gt; &amp; more" in before_scripts


def test_a_film_says_that_it_was_recorded() -> None:
    assert "<small>recorded</small>" in moving()._repr_html_()


def test_titles_are_escaped() -> None:
    assert "<figcaption>a &lt; b " in moving()._repr_html_()


def test_a_figure_is_the_same_each_time_it_is_drawn() -> None:
    assert moving()._repr_html_() == moving()._repr_html_()


def test_a_figure_reads_as_text_in_a_terminal() -> None:
    assert repr(moving()).splitlines() == ["a < b", "one: says 1", "two: </script> & more"]


def test_a_plot_puts_its_corners_inside_its_margins() -> None:
    plot = Plot((0, 10), (0, 100))
    assert plot.at(0, 0) == (plot.left, plot.height - plot.bottom)
    assert plot.at(10, 100) == (plot.width - plot.right, plot.top)


def test_a_bar_is_as_high_as_its_value() -> None:
    plot = Plot((-1, 1), (0, 100))
    [path] = re.findall(r'd="M(\S+) (\S+)V(\S+)H(\S+)V', plot.bars([50], ["old"]))
    foot, head = float(path[1]), float(path[2])
    assert foot - head == pytest.approx((plot.height - plot.top - plot.bottom) / 2)


def test_a_name_stands_at_the_height_at_which_its_line_ends() -> None:
    plot = Plot((0, 10), (0, 100))
    wanted = [plot.at(10, end)[1] + 4 for end in (20, 80)]
    heights = re.findall(r' y="(\S+?)"', plot.names(10, {"low": 20, "high": 80}))
    assert [float(height) for height in heights] == pytest.approx(wanted, abs=0.1)


def test_names_of_lines_that_end_together_leave_each_other_a_line_of_letters() -> None:
    plot = Plot((0, 10), (0, 100))
    heights = re.findall(r' y="(\S+?)"', plot.names(10, dict.fromkeys("abc", 50)))
    a, b, c = sorted(float(height) for height in heights)
    assert min(b - a, c - b) >= 18.9


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 100), (0.3, 1.3), (-2, 7), (0, 0.02)])
def test_ticks_are_few_and_inside(low: float, high: float) -> None:
    assert 3 <= len(ticks(low, high)) <= 9
    assert all(low - 1e-9 <= tick <= high + 1e-9 for tick in ticks(low, high))


def test_an_empty_cell_of_a_heat_table_shows_no_number() -> None:
    drawn = heat([[50.0, np.nan]], ["row"], ["a", "b"])
    assert "50.0" in drawn
    assert "nan" not in drawn


def test_norms_by_epoch_shows_each_epoch_and_each_end_of_a_stage() -> None:
    records = stored("digits")["wa"][0]
    moments = [r for r in records if r.kind in ("epoch", "stage")]
    figure = norms_by_epoch(records)
    assert len(figure.frames) == len(moments)
    # The last record is a stage's, which alone has facts.
    assert f"γ = {moments[-1].facts['gamma']:.2f}" in figure.frames[-1].says  # type: ignore[union-attr]


def test_alignment_is_a_step_with_a_name_at_the_end_of_each_stage_but_the_first() -> None:
    frames = norms_by_epoch(stored("digits")["wa"][0]).frames
    assert [f.at for f in frames if f.step == "align"] == [
        f"stage {n}, aligned" for n in range(2, 6)
    ]
    assert [f.group for f in frames if f.step == "align"] == [f"stage {n}" for n in range(2, 6)]


def test_the_matrix_says_the_accuracy_of_each_stage() -> None:
    records = stored("digits")["replay"][1]
    said = [frame.says for frame in matrix_by_stage(records).frames]
    for words, stage in zip(said, stage_records(records), strict=True):
        assert f"{stage_accuracy(stage):.1f} %" in words


def test_with_a_guess_the_matrix_asks_for_what_its_last_frame_says() -> None:
    figure = matrix_by_stage(stored("digits")["replay"][1], guess=True)
    assert figure.frames[-1].says.endswith(f" {figure.guess.answer:.1f} %")  # type: ignore[union-attr]


LABEL = r'<text x="(\S+)" y="(\S+)" text-anchor="middle"[^>]*>\.'
POINTS = np.random.default_rng(0).random((15, 2))


@pytest.mark.parametrize("budget", [1, 4, 15])
def test_the_playgrounds_distance_is_that_of_the_herd(budget: int) -> None:
    import torch

    rounded = POINTS.round(3)
    chosen = herd(torch.from_numpy(rounded), budget)
    far = np.linalg.norm(rounded[chosen.numpy()].mean(0) - rounded.mean(0))
    playground = herding_playground(POINTS, budget)
    assert f"is {far:.3f} from the mean" in playground.draw(**playground.start()).says


@pytest.mark.parametrize("budget", [1, 4, 14])
def test_the_free_point_that_leaves_least_is_the_one_that_herding_takes_next(budget: int) -> None:
    import torch

    rounded = POINTS.round(3)
    *kept, taken = herd(torch.from_numpy(rounded), budget + 1).tolist()
    left = if_next(rounded, kept)
    assert min(left, key=left.__getitem__) == taken
    far = np.linalg.norm(rounded[[*kept, taken]].mean(0) - rounded.mean(0))
    assert left[taken] == pytest.approx(far)


def test_no_label_of_the_playground_lies_on_a_point_or_another_label() -> None:
    """Labels are 20 wide and 12 high, points 18 across."""
    playground = herding_playground(POINTS, 2)
    [marks] = playground.draw(**playground.start()).marks
    spots = [(float(x), float(y) - 4) for x, y in re.findall(LABEL, marks)]
    points = 340 * POINTS.round(3)
    assert len(spots) > 8
    for i, (x, y) in enumerate(spots):
        assert all(abs(x - u) >= 19 or abs(y - v) >= 15 for u, v in points)
        assert all(abs(x - u) >= 20 or abs(y - v) >= 12 for u, v in spots[:i])


def test_source_shows_the_code_itself_and_where_it_is() -> None:
    shown = source(herd)
    assert repr(shown) == inspect.getsource(herd).rstrip()
    path, first, last = re.findall(r"main/(\S+)#L(\d+)-L(\d+)", shown._repr_markdown_())[0]
    lines = (Path(cilkit.__file__).parents[1] / path).read_text(encoding="utf-8").splitlines()
    assert "\n".join(lines[int(first) - 1 : int(last)]) == repr(shown)


FROM_GIT = {"url": "https://github.com/a/b.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
FROM_A_FOLDER = {"url": "file:///home/a/b", "dir_info": {"editable": True}}


@pytest.mark.parametrize(
    ("published", "origin", "place"),
    [
        ("https://github.com/c/d/blob/123", FROM_GIT, "https://github.com/c/d/blob/123"),
        ("", FROM_GIT, "https://github.com/a/b/blob/abc"),
        ("", FROM_A_FOLDER, "https://github.com/e/f/blob/main"),
        ("", {}, "https://github.com/e/f/blob/main"),
    ],
    ids=["on a published page", "installed from git, as in Colab", "from a folder", "from a wheel"],
)
def test_a_link_leads_to_the_code_that_runs(
    published: str, origin: dict[str, Any], place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = SimpleNamespace(
        read_text=lambda name: json.dumps(origin) if origin else None,
        metadata=SimpleNamespace(get_all=lambda name: ["Source, https://github.com/e/f"]),
    )
    module = sys.modules["cilkit.teaching.source"]  # the name is the function's, too
    monkeypatch.setattr(module, "distribution", lambda name: package)
    monkeypatch.setenv("COURSE_CODE", published)
    assert source(herd).url.split("/cilkit/functional.py#L")[0] == place


def test_without_a_kernel_a_slider_is_drawn_at_its_first_value() -> None:
    assert explore(
        lambda budget, rate: (budget, rate), budget=(1, 9, 1, 3), rate=(0, 1, 0.1, 0.5)
    ) == (
        3,
        0.5,
    )


def test_a_table_reads_the_same_on_a_page_and_in_a_terminal() -> None:
    table = Table(["recipe", "γ"], [["a < b", "0.80"], ["longer name", "1.12"]])
    assert "<tr><td>a &lt; b</td><td>0.80</td></tr>" in table._repr_html_()
    assert repr(table).splitlines() == ["recipe       γ", "a < b        0.80", "longer name  1.12"]
