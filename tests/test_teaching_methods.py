"""The pictures of the methods' pages show what the package computes."""

import re
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Herding, MakeLearner, needs_browser
from torch import Tensor, nn

from cilkit.data.samples import Samples
from cilkit.data.scenario import Scenario, Stage
from cilkit.heads import CilClassifier, CosineClassifier
from cilkit.methods.ewc import fisher_diagonal
from cilkit.methods.lucir import ranking_loss
from cilkit.methods.podnet import pooled
from cilkit.methods.ridge import Ridge
from cilkit.model import CilModel, Normalise, Seen
from cilkit.teaching.methods import (
    PICTURES,
    bic,
    der,
    ewc,
    fetril,
    icarl,
    lucir,
    means,
    podnet,
    ridge,
    wa,
)
from cilkit.teaching.methods.pixels import training_digits
from cilkit.teaching.methods.plane import DIRECTIONS, NARROW, WIDE
from cilkit.teaching.still import Drawing
from cilkit.teaching.svg import Plot

PAGES = Path(__file__).parent.parent / "book" / "methods"
every_picture = pytest.mark.parametrize("name", PICTURES)


def marks(drawing: Drawing, tag: str, look: str | None = None) -> list[Any]:
    """Return what is drawn with a tag, and of one look if it is asked for."""
    found = ElementTree.fromstring(f"<svg>{drawing.marks}</svg>").iter(tag)
    return [mark for mark in found if look is None or mark.get("class") == look]


def places(drawing: Drawing, look: str, radius: float) -> list[tuple[float, float]]:
    """Return where circles of a look and a size are."""
    circles = [c for c in marks(drawing, "circle", look) if float(c.get("r")) == radius]
    return [(float(circle.get("cx")), float(circle.get("cy"))) for circle in circles]


def at(plot: Plot, points: Tensor) -> list[tuple[float, float]]:
    return [plot.at(x, y) for x, y in points.tolist()]


def opacities(drawing: Drawing) -> list[float]:
    return [float(mark.get("fill-opacity")) for mark in marks(drawing, "rect", "")]


# All pictures


def test_every_page_of_a_method_has_its_picture_below_the_idea() -> None:
    told = r"## The idea\n\n[^#`]+\n\n```\{picture\} (\S+)\n```\n\n## The formulas?\n"
    found = {path.stem: re.findall(told, path.read_text("utf-8")) for path in PAGES.glob("*.md")}
    assert found == {name: [name] for name in PICTURES}


@every_picture
def test_a_picture_is_the_same_each_time_it_is_drawn(name: str) -> None:
    assert PICTURES[name]()._repr_html_() == PICTURES[name]()._repr_html_()


@every_picture
def test_a_drawing_is_described_and_leaves_colours_to_the_page(name: str) -> None:
    for drawing in PICTURES[name]().drawings:
        assert len(drawing.alt) > 60
        assert drawing.width <= 340
        assert not re.search(r'(fill|stroke)[=:]"?#', drawing.marks)


OVERLAPS = """() => [...document.querySelectorAll("svg")].flatMap(svg => {
    const words = [...svg.querySelectorAll("text")]
        .map(t => [t.textContent, t.getBoundingClientRect()])
    const all = svg.getBoundingClientRect()
    const out = ([, b]) => b.left < all.left || b.right > all.right || b.top < all.top
        || b.bottom > all.bottom
    const meet = ([, a], [, b]) => a.left < b.right && b.left < a.right
        && a.top < b.bottom && b.top < a.bottom
    return words.flatMap((w, i) => [...(out(w) ? [w[0]] : []),
        ...words.slice(i + 1).filter(o => meet(w, o)).map(o => [w[0], o[0]])])
})"""


@pytest.mark.slow
@needs_browser
@every_picture
def test_words_lie_inside_a_drawing_and_beside_each_other(name: str, show: Any) -> None:
    page = show(PICTURES[name]()._repr_html_(), viewport={"width": 360, "height": 900})
    assert page.evaluate(OVERLAPS) == []


# iCaRL


def test_icarls_rings_are_the_means_of_herded_exemplars_with_length_1(algorithm_4: Herding) -> None:
    chosen = []
    for features, count in ((icarl.OLD, 4), (icarl.NEW, 4)):
        units = features / features.square().sum(1, keepdim=True).sqrt()
        total = units[algorithm_4(units, count)].sum(0)
        chosen.append(total / total.square().sum().sqrt())
    drawing = icarl.picture().drawings[1]
    assert places(drawing, "line", 9) == at(WIDE, torch.stack(chosen))


def test_icarls_border_is_where_the_methods_own_rule_changes_its_answer(
    make_learner: MakeLearner,
) -> None:
    learner = make_learner("icarl")
    learner.own["means"] = icarl.means()
    says = learner.scores(seen(DIRECTIONS)).argmax(1)
    border = WIDE.at(*(1.12 * DIRECTIONS[says == 0][0]).tolist())
    old = marks(icarl.picture().drawings[1], "polygon", "old")[0]
    assert old.get("points").split()[1] == "{},{}".format(*border)


def seen(features: Tensor) -> Seen:
    nothing = torch.empty(0)
    return Seen(nothing, nothing, features)


def test_icarls_head_has_nothing_left_to_learn() -> None:
    weight, features = icarl.prototypes(), torch.cat([icarl.OLD, icarl.NEW])
    surplus = (features @ weight.T).softmax(1) - F.one_hot(icarl.TRUTH)
    slope = surplus.T @ features / len(features) + 1e-3 * weight
    assert slope.abs().max() < 1e-5


def test_icarls_head_takes_the_old_image_for_a_new_one_and_the_nearest_mean_does_not() -> None:
    titles = [marks(drawing, "text")[0].text for drawing in icarl.picture().drawings]
    assert titles == ["the head says: new", "the nearest mean says: old"]


# Class means


def test_the_rings_are_the_means_of_unit_features_and_stay_where_they_are() -> None:
    rows = np.concatenate([means.images(stage).numpy().reshape(2, -1, 2) for stage in range(3)])
    expected = at(NARROW, torch.from_numpy(rows.mean(1)))
    for stage, drawing in enumerate(means.picture().drawings):
        assert places(drawing, "line old", 6) == expected[: 2 * stage]
        assert places(drawing, "line", 6) == expected[2 * stage : 2 * stage + 2]


def test_the_sectors_are_the_answers_of_the_method(make_learner: MakeLearner) -> None:
    learner = make_learner("means")
    learner.own["means"] = means.means(3)
    answers = learner.scores(seen(DIRECTIONS)).argmax(1)
    sizes = answers.unique_consecutive(return_counts=True)[1].tolist()
    polygons = marks(means.picture().drawings[2], "polygon")
    assert [len(polygon.get("points").split()) - 1 for polygon in polygons] == sizes


# Ridge regression


def learned(order: tuple[int, ...]) -> Tensor:
    """Return the weights of the method itself, by digit, for stages in an order."""
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(ridge.PARTS), nn.Flatten())
    model = CilModel(pool, CilClassifier(6), Normalise((0.0,), (1.0,))).eval()
    learner = Ridge(model, Ridge.Settings(method="ridge", pretrained=True))
    arrived: list[int] = []
    for index, stage in enumerate(order):
        arrived += [2 * stage, 2 * stage + 1]
        samples = ridge.images(stage)
        labels = samples.labels - 2 * stage + 2 * index
        train = Samples(samples.store, samples.rows, labels)
        learner.end(Stage(index, 2 * index, 2 * index + 2, train, train, train))
    return learner.own["weight"][torch.tensor(arrived).argsort()]


@pytest.mark.parametrize("order", ridge.ORDERS)
def test_the_weights_at_the_end_are_those_of_the_method(order: tuple[int, ...]) -> None:
    drawn = ridge.solutions(order)[-1][2]
    torch.testing.assert_close(learned(order), drawn, atol=1e-4, rtol=0)


def test_both_orders_of_stages_end_with_the_same_shades() -> None:
    one, other = (opacities(drawing) for drawing in ridge.picture().drawings)
    assert one[-108:] == other[-108:]  # A, C and W; before that, the orders differ
    assert one[:-108] != other[:-108]


# FeTrIL


def test_pseudo_features_are_those_of_the_method(make_learner: MakeLearner) -> None:
    learner = make_learner("fetril")
    learner.own["means"] = fetril.means()
    moved, classes = learner.moved(fetril.NEW, fetril.LABELS, n_old=1)
    assert classes.tolist() == [0] * fetril.COUNT
    assert places(fetril.picture().drawings[1], "old", 3) == at(WIDE, moved)


# BiC


def test_the_correction_moves_each_image_by_the_line_of_two_numbers() -> None:
    (values, labels), (both, _) = bic.logits(), bic.corrected()
    best_old, best_new = values[:, :8].amax(1), values[:, 8:].amax(1)
    for drawing, (alpha, beta) in zip(bic.picture().drawings, ([1, 0], both), strict=True):
        points = zip(best_old.tolist(), (alpha * best_new + beta).tolist(), strict=True)
        expected = [bic.PLOT.at(*point) for point in points]
        drawn = places(drawing, "old", 3) + places(drawing, "line new", 4)
        assert drawn == [expected[i] for i in (labels >= 8).long().argsort(stable=True)]


def test_the_two_numbers_minimise_the_cross_entropy_of_what_is_held_out() -> None:
    (values, labels), (_, after) = bic.logits(), bic.corrected()
    surplus = ((after.softmax(1) - F.one_hot(labels)) / len(labels))[:, 8:]
    pull = 1e-3 * (bic.corrected()[0] - torch.tensor([1.0, 0.0]))
    slope = torch.stack([(surplus * values[:, 8:]).sum(), surplus.sum()]) + pull
    assert slope.abs().max() < 1e-9


def test_no_image_is_both_learned_and_held_out() -> None:
    assert bic.logits()[1].bincount().tolist() == [bic.HELD] * 10
    held, learned = bic.dealt()
    assert not set(held.tolist()) & set(learned.tolist())


# EWC


def test_the_springs_are_as_stiff_as_the_methods_fisher_diagonal_says() -> None:
    """A head of two classes with one row at zero is the same model of two weights."""
    pixels = torch.randint(256, (50, 1, 1, 2), generator=torch.Generator().manual_seed(0)).byte()
    labels = torch.arange(50) % 2
    model = CilModel(nn.Flatten(), CilClassifier(2), Normalise((0.5,), (0.25,)))
    model.classifier.grow_to(2)
    weights = torch.tensor([0.7, -0.4])
    with torch.no_grad():
        model.classifier.heads[0].weight.copy_(torch.stack([torch.zeros(2), weights]))
    found = fisher_diagonal(model, Samples.of(pixels, labels))["classifier.heads.0.weight"][1]
    features = ((pixels.float() / 255 - 0.5) / 0.25).flatten(1)
    images = ewc.Images(features, labels.float())
    torch.testing.assert_close(ewc.fisher(weights, images), found, rtol=1e-4, atol=0)


def test_each_way_ends_where_its_loss_has_no_slope() -> None:
    free, held = (way[-1] for way in ewc.ways())
    rows, labels = ewc.NEW
    slopes = [((rows @ w).sigmoid() - labels) @ rows / len(rows) for w in (free, held)]
    pull = ewc.SPRINGS * ewc.fisher(ewc.rest(), ewc.OLD) * (held - ewc.rest())
    assert slopes[0].abs().max() < 1e-6
    assert (slopes[1] + pull).abs().max() < 1e-6


def test_the_line_around_a_valley_has_one_loss() -> None:
    edge = ewc.rim(
        partial(ewc.loss, images=ewc.OLD), ewc.rest(), ewc.loss(ewc.rest(), ewc.OLD) + 0.01
    )
    levels = ewc.loss(edge, ewc.OLD) - ewc.loss(ewc.rest(), ewc.OLD)
    torch.testing.assert_close(levels, torch.full_like(levels, 0.01))


def test_springs_keep_the_loss_on_old_images_low() -> None:
    free, held = (float(ewc.loss(way[-1], ewc.OLD)) for way in ewc.ways())
    start = float(ewc.loss(ewc.rest(), ewc.OLD))
    assert held - start < 0.1 * (free - start)


# WA


def test_the_aligned_prototypes_are_those_of_the_method(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("wa")
    for stage in tiny_scenario.stages[:2]:
        learner.grow(stage)
    head = learner.model.classifier
    for part, rows in zip(head.heads, F.pad(wa.PROTOTYPES, (0, 14)).split(2), strict=True):
        part.weight.data.copy_(rows)
    assert learner.end(tiny_scenario.stages[1])["gamma"] == pytest.approx(wa.GAMMA)
    torch.testing.assert_close(head.weight.detach()[:, :2], wa.aligned().float())


def test_the_cross_is_new_as_trained_and_old_when_aligned() -> None:
    titles = [marks(drawing, "text")[0].text for drawing in wa.picture().drawings]
    assert titles == ["as trained, the answer is new", "aligned, the answer is old"]


# LUCIR


def test_the_cosines_are_those_of_the_methods_head() -> None:
    head = CosineClassifier(2)
    head.grow_to(2)
    head.double().heads[0].weight.data.copy_(lucir.PROTOTYPES)
    torch.testing.assert_close(lucir.cosines(lucir.IMAGE), head.cosines(lucir.IMAGE))


def test_products_take_the_exemplar_for_a_new_image_and_cosines_do_not() -> None:
    titles = [marks(drawing, "text")[0].text for drawing in lucir.picture().drawings]
    assert titles == ["products say: new", "cosines say: old"]


def test_the_thick_arc_begins_where_an_exemplar_has_no_ranking_loss_any_more() -> None:
    old = torch.zeros(1, dtype=torch.long)
    cosines = lucir.cosines(DIRECTIONS).split(1)
    free = [float(ranking_loss(each, old, 1, 0.5, 2)) == 0 for each in cosines]
    first = WIDE.of(1.12 * DIRECTIONS[free.index(True)])
    arc = marks(lucir.picture().drawings[1], "polyline", "line ")[0]
    assert arc.get("points").split()[0] == "{},{}".format(*first)
    assert all(free[free.index(True) :])


# DER


def test_new_features_change_no_old_logit_as_the_third_stage_begins() -> None:
    weight = der.third_stage()[0][0]
    rows = der.features(3)
    torch.testing.assert_close(rows @ weight.T[:, :4], rows[:, :8] @ weight[:4, :8].T)
    assert rows[:, 8:].any()


def test_as_the_third_stage_ends_no_weight_is_zero() -> None:
    weight, auxiliary = der.third_stage()[1]
    assert weight.shape == (6, 12)
    assert auxiliary.shape == (3, 4)
    assert weight.all()


@pytest.mark.parametrize("moment", [0, 1])
def test_the_shades_are_the_sizes_of_the_weights(moment: int) -> None:
    weight = der.third_stage()[moment][0].abs()
    sizes = torch.stack((weight / weight.max()).split(4, dim=1))
    for look, expected in (("old", sizes[:, :4]), ("new", sizes[:, 4:])):
        drawn = marks(der.picture().drawings[moment], "rect", look)[: expected.numel()]
        shades = [float(mark.get("fill-opacity")) for mark in drawn]
        assert shades == pytest.approx(expected.flatten().tolist(), abs=0.006)


def test_the_head_has_learned_more_than_chance() -> None:
    labels = training_digits().labels
    seen = labels < 6
    logits = der.features(3)[seen] @ der.third_stage()[1][0].T
    assert (logits.argmax(1) == labels[seen]).double().mean() > 0.5


# PODNet


@pytest.mark.parametrize("which", [0, 1])
def test_bars_are_as_long_as_the_sums_of_squares_brought_to_length_1(which: int) -> None:
    squares = podnet.maps()[which][0, 0].double().numpy() ** 2
    sums = np.concatenate([squares.sum(1), squares.sum(0)])
    bars = marks(podnet.picture().drawings[which], "rect", "")[64:]
    longs = [float(bar.get("width" if i < 8 else "height")) for i, bar in enumerate(bars)]
    np.testing.assert_allclose(longs, podnet.LONG * sums / np.sqrt((sums**2).sum()), rtol=1e-3)


def test_the_student_differs_from_the_teacher_in_columns_alone() -> None:
    teacher, student = (pooled(each)[0] for each in podnet.maps())
    torch.testing.assert_close(teacher[:8], student[:8])
    said = float(re.search(r"the loss is (\d\.\d\d)", podnet.picture().says)[1])
    assert said == pytest.approx(float((teacher[8:] - student[8:]).norm()), abs=0.006)
