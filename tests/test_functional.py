"""The formulas against paper and pencil: float64, written out a second time."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Herding
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from cilkit.errors import InputError
from cilkit.functional import alignment, distillation_loss, herd

TEMPERATURES = (0.5, 1.0, 2.0, 5.0)


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers: NDArray[np.float64] = np.exp(logits)
    return powers / powers.sum(axis=1, keepdims=True)


def two_logits(images: int = 5, classes: int = 7) -> tuple[Tensor, Tensor]:
    """The student's and the teacher's, in float64."""
    generator = torch.Generator().manual_seed(1)
    student, teacher = 3 * torch.randn(2, images, classes, generator=generator, dtype=torch.float64)
    return student, teacher


def gradient(loss: Tensor, student: Tensor) -> Tensor:
    (result,) = torch.autograd.grad(loss, student)
    return result


# Distillation


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_distillation_is_the_divergence_of_the_softened_predictions(temperature: float) -> None:
    student, teacher = two_logits()
    q, p = softmax(student.numpy() / temperature), softmax(teacher.numpy() / temperature)
    divergence = (p * np.log(p / q)).sum(axis=1).mean()
    assert distillation_loss(student, teacher, temperature).item() == pytest.approx(divergence)


def test_distillation_of_two_classes_matches_a_sum_by_hand() -> None:
    student, teacher = torch.zeros(1, 2), torch.tensor([[3.0, 1.0]]).log()  # (1/2, 1/2), (3/4, 1/4)
    by_hand = 0.75 * np.log(0.75 / 0.5) + 0.25 * np.log(0.25 / 0.5)
    assert distillation_loss(student, teacher, 1.0).item() == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_gradient_of_distillation_is_the_one_derived_by_hand(temperature: float) -> None:
    student, teacher = two_logits()
    student.requires_grad_()
    found = gradient(distillation_loss(student, teacher, temperature), student).numpy()
    q = softmax(student.detach().numpy() / temperature)
    p = softmax(teacher.numpy() / temperature)
    np.testing.assert_allclose(found, (q - p) / (temperature * len(p)), atol=1e-14)


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_equal_logits_leave_nothing_to_distil(temperature: float) -> None:
    student, _ = two_logits()
    assert distillation_loss(student, student.clone(), temperature).item() == 0


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_cross_entropy_against_the_teacher_has_the_same_gradient(temperature: float) -> None:
    student, teacher = two_logits()
    student.requires_grad_()
    q, p = (student / temperature).softmax(1), (teacher / temperature).softmax(1)
    cross_entropy = -(p * q.log()).sum(1).mean()
    torch.testing.assert_close(
        gradient(distillation_loss(student, teacher, temperature), student),
        gradient(cross_entropy, student),
        atol=1e-14,
        rtol=0,
    )


def test_cross_entropy_against_the_teacher_is_larger_by_the_teachers_entropy() -> None:
    student, teacher = two_logits()
    q, p = softmax(student.numpy() / 2), softmax(teacher.numpy() / 2)
    cross_entropy, entropy = -(p * np.log(q)).sum(1).mean(), -(p * np.log(p)).sum(1).mean()
    found = distillation_loss(student, teacher, 2.0).item()
    assert found == pytest.approx(cross_entropy - entropy)


def test_distillation_ignores_a_shift_of_an_images_logits() -> None:
    student, teacher = two_logits()
    shift = torch.arange(5.0)[:, None]
    shifted = distillation_loss(student + 10 * shift, teacher - 7 * shift)
    torch.testing.assert_close(shifted, distillation_loss(student, teacher))


def test_distillation_is_a_mean_over_images() -> None:
    student, teacher = two_logits()
    twice = distillation_loss(student.repeat(2, 1), teacher.repeat(2, 1))
    torch.testing.assert_close(twice, distillation_loss(student, teacher))


def test_a_class_that_the_teacher_excludes_adds_nothing() -> None:
    student, teacher = two_logits()
    student.requires_grad_()
    teacher[:, 2] = -torch.inf
    loss = distillation_loss(student, teacher, 2.0)
    q, p = softmax(student.detach().numpy() / 2), softmax(teacher.numpy() / 2)
    there = [0, 1, 3, 4, 5, 6]
    divergence = (p * np.log(p / q, where=p > 0, out=np.zeros_like(p)))[:, there].sum(axis=1)
    assert loss.item() == pytest.approx(divergence.mean())
    np.testing.assert_allclose(gradient(loss, student).numpy(), (q - p) / (2 * len(p)), atol=1e-14)


def test_a_class_that_both_exclude_is_as_if_it_were_not_there() -> None:
    student, teacher = two_logits()
    without = distillation_loss(student[:, 1:], teacher[:, 1:])
    student[:, 0] = teacher[:, 0] = -torch.inf
    torch.testing.assert_close(distillation_loss(student, teacher), without)


def test_a_class_that_the_student_alone_excludes_costs_infinitely_much() -> None:
    student, teacher = two_logits()
    student[:, 0] = -torch.inf
    assert distillation_loss(student, teacher).item() == float("inf")


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_distillation_is_torchs_divergence_to_the_last_bit(temperature: float) -> None:
    """So that records of earlier versions can be made again."""
    student, teacher = (logits.float().requires_grad_() for logits in two_logits(64, 50))
    log_q, log_p = ((x / temperature).log_softmax(1) for x in (student, teacher.detach()))
    theirs = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    ours = distillation_loss(student, teacher.detach(), temperature)
    assert torch.equal(ours, theirs)
    assert torch.equal(gradient(ours, student), gradient(theirs, student))


def test_distillation_of_huge_logits_stays_finite() -> None:
    student, teacher = (1e6 * logits.float() for logits in two_logits())
    assert distillation_loss(student, teacher).isfinite()


# Alignment


def prototypes() -> Tensor:
    """5 old and 3 longer new ones, in float64."""
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(8, 6, generator=generator, dtype=torch.float64)
    weight[5:] *= 2.5
    return weight


def aligned(weight: Tensor, n_old: int) -> Tensor:
    return torch.cat([weight[:n_old], alignment(weight, n_old) * weight[n_old:]])


def test_gamma_is_the_ratio_of_the_mean_lengths() -> None:
    weight = prototypes()
    lengths = np.sqrt((weight.numpy() ** 2).sum(axis=1))
    assert alignment(weight, 5).item() == pytest.approx(lengths[:5].mean() / lengths[5:].mean())


def test_gamma_of_opposite_prototypes_takes_lengths_before_means() -> None:
    weight = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [6.0, 8.0]])
    assert alignment(weight, 2).item() == pytest.approx(1 / 6)


def test_aligned_prototypes_have_equal_mean_lengths() -> None:
    lengths = aligned(prototypes(), 5).norm(dim=1)
    torch.testing.assert_close(lengths[:5].mean(), lengths[5:].mean())


def test_a_second_alignment_changes_nothing() -> None:
    assert alignment(aligned(prototypes(), 5), 5).item() == pytest.approx(1, abs=1e-14)


def test_alignment_keeps_the_order_of_the_new_lengths() -> None:
    before, after = prototypes()[5:].norm(dim=1), aligned(prototypes(), 5)[5:].norm(dim=1)
    assert before.argsort().tolist() == after.argsort().tolist()


# Herding


def generic_features(kind: str, seed: int) -> Tensor:
    """Features without ties, (40, 6)."""
    features = torch.randn(40, 6, generator=torch.Generator().manual_seed(seed))
    changes = {
        "random": features,
        "relu": (features + 0.5).relu(),
        "far from zero": features + 10_000,  # where float32 has few digits left
        "unit length": features / features.norm(dim=1, keepdim=True),
        "of very different lengths": features * features.norm(dim=1, keepdim=True) ** 3,
    }
    return changes[kind]


KINDS = ("random", "relu", "far from zero", "unit length", "of very different lengths")


@pytest.mark.parametrize("m", [1, 7, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_herding_is_algorithm_4_where_there_are_no_ties(
    kind: str, m: int, algorithm_4: Herding
) -> None:
    for seed in range(3):
        features = generic_features(kind, seed)
        assert herd(features, m).tolist() == algorithm_4(features, m)


def excess(features: Tensor, picks: list[int]) -> float:
    """How much farther the worst pick is than the best row that was free when it was made."""
    rows, worst = features.double().numpy(), 0.0
    for k, pick in enumerate(picks, start=1):
        already = rows[picks[: k - 1]].sum(axis=0)
        distances = np.linalg.norm(rows.mean(axis=0) - (rows + already) / k, axis=1)
        free = np.setdiff1d(np.arange(len(rows)), picks[: k - 1])
        worst = max(worst, float(distances[pick] - distances[free].min()))
    return worst


DEGENERATE = {
    "each row twice": torch.randn(8, 4, generator=torch.Generator().manual_seed(3)).repeat(2, 1),
    "all rows equal": torch.full((9, 3), 0.7),
    "all rows zero": torch.zeros(9, 3),
    "some rows zero": torch.cat([torch.zeros(5, 2), torch.eye(2)]),
    "one row": torch.tensor([[1.0, -2.0]]),
    "one feature": torch.arange(-3.0, 6.0)[:, None],
    "a square": torch.tensor([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]),
}


@pytest.mark.parametrize("kind", DEGENERATE)
def test_each_pick_is_a_closest_one_where_there_are_ties(kind: str) -> None:
    features = DEGENERATE[kind]
    assert excess(features, herd(features, 20).tolist()) < 1e-9


@given(st.data())
def test_each_pick_is_a_closest_one_whatever_the_features(data: st.DataObject) -> None:
    shape = st.tuples(st.integers(1, 12), st.integers(1, 4))
    whole = arrays(np.float32, shape, elements=st.integers(-3, 3).map(float))
    features = torch.from_numpy(data.draw(whole))
    assert excess(features, herd(features, data.draw(st.integers(0, 14))).tolist()) < 1e-9


@pytest.mark.parametrize("m", [0, 1, 4, 9, 30])
@pytest.mark.parametrize("kind", DEGENERATE)
def test_herding_repeats_no_row_and_chooses_as_many_as_there_are(kind: str, m: int) -> None:
    features = DEGENERATE[kind]
    assert len(set(herd(features, m).tolist())) == min(m, len(features))


def test_a_choice_of_none_can_be_used_as_an_index() -> None:
    features = generic_features("random", 0)
    assert features[herd(features, 0)].shape == (0, 6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_smaller_choice_is_the_beginning_of_a_larger_one(kind: str) -> None:
    features = generic_features(kind, 4)
    assert herd(features, 5).tolist() == herd(features, 10)[:5].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_herding_chooses_the_same_rows_in_whatever_order_they_come(kind: str) -> None:
    features = generic_features(kind, 5)
    order = torch.randperm(len(features), generator=torch.Generator().manual_seed(6))
    assert set(order[herd(features[order], 9)].tolist()) == set(herd(features, 9).tolist())


@pytest.mark.parametrize("size", [1, 7, 64, 512])
def test_of_equal_rows_herding_chooses_the_first(size: int) -> None:
    generator = torch.Generator().manual_seed(8)
    kinds = torch.arange(30).repeat(3)[torch.randperm(90, generator=generator)]  # a row's kind
    features = torch.randn(30, size, generator=generator)[kinds]
    order = herd(features, 90)
    for kind in range(30):
        assert order[kinds[order] == kind].tolist() == (kinds == kind).nonzero().flatten().tolist()


def test_of_two_rows_herding_chooses_the_first() -> None:
    for size in range(1, 40):  # both are equally far from their mean
        features = torch.randn(2, size, generator=torch.Generator().manual_seed(size))
        assert herd(features, 2).tolist() == [0, 1]


def test_herding_sees_differences_that_float32_does_not() -> None:
    features = torch.tensor([[-2.0], [1.0], [1.0 - 1e-12]], dtype=torch.float64)
    assert herd(features, 1).tolist() == [2]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), 1e200])
def test_herding_refuses_features_that_have_no_distances(value: float) -> None:
    features = generic_features("random", 0).double()
    features[3, 2] = value
    with pytest.raises(InputError, match="must be finite numbers"):
        herd(features, 4)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_herding_repeats_no_row_of_the_largest_features(dtype: torch.dtype) -> None:
    largest = min(torch.finfo(dtype).max, 9.9e139)
    features = largest * generic_features("random", 0).to(dtype).tanh()
    assert len(set(herd(features, 40).tolist())) == 40


def test_of_no_rows_herding_chooses_none() -> None:
    assert herd(torch.empty(0, 6), 5).tolist() == []


def test_herding_leaves_the_features_as_they_were() -> None:
    features = generic_features("random", 7).double()
    before = features.clone()
    herd(features, 10)
    assert torch.equal(features, before)
