"""What a figure that computes is made of, and what its pictures say: with no browser."""

import json
import re

import numpy as np
import pytest
import torch

from cilkit.teaching import accuracy_by_gamma, prototypes_in_the_plane
from cilkit.teaching.alive import Alive, Panel, Shown, packed, slider, unpacked
from cilkit.teaching.chapters.nearest import cost_of_herding, nearest_mean_by_budget


def figure(says: str = "x is 2") -> Alive:
    controls = [slider("x", "x", 1, 4, 2, power=True)]

    def draw(x: float) -> Shown:
        return Shown([f"<circle r='{x}'/>"], says)

    return Alive("gamma", "a < b", "d", {"x": "</script>"}, controls, draw, [Panel(10, 10)])


@pytest.mark.parametrize("wide", [True, False])
def test_packed_numbers_come_back_within_half_a_level(wide: bool) -> None:
    values = np.random.default_rng(0).normal(size=50)
    data = packed(values, wide=wide)
    assert np.abs(unpacked(data) - values).max() <= data["scale"] / 2 * (1 + 1e-9)


def test_the_picture_at_the_start_and_a_sentence_stand_there_without_a_script() -> None:
    before_scripts = figure()._repr_html_().split("<script")[0]
    assert "<circle r='2'/>" in before_scripts
    assert "x is 2" in before_scripts
    assert "Where no script runs" in before_scripts


def test_neither_title_nor_data_can_end_the_script() -> None:
    html = figure()._repr_html_()
    assert html.count("</script>") == 2
    assert "a &lt; b" in html


def test_a_slider_of_powers_holds_the_logarithm() -> None:
    html = slider("T", "T", 0.25, 16, 2, step=0.05, power=True).html
    assert re.findall(r'(?:min|max|value)="([^"]+)"', html) == ["-2", "4", "1"]


def test_a_figure_reads_as_text_in_a_terminal() -> None:
    assert repr(figure()) == "a < b\nx is 2"


def test_a_figures_data_are_a_few_kilobytes() -> None:
    logits, labels = torch.randn(450, 10), torch.arange(450) % 10
    shown = accuracy_by_gamma(logits, labels, 8, 0.7, "0123456789")
    assert len(json.dumps(dict(shown.data))) < 16_000


def test_γ_of_one_leaves_the_networks_answers_and_a_large_one_says_new() -> None:
    logits = torch.tensor([[2.0, 1.0], [1.0, 1.5]])
    shown = accuracy_by_gamma(logits, torch.tensor([0, 1]), 1, 0.5, "ab")
    assert "old 100.0 %, new 100.0 %, all 100.0 %" in shown.draw(gamma=1.0).says
    assert "old 0.0 %, new 100.0 %, all 50.0 %" in shown.draw(gamma=2.01).says


def test_where_the_sum_is_negative_a_longer_prototype_loses_by_more() -> None:
    plane = prototypes_in_the_plane()
    state = plane.start() | {"new_angle": 170, "image_angle": 0}
    short, long = (plane.draw(**state | {"new_length": length}).says for length in (0.5, 1.5))
    sums = [float(re.findall(r"new (-\d\.\d\d)", says)[0]) for says in (short, long)]
    assert sums[1] < sums[0] < 0
    assert "a longer new prototype loses by more" in short


def test_all_images_as_exemplars_are_as_good_as_their_mean() -> None:
    seen = torch.eye(2).repeat_interleave(5, 0)
    labels = torch.arange(2).repeat_interleave(5)
    shown = nearest_mean_by_budget(seen, labels, torch.eye(2), torch.arange(2), "ab")
    says = shown.draw(budget=5, way="herding", draw=1).says
    assert "by herding: 100.0 %" in says
    assert "all images 100.0 %" in says


def test_the_cost_is_that_of_the_formula() -> None:
    assert cost_of_herding().draw(n=12, m=4).says == "4 of 12: herding 42 distances, all sets 495"
