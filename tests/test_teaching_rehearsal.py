"""The figure of the memory has the counts that a run of replay has."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from cilkit import PRESETS, Memory, Scenario, StageRecord, build, learn
from cilkit.data.samples import Samples
from cilkit.inference import features_of
from cilkit.learner import Learner
from cilkit.teaching.chapters.rehearsal import MOST, Shelf, held_in, memory_by_stage, strip
from cilkit.teaching.thumbnails import address

CONFIG = replace(PRESETS["digits"], method="replay", budget=60, epochs=1)


@pytest.fixture(scope="module")
def built() -> tuple[Learner, Scenario]:
    return build(CONFIG)


def test_the_counts_are_those_of_a_run_of_replay(built: tuple[Learner, Scenario]) -> None:
    learner, scenario = build(CONFIG)
    memory, expected, found = Memory(CONFIG), [], []
    at_hand = [len(learner.samples(scenario.stages[0]))]
    for record in learn(learner, scenario):
        if isinstance(record, StageRecord):
            expected.append((at_hand[-1], record.exemplars))
            if record.stage + 1 < len(scenario.stages):
                at_hand.append(len(learner.samples(scenario.stages[record.stage + 1])))
    for stage in scenario.stages:
        held = held_in(stage.train, memory, pixels, stage.n_seen)
        found.append((sum(one.at_hand for one in held), sum(one.stays for one in held)))
        assert [one.is_new for one in held] == [c >= stage.n_old for c in range(stage.n_seen)]
    assert found == expected


def pixels(samples: Samples) -> Tensor:
    return samples.images().flatten(1).float()


def test_the_words_of_stage_2_say_what_enters_and_what_leaves(
    built: tuple[Learner, Scenario],
) -> None:
    learner, scenario = built
    film = memory_by_stage(
        scenario, Memory(CONFIG), lambda samples: features_of(learner.model, samples)
    )
    new = len(scenario.stages[1].train)
    training, end = film.frames[2:4]
    assert training.says == f"{new} new images and 60 exemplars, 30 of each old class"
    leave = f"{new - 30} new images and 30 exemplars leave"
    assert end.says == f"60 stay, 15 of each class; {leave}"
    assert len(film.frames) == 2 * len(scenario.stages)


def test_the_images_that_stay_are_drawn_first_and_none_twice(
    built: tuple[Learner, Scenario],
) -> None:
    _, scenario = built
    memory, shelf, stage = Memory(CONFIG), Shelf(scenario.class_names), scenario.stages[0]
    held_in(stage.train, memory, pixels, stage.n_seen)
    shelf.order(stage.train, memory)
    for row, kept in zip(shelf.rows, memory.by_class, strict=True):
        assert len(row) == MOST
        assert (row[: len(kept)] == kept.images()).all()
        assert len(row.flatten(1).unique(dim=0)) == MOST


def test_images_side_by_side_are_one_image_of_their_pixels(
    built: tuple[Learner, Scenario],
) -> None:
    images = built[1].stages[0].train.images()[:3]
    wide = torch.cat([*images], dim=2)
    assert address(wide, "png") in strip(images, 0, 0)
