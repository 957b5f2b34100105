"""The numbers of a run, against sums by hand; all are percent."""

from collections.abc import Callable
from math import isnan, nan

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from cilkit.metrics import (
    Matrix,
    Predictions,
    accuracy,
    accuracy_matrix,
    average_incremental_accuracy,
    backward_transfer,
    calibration_error,
    confusion_matrix,
    forgetting,
    new_class_share,
    old_and_new_accuracy,
    reliability,
    stage_accuracy,
    summary,
)
from cilkit.progress import Means
from cilkit.runs.records import EpochRecord, Examination, Record, StageRecord

Rows = list[list[int]]

# The toy example of the literature study: three stages of one class, ten test images each.
TOY_CONFUSIONS: list[Rows] = [
    [[10]],
    [[5, 5], [0, 10]],
    [[2, 1, 7], [3, 4, 3], [0, 0, 10]],
]
TOY = np.array([[100, nan, nan], [50, 100, nan], [20, 40, 100]])


def stage_record(
    stage: int, n_old: int, n_seen: int, confusion: Rows, before: Rows | None = None
) -> StageRecord:
    first, second = (
        Examination(rows, 0.0, [1.0] * n_seen) for rows in (before or confusion, confusion)
    )
    return StageRecord(stage, n_old, n_seen, first, second, 0, {}, fingerprint="")


def toy_records() -> list[Record]:
    return [stage_record(i, i, i + 1, rows) for i, rows in enumerate(TOY_CONFUSIONS)]


def predictions(labels: list[int], predicted: list[int], confidence: list[float]) -> Predictions:
    return Predictions(torch.tensor(labels), torch.tensor(predicted), torch.tensor(confidence))


# From the matrix R


def test_the_matrix_of_the_toy_example_is_the_published_one() -> None:
    np.testing.assert_allclose(accuracy_matrix(toy_records()), TOY)


def test_forgetting_of_the_toy_example_is_seventy() -> None:
    assert forgetting(TOY) == pytest.approx(70)


def test_backward_transfer_of_the_toy_example_is_minus_seventy() -> None:
    assert backward_transfer(TOY) == pytest.approx(-70)


def test_forgetting_after_two_stages_is_what_the_first_one_lost() -> None:
    assert forgetting(TOY[:2, :2]) == pytest.approx(50)


def test_forgetting_is_counted_from_the_best_accuracy_not_the_first() -> None:
    matrix = np.array([[60, nan, nan], [90, 80, nan], [50, 70, 100]])
    assert forgetting(matrix) == pytest.approx(((90 - 50) + (80 - 70)) / 2)


def test_backward_transfer_is_counted_from_the_first_accuracy_not_the_best() -> None:
    matrix = np.array([[60, nan, nan], [90, 80, nan], [50, 70, 100]])
    assert backward_transfer(matrix) == pytest.approx(((50 - 60) + (70 - 80)) / 2)


def test_forgetting_is_negative_where_the_last_stage_raised_what_was_known() -> None:
    assert forgetting(np.array([[60, nan], [75, 100]])) == pytest.approx(-15)


@pytest.mark.parametrize("metric", [forgetting, backward_transfer])
@pytest.mark.parametrize("stages", [0, 1])
def test_without_a_second_stage_nothing_can_be_forgotten(
    metric: Callable[[Matrix], float], stages: int
) -> None:
    assert isnan(metric(TOY[:stages, :stages]))


def test_a_matrix_of_unequal_stages_weighs_each_class_alike() -> None:
    """A first stage of two classes, of which one is right in 9 of 10, the other in 3 of 10."""
    rows = [[9, 1], [7, 3]]
    assert accuracy_matrix([stage_record(0, 0, 2, rows)])[0, 0] == pytest.approx(60)


def test_the_matrix_holds_the_result_after_the_stages_end() -> None:
    record = stage_record(0, 0, 1, [[10]], before=[[0]])
    assert accuracy_matrix([record])[0, 0] == pytest.approx(100)


# Averages


def test_the_average_counts_the_first_stage_by_default() -> None:
    assert average_incremental_accuracy([100, 75, 50]) == pytest.approx(75)


def test_the_average_can_leave_the_first_stage_out() -> None:
    assert average_incremental_accuracy([100, 75, 50], with_first=False) == pytest.approx(62.5)


def test_an_average_over_no_stage_is_not_a_number() -> None:
    assert isnan(average_incremental_accuracy([100], with_first=False))


# Accuracy


def test_accuracy_after_fifty_classes_and_ten_weighs_each_class_alike() -> None:
    """80 % of each of 50 old classes and 20 % of each of 10 new ones: not the mean of the two."""
    hits = np.array([8] * 50 + [2] * 10)
    counts = np.diag(hits)
    counts[:, 0] += 10 - hits
    counts[0, 0], counts[0, 1] = 8, 2
    record = stage_record(1, 50, 60, counts.tolist())
    assert stage_accuracy(record) == pytest.approx((50 * 80 + 10 * 20) / 60)


def test_accuracy_is_the_mean_over_classes_of_unequal_test_sets() -> None:
    assert accuracy([[90, 10], [1, 1]]) == pytest.approx((90 + 50) / 2)


def test_accuracy_over_some_classes_still_lets_all_classes_compete() -> None:
    confusion = [[6, 0, 4], [0, 8, 2], [0, 0, 10]]
    assert accuracy(confusion, slice(0, 2)) == pytest.approx((60 + 80) / 2)


def test_classes_without_test_images_do_not_count() -> None:
    assert accuracy([[3, 1], [0, 0]]) == pytest.approx(75)


def test_accuracy_on_no_image_is_not_a_number() -> None:
    assert isnan(accuracy([[0, 0], [0, 0]]))


def test_old_and_new_accuracy_are_those_of_old_and_of_new_classes() -> None:
    old, new = old_and_new_accuracy(stage_record(1, 2, 3, [[6, 0, 4], [0, 8, 2], [0, 1, 9]]))
    assert (old, new) == pytest.approx((70, 90))


def test_the_first_stage_has_no_old_accuracy() -> None:
    old, new = old_and_new_accuracy(stage_record(0, 0, 2, [[9, 1], [1, 9]]))
    assert isnan(old) and new == pytest.approx(90)


def test_the_new_classes_share_counts_what_was_predicted_not_what_was_true() -> None:
    share = new_class_share(stage_record(1, 2, 3, [[6, 0, 4], [0, 8, 2], [0, 1, 9]]))
    assert share == pytest.approx(100 * (4 + 2 + 9) / 30)


def test_in_the_first_stage_every_prediction_is_a_new_class() -> None:
    assert new_class_share(stage_record(0, 0, 2, [[9, 1], [1, 9]])) == pytest.approx(100)


# Confusion and calibration


def test_a_confusion_matrix_counts_true_classes_in_rows() -> None:
    found = confusion_matrix(predictions([0, 0, 0, 1, 2], [0, 1, 1, 1, 0], [1.0] * 5), 3)
    assert found == [[1, 2, 0], [0, 1, 0], [1, 0, 0]]


def test_a_confusion_matrix_has_a_row_for_a_class_that_no_one_predicted() -> None:
    assert confusion_matrix(predictions([0], [0], [1.0]), 3) == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_calibration_error_of_four_answers_matches_a_sum_by_hand() -> None:
    """Of ten bins, the last holds two answers, one of them right; two others hold one each."""
    answers = predictions([0, 0, 0, 0], [0, 1, 0, 1], [0.95, 0.93, 0.55, 0.15])
    by_hand = 2 / 4 * abs(0.5 - 0.94) + 1 / 4 * abs(1 - 0.55) + 1 / 4 * abs(0 - 0.15)
    assert calibration_error(answers, bins=10) == pytest.approx(100 * by_hand, rel=1e-5)


def test_calibration_error_is_that_of_fifteen_bins_written_out() -> None:
    generator = torch.Generator().manual_seed(0)
    confidence = torch.rand(500, generator=generator)
    right = torch.rand(500, generator=generator) < 0.5 + 0.4 * (50 * confidence).sin()
    found = calibration_error(Predictions(torch.ones(500).long(), right.long(), confidence))
    sure, hits = confidence.double().numpy(), right.double().numpy()
    which = np.ceil(15 * sure)
    gaps = [abs((hits - sure)[which == b].sum()) for b in range(1, 16)]
    assert found == pytest.approx(100 * sum(gaps) / 500, rel=1e-4)


def test_full_certainty_lies_in_the_last_of_guos_bins() -> None:
    """500 answers that are quite sure, 450 of them right, and 500 at 0.95, all right: one bin."""
    answers = predictions([1] * 1000, [1] * 950 + [0] * 50, [0.95] * 500 + [1.0] * 500)
    by_hand = abs(0.95 - (0.95 + 1.0) / 2)
    assert calibration_error(answers) == pytest.approx(100 * by_hand, rel=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("bins", [2, 10, 15])
def test_an_edge_belongs_to_the_bin_below_it(bins: int, dtype: torch.dtype) -> None:
    edges = (torch.arange(bins + 1, dtype=torch.float64) / bins).to(dtype)
    nothing = torch.zeros(bins + 1).long()
    images, _, _ = reliability(Predictions(nothing, nothing, edges), bins)
    assert images.tolist() == [2.0] + [1.0] * (bins - 1)  # 0 and the first edge; each other edge


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_what_lies_above_an_edge_belongs_to_the_bin_above_it(dtype: torch.dtype) -> None:
    edges = (torch.arange(15, dtype=torch.float64) / 15).to(dtype)
    above = edges.nextafter(torch.ones(15, dtype=dtype))
    nothing = torch.zeros(15).long()
    images, _, _ = reliability(Predictions(nothing, nothing, above), 15)
    assert images.tolist() == [1.0] * 15


def test_certainty_that_is_always_right_is_perfectly_calibrated() -> None:
    assert calibration_error(predictions([0, 1, 2], [0, 1, 2], [1.0] * 3)) == pytest.approx(0)


def test_certainty_that_is_right_in_three_of_five_is_forty_off() -> None:
    answers = predictions([0, 0, 0, 0, 0], [0, 0, 0, 1, 1], [1.0] * 5)
    assert calibration_error(answers) == pytest.approx(40, rel=1e-5)


def test_a_confidence_rounded_above_one_counts_as_one() -> None:
    answers = predictions([0, 0], [0, 0], [1.0 + 2e-7, 1.0])
    assert calibration_error(answers) == pytest.approx(0)


# The summary


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last", (20 + 40 + 100) / 3),
        ("average", (100 + 75 + 160 / 3) / 3),
        ("average_without_first", (75 + 160 / 3) / 2),
        ("forgetting", 70),
        ("backward_transfer", -70),
        ("old", 30),
        ("new", 100),
        ("new_share", 100 * 20 / 30),
    ],
)
def test_the_summary_of_the_toy_example_matches_sums_by_hand(name: str, expected: float) -> None:
    assert summary(toy_records())[name] == pytest.approx(expected)


def test_the_summary_does_not_depend_on_the_records_of_epochs() -> None:
    epoch = EpochRecord(0, 1, 1, 0.1, {"ce": 2.0}, 33.0, [1.0])
    wanted = pytest.approx(summary(toy_records()), nan_ok=True)  # a toy does not tell its cost
    assert summary([epoch, *toy_records(), epoch]) == wanted


# Means over an epoch


def means_of(counts: list[int], values: list[float]) -> float:
    means = Means()
    for count, value in zip(counts, values, strict=True):
        means.add(count, {"loss": torch.tensor(value)})
    return means.over_processes()["loss"]


def test_a_mean_weighs_each_batch_by_its_size() -> None:
    """The tutorial's mean gave a small last batch the weight of a whole one."""
    assert means_of([128, 128, 8], [1.0, 1.0, 4.0]) == pytest.approx((256 + 32) / 264)


@given(st.lists(st.tuples(st.integers(1, 99), st.floats(-9, 9)), min_size=1, max_size=9))
def test_a_mean_is_that_of_all_samples_however_they_were_batched(
    batches: list[tuple[int, float]],
) -> None:
    counts, values = [count for count, _ in batches], [value for _, value in batches]
    samples = np.repeat(values, counts)
    assert means_of(counts, values) == pytest.approx(samples.mean(), abs=1e-5)


def test_asking_twice_gives_the_same_means() -> None:
    means = Means()
    means.add(3, {"loss": torch.tensor(2.0)})
    assert means.over_processes() == means.over_processes()


def test_means_go_on_where_an_interruption_left_them() -> None:
    before, after = Means(), Means()
    before.add(3, {"ce": torch.tensor(2.0), "kd": torch.tensor(5.0)})
    after.restore(before.state(), torch.device("cpu"))
    after.add(1, {"ce": torch.tensor(6.0), "kd": torch.tensor(1.0)})
    assert after.over_processes() == pytest.approx({"ce": 3.0, "kd": 4.0})


def test_means_of_no_step_are_restored_as_none() -> None:
    means = Means()
    means.restore(Means().state(), torch.device("cpu"))
    assert means.count == 0


def test_means_hold_on_to_no_graph() -> None:
    means, weight = Means(), torch.ones(1, requires_grad=True)
    means.add(1, {"loss": (2 * weight).sum()})
    assert not means.sums.requires_grad
