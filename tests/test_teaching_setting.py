"""The figures of the setting show what each stage has, and no more."""

import re

import pytest
import torch

from cilkit import Config, DataSet, build_scenario
from cilkit.teaching.setting import first_of_each, images_at_hand, questions_by_stage


@pytest.fixture(scope="module")
def scenario():
    """Six classes of two images, each a shade of its own, in three stages."""
    labels = torch.arange(6).repeat_interleave(2)
    images = (40 * labels)[:, None, None, None].expand(-1, 1, 4, 4).byte()
    return build_scenario(DataSet.of(images, labels, images, labels), Config(class_order=7))


def test_one_image_stands_for_each_class_in_the_order_of_arrival(scenario):
    chosen = first_of_each(scenario.stages[-1].test)
    assert chosen.labels.tolist() == list(range(6))
    assert (chosen.images()[:, 0, 0, 0] / 40).tolist() == list(scenario.class_order)


def test_a_stage_trains_on_its_own_classes_and_is_tested_on_all_it_has_seen(scenario):
    frames = images_at_hand(scenario).frames
    for number, frame in enumerate(frames):
        old, new = (frame.marks.count(f'class="{name}"') for name in ("old", "new"))
        assert (old, new) == (2 * number, 4)  # tested; trained on and tested
        assert frame.marks.count("faint") == 12 - old - new
        assert frame.marks.count("<image") == 12


def test_the_text_names_the_classes(scenario):
    a, b, c, d, *_ = scenario.class_names
    says = images_at_hand(scenario).frames[1].says
    assert says == f"train on {c}, {d}; be tested on {a}, {b}, {c}, {d}"


def test_a_bar_is_as_high_as_the_share_of_right_answers():
    figure = questions_by_stage([[100, 0], [50, 25]], ["a", "b"])
    foot, half = re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", figure.frames[1].marks)[0]
    _, full = re.findall(r"M[\d.]+ ([\d.]+)V([\d.]+)", figure.frames[0].marks)[0]
    assert float(foot) - float(half) == pytest.approx((float(foot) - float(full)) / 2)
    assert figure.frames[1].says == "a 50.0 %, b 25.0 %"
