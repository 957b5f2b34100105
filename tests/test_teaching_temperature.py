"""The figures of temperatures show softmax(logits / T), its entropy, and the gradient's length."""

import math
import re

import numpy as np
import pytest
import torch

from cilkit.teaching.chapters.temperature import pulls_by_temperature, teacher_by_temperature

TAUGHT = torch.tensor([[3.0, 1.0, 0.0], [0.5, 0.0, 2.0]])
MINE = torch.tensor([[0.0, 1.0, 0.0], [0.5, 0.0, 2.0]])


@pytest.fixture(scope="module")
def figure():
    images = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
    return teacher_by_temperature(images, TAUGHT, MINE, ("one", "other"), "abc")


def numbers(words: str) -> list[float]:
    return [float(number) for number in re.findall(r"\d+\.\d+", words)]


@pytest.mark.parametrize("T", [0.5, 1.0, 4.0])
def test_it_says_the_two_likeliest_classes_of_teacher_and_student(figure, T) -> None:
    shown = numbers(figure.draw(image=0, T=T).says)[1:5]
    wanted = [100 * (each[0] / T).softmax(0).topk(2).values for each in (TAUGHT, MINE)]
    assert shown == pytest.approx(torch.cat(wanted).tolist(), abs=0.06)


def test_the_entropy_of_equal_logits_is_that_of_a_guess() -> None:
    images, equal = torch.zeros(1, 1, 8, 8, dtype=torch.uint8), torch.ones(1, 4)
    figure = teacher_by_temperature(images, equal, equal, ("one",), "abcd")
    assert f"Entropy {math.log(4):.2f} of {math.log(4):.2f}" in figure.draw(image=0, T=2.0).says


@pytest.mark.parametrize("T", [0.5, 2.0, 8.0])
def test_the_pull_is_the_length_that_is_derived_by_hand(T) -> None:
    q, p = (
        np.exp(logits / T) / np.exp(logits / T).sum(1, keepdims=True)
        for logits in (MINE.numpy(), TAUGHT.numpy())
    )
    length = np.linalg.norm((q - p) / T, axis=1).mean()
    _, plain, squared = numbers(pulls_by_temperature(MINE, TAUGHT).draw(T=T).says)
    assert [plain, squared] == pytest.approx([length, T**2 * length], abs=3e-4)
