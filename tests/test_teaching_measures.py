"""Each metric's weights give the metric; the diagram's bins are those of the calibration error."""

import re

import numpy as np
import pytest
import torch

from cilkit import metrics
from cilkit.teaching.chapters.measures import (
    MEASURES,
    Reliability,
    measure_by_measure,
    reliability_by_temperature,
)

BY_NAME = {measure.name: measure for measure in MEASURES}
SIZES = np.array([50.0, 10, 20, 5])


def some_matrix(seed: int) -> metrics.Matrix:
    matrix = np.random.default_rng(seed).uniform(0, 100, (4, 4))
    matrix[np.triu_indices(4, 1)] = np.nan
    return matrix


def value(name: str, matrix: metrics.Matrix, sizes: np.ndarray = SIZES) -> float:
    return BY_NAME[name].value(matrix, sizes)


@pytest.mark.parametrize("seed", range(5))
def test_the_weights_give_what_the_package_computes(seed: int) -> None:
    matrix = some_matrix(seed)
    rows = [np.average(matrix[i, : i + 1], weights=SIZES[: i + 1]) for i in range(4)]
    assert value("last accuracy", matrix) == pytest.approx(rows[-1])
    assert value("average incremental accuracy", matrix) == pytest.approx(
        metrics.average_incremental_accuracy(rows)
    )
    assert value("the same without the first stage", matrix) == pytest.approx(
        metrics.average_incremental_accuracy(rows, with_first=False)
    )
    assert value("forgetting (Chaudhry)", matrix) == pytest.approx(metrics.forgetting(matrix))
    assert value("backward transfer (GEM)", matrix) == pytest.approx(
        metrics.backward_transfer(matrix)
    )


def test_the_other_definitions_give_what_a_hand_computes() -> None:
    nan = np.nan
    matrix, sizes = np.array([[100, nan, nan], [50, 100, nan], [20, 40, 100]]), np.ones(3)
    assert value("backward transfer (all rows)", matrix, sizes) == pytest.approx(-190 / 3)
    assert value("forgetting (Avalanche)", matrix, sizes) == pytest.approx(70)
    assert value("forgetting (PyCIL)", matrix, sizes) == pytest.approx(70)
    assert value("accuracy on the newest classes", matrix, sizes) == pytest.approx(100)
    assert value("last row, stages alike", matrix, sizes) == pytest.approx(160 / 3)
    assert np.isnan(value("forward transfer", matrix, sizes))


def test_a_rise_at_the_end_is_no_forgetting_only_where_the_last_row_is_left_out() -> None:
    matrix = np.array([[60.0, np.nan], [80.0, 90.0]])
    assert value("forgetting (Chaudhry)", matrix, np.ones(2)) == pytest.approx(-20)
    assert value("forgetting (PyCIL)", matrix, np.ones(2)) == pytest.approx(0)


def test_the_figure_says_each_metric_and_marks_the_cells_of_the_chosen_one() -> None:
    matrix = some_matrix(0).round(1)
    figure = measure_by_measure(matrix, SIZES.astype(int).tolist())
    shown = figure.draw(**figure.start() | {"metric": "5"})
    assert list(shown.texts) == list(BY_NAME)
    assert shown.texts["forgetting (Chaudhry)"] == f"{metrics.forgetting(matrix):.1f} %"
    minus = [key for key, look in shown.looks.items() if look == "minus"]
    assert minus == ["r3_0", "r3_1", "r3_2"]  # the last row's earlier stages


def test_a_cell_that_is_edited_changes_the_metrics_that_look_at_it() -> None:
    figure = measure_by_measure(some_matrix(0), SIZES.astype(int).tolist())
    before, after = (
        figure.draw(**figure.start() | changes).texts for changes in ({}, {"r3_3": 0.0})
    )
    changed = {name for name in before if before[name] != after[name]}
    assert "last accuracy" in changed
    assert "forgetting (Chaudhry)" not in changed


def test_the_bins_give_the_expected_calibration_error() -> None:
    torch.manual_seed(0)
    logits, labels = 2 * torch.randn(500, 6), torch.randint(0, 6, (500,))
    found = Reliability.of(logits, labels)
    gaps = found.images / found.images.sum() * abs(found.accuracy - found.confidence)
    assert found.images.sum() == 500
    assert found.error == pytest.approx(gaps.sum(), abs=1e-3)


def test_the_bins_hold_their_upper_edge_as_those_of_the_calibration_error_do() -> None:
    logits = torch.tensor([[0.0, -200.0], [0.0, 0.0]]).repeat(5, 1)  # sure to 1, and to 1/2
    found = Reliability.of(logits, torch.zeros(10).long(), bins=2)
    assert found.images.tolist() == [5.0, 5.0]
    assert found.confidence.tolist() == [50.0, 100.0]


def test_temperature_changes_how_sure_and_not_how_right() -> None:
    torch.manual_seed(0)
    logits, labels = 2 * torch.randn(200, 4), torch.randint(0, 4, (200,))
    figure = reliability_by_temperature(logits, labels, 2)
    says = [figure.draw(T=T, bins=10, groups="two").says for T in (0.5, 1, 2)]
    right = [re.findall(r"(\d+) % right", words) for words in says]
    assert right[0] == right[1] == right[2]
    assert len({re.findall(r"(\d+) % sure", words)[0] for words in says}) == 3
