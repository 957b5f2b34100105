"""Classes, stages and data sets: which image comes when, under which label."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cilkit.config import Config
from cilkit.data.arrays import statistics
from cilkit.data.datasets import DATASETS, build_dataset
from cilkit.data.samples import DataSet, Samples
from cilkit.data.scenario import Scenario, build_scenario, class_increments, class_order, deal
from cilkit.data.sources.cifar100 import samples_of
from cilkit.errors import InputError
from cilkit.presets import PRESETS

N_CLASSES = 6
ORDER = (3, 0, 5, 1, 4, 2)
# An image: which class it shows, by its original label, and which of the class's images it is.
Image = tuple[int, int]


def numbered(counts: list[int], shuffle: int) -> Samples:
    """So many images of each class; their first two pixels say which they are."""
    which = torch.tensor([(label, i) for label, count in enumerate(counts) for i in range(count)])
    which = which[torch.randperm(len(which), generator=torch.Generator().manual_seed(shuffle))]
    images = torch.full((len(which), 1, 2, 2), 200, dtype=torch.uint8)
    images[:, 0, 0] = which.byte()
    return Samples.of(images, which[:, 0])


def numbered_dataset(shuffle: int = 0, classes: int = N_CLASSES) -> DataSet:
    """A data set of unequal classes."""
    counts = [5 + label for label in range(classes)]
    names = tuple(f"class {label}" for label in range(classes))
    train, test = numbered(counts, shuffle), numbered([3] * classes, shuffle + 1)
    return DataSet("numbered", train, test, names, (0.5,), (0.2,))


def which(samples: Samples) -> list[Image]:
    """Which images these are."""
    pixels = samples.images()[:, 0, 0].tolist()
    return [(label, i) for label, i in pixels]


def scenario_of(
    order: tuple[int, ...] = ORDER,
    base: int = 0,
    increment: int | tuple[int, ...] = 2,
    shuffle: int = 0,
) -> Scenario:
    config = Config(base=base, increment=increment, class_order=order)
    return build_scenario(numbered_dataset(shuffle), config)


orders = st.permutations(range(N_CLASSES)).map(tuple)
splits = st.sampled_from([(0, 1), (0, 2), (0, 3), (0, 6), (1, 5), (2, 1), (2, 2), (4, 2), (6, 1)])
few = settings(max_examples=15)


# The order of the classes


def test_the_fields_seed_gives_the_fields_order() -> None:
    assert class_order(1993, 100)[:10] == (68, 56, 78, 8, 23, 84, 90, 65, 74, 76)


@pytest.mark.parametrize("n_classes", [7, 10, 100, 1000])
def test_an_order_from_a_seed_holds_each_class_of_the_data_set_once(n_classes: int) -> None:
    """The tutorial's order had a hundred entries, whatever the data set."""
    assert sorted(class_order(1993, n_classes)) == list(range(n_classes))


def test_the_natural_order_counts_up() -> None:
    assert class_order("natural", 5) == (0, 1, 2, 3, 4)


def test_a_listed_order_is_taken_as_it_is() -> None:
    assert class_order([2, 0, 1], 3) == (2, 0, 1)


@pytest.mark.parametrize(
    "setting", [[0, 1], [0, 1, 2, 3], [0, 1, 1], [1, 2, 3], [-1, 0, 1], [], "random", "1993"]
)
def test_an_order_that_does_not_fit_is_refused(setting: str | list[int]) -> None:
    with pytest.raises(InputError, match="class_order"):
        class_order(setting, 3)


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_numpy_refuses_is_refused_with_a_sentence(seed: int) -> None:
    with pytest.raises(InputError):
        class_order(seed, 3)


# The sizes of the stages


@pytest.mark.parametrize(
    ("base", "increment", "expected"),
    [
        (0, 10, [10] * 10),
        (50, 10, [50] + [10] * 5),
        (50, 25, [50, 25, 25]),
        (100, 10, [100]),
        (0, 100, [100]),
        (98, 1, [98, 1, 1]),
    ],
)
def test_the_first_stage_brings_the_base_and_each_other_an_increment(
    base: int, increment: int, expected: list[int]
) -> None:
    assert class_increments(base, increment, 100, "cifar100") == expected


@pytest.mark.parametrize(("base", "increment"), [(101, 1), (110, 10), (1, 100), (0, 101)])
def test_a_stage_that_the_classes_are_too_few_for_is_refused(base: int, increment: int) -> None:
    with pytest.raises(InputError, match=f"base {base} and increment {increment} do not fit"):
        class_increments(base, increment, 100, "cifar100")


# The stages


@few
@given(orders, splits)
def test_labels_are_contiguous_and_in_order_of_arrival(
    order: tuple[int, ...], split: tuple[int, int]
) -> None:
    stages = scenario_of(order, *split).stages
    found = [stage.train.labels.unique().tolist() for stage in stages]
    assert found == [list(range(stage.n_old, stage.n_seen)) for stage in stages]


@few
@given(orders, splits)
def test_the_stages_follow_each_other_without_a_gap(
    order: tuple[int, ...], split: tuple[int, int]
) -> None:
    stages = scenario_of(order, *split).stages
    assert [0, *(stage.n_seen for stage in stages)] == [*(s.n_old for s in stages), N_CLASSES]


@few
@given(orders, splits)
def test_every_image_comes_in_exactly_one_stage(
    order: tuple[int, ...], split: tuple[int, int]
) -> None:
    scenario = scenario_of(order, *split)
    dealt = [image for stage in scenario.stages for image in which(stage.train)]
    assert sorted(dealt) == sorted(which(scenario.dataset.train))


@few
@given(orders, splits)
def test_an_image_keeps_its_class_under_the_new_label(
    order: tuple[int, ...], split: tuple[int, int]
) -> None:
    for stage in scenario_of(order, *split).stages:
        for samples in (stage.train, stage.train_so_far, stage.test):
            shown = [label for label, _ in which(samples)]
            assert shown == [order[label] for label in samples.labels.tolist()]


@few
@given(orders, splits)
def test_test_sets_hold_all_images_of_the_classes_seen_so_far(
    order: tuple[int, ...], split: tuple[int, int]
) -> None:
    for stage in scenario_of(order, *split).stages:
        expected = [(label, i) for label in order[: stage.n_seen] for i in range(3)]
        assert sorted(which(stage.test)) == sorted(expected)


def test_the_data_so_far_is_that_of_all_stages_so_far() -> None:
    stages = scenario_of().stages
    expected = [
        sorted(image for s in stages[: i + 1] for image in which(s.train)) for i in range(3)
    ]
    assert [sorted(which(stage.train_so_far)) for stage in stages] == expected


def test_the_order_of_rows_decides_nothing_but_the_order_of_rows() -> None:
    first, second = scenario_of(shuffle=0), scenario_of(shuffle=5)
    for one, other in zip(first.stages, second.stages, strict=True):
        assert sorted(which(one.train)) == sorted(which(other.train))


def test_building_the_stages_twice_gives_the_same() -> None:
    for one, other in zip(scenario_of().stages, scenario_of().stages, strict=True):
        assert (which(one.train), which(one.test)) == (which(other.train), which(other.test))


@pytest.mark.parametrize("increment", [(40, 30), (60, 41), (100, 0), (101, -1)])
def test_a_list_of_stages_that_is_not_all_classes_is_refused(increment: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"stages of .*do not fit cifar100: they must be 100"):
        class_increments(0, increment, 100, "cifar100")


def test_a_list_of_no_stages_is_refused() -> None:
    with pytest.raises(InputError, match="increment is an empty list"):
        class_increments(0, (), 100, "cifar100")


@pytest.mark.parametrize(
    ("base", "increment", "sizes"),
    [
        (0, 2, (2, 2, 2)),
        (4, 1, (4, 1, 1)),
        (0, 4, (4, 2)),
        (1, 3, (1, 3, 2)),
        (0, (1, 3, 2), (1, 3, 2)),
        (2, (3, 1), (2, 3, 1)),
    ],
)
def test_a_scenario_knows_how_many_classes_each_stage_brings(
    base: int, increment: int | tuple[int, ...], sizes: tuple[int, ...]
) -> None:
    assert scenario_of(base=base, increment=increment).classes_per_stage == sizes


def test_a_stage_shares_the_images_of_its_data_set() -> None:
    scenario = scenario_of()
    stores = {stage.train.store.data_ptr() for stage in scenario.stages}
    assert stores == {scenario.dataset.train.store.data_ptr()}


# What continuum 1.2.7 would deal wrongly


def relabelled(samples: Samples, labels: Tensor) -> Samples:
    return Samples(samples.store, samples.rows, labels)


@pytest.mark.parametrize("part", ["train", "test"])
def test_labels_with_a_gap_are_refused_not_dealt_to_the_first_stage(part: str) -> None:
    dataset = numbered_dataset()
    samples: Samples = getattr(dataset, part)
    gap = relabelled(samples, torch.where(samples.labels == 5, 7, samples.labels))
    with pytest.raises(InputError, match="each of the 6 classes needs an image"):
        build_scenario(replace(dataset, **{part: gap}), Config(increment=2, class_order=ORDER))


@pytest.mark.parametrize("part", ["train", "test"])
def test_a_class_without_an_image_is_refused(part: str) -> None:
    dataset = numbered_dataset()
    samples: Samples = getattr(dataset, part)
    rest = samples.take((samples.labels != 2).nonzero()[:, 0])
    with pytest.raises(InputError, match="each of the 6 classes needs an image"):
        build_scenario(replace(dataset, **{part: rest}), Config(increment=2, class_order=ORDER))


def test_a_label_that_no_class_name_belongs_to_is_refused() -> None:
    dataset = replace(numbered_dataset(), class_names=("a", "b", "c", "d"))
    with pytest.raises(InputError, match="each of the 4 classes needs an image"):
        build_scenario(dataset, Config(increment=2, class_order="natural"))


@few
@given(orders)
def test_new_labels_lead_back_to_the_original_names(order: tuple[int, ...]) -> None:
    scenario = scenario_of(order)
    stage = scenario.stages[-1]
    shown = {f"class {label}" for label, _ in which(stage.train)}
    assert {scenario.class_names[label] for label in stage.train.labels.tolist()} == shown


def test_new_labels_lead_back_to_the_original_labels() -> None:
    assert scenario_of(ORDER).class_order == ORDER


def test_mixing_exemplars_in_leaves_the_stage_as_it_was() -> None:
    stages = scenario_of().stages
    before = which(stages[1].train), stages[1].train.labels.tolist()
    _ = stages[1].train + stages[0].train
    assert (which(stages[1].train), stages[1].train.labels.tolist()) == before


def test_a_mixture_holds_both_parts_under_their_labels() -> None:
    stages = scenario_of().stages
    mixed = stages[1].train + stages[0].train
    expected = [
        (image, label)
        for part in (stages[1].train, stages[0].train)
        for image, label in zip(which(part), part.labels.tolist(), strict=True)
    ]
    assert list(zip(which(mixed), mixed.labels.tolist(), strict=True)) == expected


def test_dealing_leaves_the_data_sets_own_labels_alone() -> None:
    dataset = numbered_dataset()
    before = dataset.train.labels.clone()
    build_scenario(dataset, Config(increment=2, class_order=ORDER))
    assert torch.equal(dataset.train.labels, before)


def test_labels_are_whole_numbers_that_losses_and_indices_accept() -> None:
    samples = [s for stage in scenario_of().stages for s in (stage.train, stage.test)]
    assert {s.labels.dtype for s in samples} == {torch.int64}


def test_counts_of_classes_are_pythons_own_integers() -> None:
    stage = scenario_of().stages[1]
    assert {type(number) for number in (stage.index, stage.n_old, stage.n_seen)} == {int}


def test_float_images_are_not_turned_black() -> None:
    images = torch.linspace(0, 1, 24).view(6, 1, 2, 2)
    parts = deal(Samples.of(images, torch.arange(6)), ORDER, [2, 2, 2])
    assert torch.equal(torch.cat([part.images() for part in parts]).sort(0)[0], images)


def test_names_may_be_long_and_in_any_script() -> None:
    names = ("猫", "ß" * 300, "a/b c", "é", "😀", "x" * 1000)
    scenario = build_scenario(
        replace(numbered_dataset(), class_names=names), Config(increment=2, class_order=ORDER)
    )
    assert scenario.class_names == tuple(names[label] for label in ORDER)


def test_more_classes_and_rows_than_sixteen_bits_count_are_dealt() -> None:
    n = 2**15 + 2
    samples = Samples.of(
        torch.zeros(1, 1, 1, 1, dtype=torch.uint8).expand(n, 1, 1, 1), torch.arange(n)
    )
    (part,) = deal(samples, range(n), [n])
    assert torch.equal(part.labels, torch.arange(n)) and torch.equal(part.rows, torch.arange(n))


# Data sets


@pytest.fixture(scope="module")
def digits() -> DataSet:
    return build_dataset(Config(dataset="digits"))


def test_digits_are_ten_classes_named_by_their_numeral(digits: DataSet) -> None:
    assert digits.class_names == tuple("0123456789")


@pytest.mark.parametrize("part", ["train", "test"])
def test_digits_are_grey_images_of_eight_by_eight_bytes(digits: DataSet, part: str) -> None:
    images = getattr(digits, part).images()
    assert (images.shape[1:], images.dtype) == ((1, 8, 8), torch.uint8)


def test_digits_use_the_whole_range_of_a_byte(digits: DataSet) -> None:
    images = digits.train.images()
    assert (int(images.min()), int(images.max())) == (0, 255)


def test_each_digit_is_once_in_training_or_test(digits: DataSet) -> None:
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = np.rint(bunch.images.reshape(len(bunch.images), -1) * 255 / 16)
    original = np.column_stack([pixels, bunch.target]).astype(np.int64).tolist()
    both = [digits.train, digits.test]
    found = np.concatenate([s.images().flatten(1).numpy() for s in both]).astype(np.int64)
    labels = np.concatenate([s.labels.numpy() for s in both])
    assert sorted(np.column_stack([found, labels]).tolist()) == sorted(original)


def test_a_quarter_of_each_digit_is_for_tests(digits: DataSet) -> None:
    train, test = (part.labels.bincount() for part in (digits.train, digits.test))
    assert ((test - (train + test) / 4).abs() <= 1).all()


def test_loading_digits_twice_gives_the_same(digits: DataSet) -> None:
    """The tutorial looked in another folder the second time."""
    again = build_dataset(Config(dataset="digits", seed=7))
    for one, other in ((digits.train, again.train), (digits.test, again.test)):
        assert torch.equal(one.images(), other.images()) and torch.equal(one.labels, other.labels)


def test_statistics_of_digits_are_those_of_their_training_images(digits: DataSet) -> None:
    pixels = digits.train.images().numpy().astype(np.float64) / 255
    assert (*digits.mean, *digits.std) == pytest.approx((pixels.mean(), pixels.std()), abs=1e-12)


def test_statistics_are_float64_means_and_deviations_of_each_channel() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (40, 3, 5, 7), generator=generator).byte()
    images[:, 1] //= 4
    pixels = images.numpy().astype(np.float64) / 255
    mean, std = statistics(images)
    np.testing.assert_allclose(mean, pixels.mean(axis=(0, 2, 3)), atol=1e-13)
    np.testing.assert_allclose(std, pixels.std(axis=(0, 2, 3)), atol=1e-13)


def test_a_torchvision_split_keeps_every_pixel_in_its_place() -> None:
    data = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)  # (N, H, W, C)
    samples = samples_of(SimpleNamespace(data=data, targets=[1, 0]))
    for n, c, y, x in [(0, 0, 0, 0), (1, 2, 3, 4), (0, 1, 2, 3)]:
        assert samples.images()[n, c, y, x] == data[n, y, x, c]
    assert samples.labels.tolist() == [1, 0]


def test_cifar100_that_is_not_there_is_asked_for_by_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no CIFAR-100 in .*cifar-100-python"):
        build_dataset(Config(dataset="cifar100", data_path=tmp_path))


def test_a_missing_data_set_leaves_no_folder_behind(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        build_dataset(Config(dataset="cifar100", data_path=tmp_path / "absent"))
    assert not (tmp_path / "absent").exists()


def test_an_unknown_data_set_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="unknown data set 'imagenet'; known: digits, cifar100"):
        build_dataset(Config(dataset="imagenet"))


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_names_a_data_set_that_exists(preset: str) -> None:
    """The tutorial promised one that did not exist."""
    assert PRESETS[preset].dataset in DATASETS


# Samples


def test_taking_samples_copies_no_image() -> None:
    samples = numbered([3, 3], 0)
    assert samples.take(torch.tensor([4, 1])).store.data_ptr() == samples.store.data_ptr()


def test_taking_samples_keeps_the_order_asked_for() -> None:
    samples = numbered([3, 3], 0)
    assert which(samples.take(torch.tensor([4, 1]))) == [which(samples)[4], which(samples)[1]]


def test_taking_from_what_was_taken_counts_from_its_beginning() -> None:
    samples = numbered([3, 3], 0)
    twice = samples.take(torch.tensor([5, 3, 1])).take(torch.tensor([2, 0]))
    assert which(twice) == [which(samples)[1], which(samples)[5]]


def test_adding_nothing_changes_nothing() -> None:
    samples = numbered([3, 3], 0)
    assert which(samples + samples.take(torch.arange(0))) == which(samples)


def test_names_of_classes_may_be_an_array() -> None:
    images, labels = np.zeros((2, 8, 8), np.uint8), np.array([0, 1])
    names: Any = np.array(["cat", "dog"])
    assert DataSet.of(images, labels, images, labels, names).class_names == ("cat", "dog")
