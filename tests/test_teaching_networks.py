"""Figures of networks have the shapes and the counts of the networks themselves."""

import re
from dataclasses import replace
from math import prod

import pytest
import torch
from torch import nn

from cilkit import PRESETS, build
from cilkit.backbones import ResNet, build_backbone
from cilkit.model import CilModel
from cilkit.teaching.chapters.anatomy import Cut, cut, networks_cut_in_two, on_meta, one_network
from cilkit.teaching.chapters.teacher import pair, teacher_and_student


def weights(network: nn.Module) -> int:
    return sum(part.numel() for part in network.parameters())


def test_a_resnet_is_cut_where_its_groups_end() -> None:
    network = ResNet(8, shows_maps=True).eval()
    features = network(torch.zeros(1, 3, 32, 32))
    found = cut(on_meta("resnet8", 7), (3, 32, 32))
    groups = [tuple(maps.shape[1:]) for maps in network.maps]
    assert found.shapes == [(3, 32, 32), *groups, (features.shape[1],)]
    assert sum(found.layers) + 1 == 8
    assert found.weights == weights(network)
    assert (found.prototypes, found.logits) == ((7, features.shape[1]), 7)


def test_vgg16_is_cut_as_torchvision_has_it() -> None:
    from torchvision.models import vgg16

    with torch.device("meta"):
        theirs = vgg16()
        shapes, batch = [(3, 224, 224)], torch.zeros(1, 3, 224, 224)
        for layer in theirs.features:
            batch = layer(batch)
            shapes += [tuple(batch.shape[1:])] if tuple(batch.shape[1:]) != shapes[-1] else []
    last = theirs.classifier[-1]
    assert isinstance(last, nn.Linear)
    found = cut(on_meta("vgg16", 10), (3, 224, 224))
    assert found.shapes == [*shapes, (last.in_features,)]
    assert sum(found.layers) + 1 == 16
    assert found.weights == weights(theirs) - weights(last)


def test_the_features_of_the_figure_are_those_of_the_backbone_that_a_run_builds() -> None:
    found = cut(on_meta("resnet32", 10), (3, 32, 32))
    backbone = build_backbone("resnet32", 3).eval()
    assert found.shapes[-1] == tuple(backbone(torch.zeros(1, 3, 32, 32)).shape[1:])


@pytest.fixture(scope="module")
def halves() -> Cut:
    model = on_meta("resnet8", 4)
    model.grow_to(6)
    return cut(model, (3, 16, 16))


def test_the_classifier_has_a_head_for_each_stage(halves: Cut) -> None:
    assert halves.heads == [4, 2]
    assert halves.prototypes == (6, halves.shapes[-1][0])


def test_the_network_of_the_first_chapters_is_drawn_with_its_own_shapes_and_weights() -> None:
    learner, scenario = build(PRESETS["digits"])
    for stage in scenario.stages:
        learner.model.grow_to(stage.n_seen)
    image = scenario.stages[0].test.images()[0]
    still = one_network(learner.model, tuple(image.shape), "it", "Which network?")
    hidden, last = [m for m in learner.model.backbone.modules() if isinstance(m, nn.Linear)]
    [drawing] = still.drawings
    for words in ("1 × 8 × 8 image", f"{hidden.out_features}", f"{last.out_features} features φ"):
        assert f">{words}<" in drawing.marks
    assert still.says == f"it: φ {weights(learner.model.backbone):,} weights, W 10 × 64 = 640"
    assert (drawing.marks.count('class="old"'), drawing.marks.count('class="new"')) == (4, 1)
    assert max(map(float, re.findall(r' y="(\S+?)"', drawing.marks))) < drawing.height


def test_each_frame_says_the_weights_above_the_cut_and_below() -> None:
    film = networks_cut_in_two({"ours": ("resnet8", 32)}, [4, 2])
    above = weights(build_backbone("resnet8", 3))
    for frame, classes in zip(film.frames, (4, 6), strict=True):
        assert frame.says == (
            f"ours: φ {above:,} weights, W {classes} × 64 = {prod((classes, 64)):,}"
        )
        assert f"{classes} logits" in frame.marks


@pytest.fixture(scope="module")
def two() -> tuple[CilModel, CilModel]:
    model = build(replace(PRESETS["digits"], method="replay-kd"))[0].model
    model.grow_to(4)
    teacher = model.frozen_copy()
    model.grow_to(6)
    return teacher, model


def test_the_figure_of_the_teacher_counts_what_both_make_of_a_batch(
    two: tuple[CilModel, CilModel],
) -> None:
    batch = build(PRESETS["digits"])[1].stages[2].train.take(torch.arange(5))
    teacher, student = two
    both = pair(teacher, student, batch)
    assert (both.images, both.n_old) == tuple(teacher(batch.images()).shape)
    assert (both.images, both.n_seen) == tuple(student(batch.images()).shape)
    assert (both.taught, both.learning) == (0, weights(student))
    film = teacher_and_student(teacher, student, batch)
    assert film.frames[2].says.endswith("the teacher gives 4 logits for each, the student 6")
    assert (
        film.frames[5].says == f"{weights(student):,} weights of the student move, 0 of the teacher"
    )


def test_the_new_classes_are_the_students_alone_until_the_stage_ends(
    two: tuple[CilModel, CilModel],
) -> None:
    batch = build(PRESETS["digits"])[1].stages[2].train.take(torch.arange(5))
    marks = [frame.marks.count('class="new"') for frame in teacher_and_student(*two, batch).frames]
    assert marks == [0, 2, 2, 2, 2, 2, 4]
