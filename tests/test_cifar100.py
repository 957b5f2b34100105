"""The official CIFAR-100, where CIFAR100=DIR says that this machine has it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from cilkit import PRESETS, DataSet, build_scenario
from cilkit.data.datasets import build_dataset


@pytest.fixture(scope="module")
def cifar100() -> DataSet:
    if not (folder := os.environ.get("CIFAR100")):
        pytest.skip("CIFAR-100 is not downloaded for a test; CIFAR100=DIR says where it is")
    return build_dataset(replace(PRESETS["cifar100-b50-10"], data_path=Path(folder)))


def test_each_class_has_500_images_to_learn_and_100_to_test(cifar100: DataSet) -> None:
    assert cifar100.train.labels.bincount().tolist() == [500] * 100
    assert cifar100.test.labels.bincount().tolist() == [100] * 100


def test_the_statistics_are_the_published_ones(cifar100: DataSet) -> None:
    assert cifar100.mean == pytest.approx((0.5071, 0.4867, 0.4408), abs=2e-3)
    assert cifar100.std == pytest.approx((0.2675, 0.2565, 0.2761), abs=2e-3)


def test_the_preset_deals_50_classes_and_then_10_at_a_time(cifar100: DataSet) -> None:
    scenario = build_scenario(cifar100, PRESETS["cifar100-b50-10"])
    assert scenario.classes_per_stage == (50, 10, 10, 10, 10, 10)
    assert [len(stage.train) for stage in scenario.stages] == [25000] + 5 * [5000]
    assert [len(stage.test) for stage in scenario.stages] == list(range(5000, 10001, 1000))


def test_labels_map_back_to_names(cifar100: DataSet) -> None:
    """The order of seed 1993 starts with original label 68, which is a road."""
    scenario = build_scenario(cifar100, PRESETS["cifar100-b50-10"])
    first = scenario.stages[0].train
    road = first.images()[first.labels == 0]
    assert scenario.class_names[0] == "road"
    assert torch.equal(road, cifar100.train.images()[cifar100.train.labels == 68])
