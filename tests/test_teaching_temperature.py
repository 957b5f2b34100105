"""The figure of temperatures shows softmax(logits / T)."""

import re

import pytest
import torch

from cilkit.teaching.chapters.temperature import teacher_by_temperature

LOGITS = torch.tensor([[3.0, 1.0, 0.0], [0.5, 0.0, 2.0]])
TEMPERATURES = (0.5, 1.0, 4.0)


@pytest.fixture(scope="module")
def figure():
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    return teacher_by_temperature(images, LOGITS, ("old", "new"), "abc", TEMPERATURES)


def test_each_frame_reads_the_two_likeliest_classes_of_each_image(figure) -> None:
    for frame, temperature in zip(figure.frames, TEMPERATURES, strict=True):
        shown = [float(number) for number in re.findall(r"with ([\d.]+) %", frame.says)]
        wanted = 100 * (LOGITS / temperature).softmax(1).topk(2).values.flatten()
        assert shown == pytest.approx(wanted.tolist(), abs=0.051)
        assert re.findall(r"(\w) with", frame.says) == ["a", "b", "c", "a"]
        assert frame.at == f"T = {temperature:g}"


def test_bars_are_as_high_as_the_probabilities(figure) -> None:
    marks = figure.frames[1].marks
    heights = [float(foot) - float(head) for foot, head in re.findall(r"M\S+ (\S+)V(\S+)H", marks)]
    full = 300 - 44 - 64  # the plot's, in pixels
    wanted = full * LOGITS.softmax(1).flatten()
    assert heights == pytest.approx(wanted.tolist(), abs=0.2)
