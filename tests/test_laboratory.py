"""The laboratory's engine, in a browser, against the package and against paper and pencil."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from benchmarks.laboratory import LABORATORY
from conftest import Herding, needs_browser
from exact import exact_run
from test_functional import (
    DEGENERATE,
    KINDS,
    TEMPERATURES,
    excess,
    generic_features,
    prototypes,
    softmax,
    two_logits,
)

from cilkit import build, herd
from cilkit.config import Config
from cilkit.data.sources.digits import digits
from cilkit.functional import alignment
from cilkit.teaching import laboratory
from cilkit.teaching.lab import packed_digits
from cilkit.teaching.moving import asset

pytestmark = [pytest.mark.slow, needs_browser]

# A learning in JavaScript, step by step, with what the package was given; floats are of 64 bits
# where `exact`.
FOLLOW = """([settings, given, exact]) => {
    const e = cilkitLab.engine, found = [];
    const digits = JSON.parse(document.querySelector(".cil-digits").textContent);
    const Real = exact ? Float64Array : Float32Array;
    const data = e.unpack(digits.images, digits.labels, digits.train, Real);
    const byte = (level) => Math.round(level * 255 / 16);
    const bytes = (row) => Array.from(data.levels.subarray(row * 64, row * 64 + 64), byte);
    for (const event of e.learn(data, settings, given)) {
        const { kind, n_seen, network, gamma, confusion } = event;
        const weights = Array.from(network.weights.slice(0, e.HEAD + n_seen * 64));
        if (kind === "epoch") found.push({ weights });
        if (kind !== "stage") continue;
        const memory = event.memory.map((rows) => rows.map(bytes));
        found.push({ weights, gamma, confusion, memory });
        if (event.stage === 1) return found;
    }
}"""


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a page that holds the laboratory and nothing else, from the disk, with no network."""
    path = tmp_path_factory.mktemp("lab") / "lab.html"
    html = f"<!DOCTYPE html><meta charset='utf-8'><body>{laboratory()._repr_html_()}</body>"
    path.write_text(html, encoding="utf-8")
    context = browser.new_context(offline=True)
    opened = context.new_page()
    opened.set_default_timeout(600_000)
    opened.goto(path.as_uri())
    yield opened
    context.close()


def engine(page: Any, call: str, *arguments: Any) -> Any:
    """Evaluate an expression of the engine `e` and the arguments `a`."""
    return page.evaluate(f"(a) => {{ const e = cilkitLab.engine; return {call}; }}", arguments)


def rows(tensor: Any) -> list[float]:
    return tensor.double().flatten().tolist()


# The data


def test_the_page_holds_the_digits_of_the_package_in_the_same_parts(page: Any) -> None:
    data = digits(Config())
    found = page.evaluate("[Array.from(cilkitLab.data.levels), Array.from(cilkitLab.data.labels)]")
    parts = [data.train, data.test]
    bytes_ = torch.cat([part.images() for part in parts]).flatten().tolist()
    assert [int(np.rint(level * 255 / 16)) for level in found[0]] == bytes_
    assert found[1] == torch.cat([part.labels for part in parts]).tolist()
    assert page.evaluate("cilkitLab.data.n_train") == len(data.train)


def test_the_network_sees_pixels_normalised_as_the_package_does(page: Any) -> None:
    data = digits(Config())
    expected = (data.train.images().double() / 255 - data.mean[0]) / data.std[0]
    found = page.evaluate("Array.from(cilkitLab.data.images.slice(0, 64 * cilkitLab.data.n_train))")
    np.testing.assert_allclose(found, rows(expected), atol=1e-6)


def test_digits_and_engine_are_small() -> None:
    assert len(json.dumps(packed_digits())) <= 100_000
    assert len(asset("lab/engine.js").encode()) < 25_000


# Distillation


@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_the_gradient_of_distillation_is_the_one_derived_by_hand(
    page: Any, temperature: float
) -> None:
    student, teacher = two_logits()
    q, p = (softmax(logits.numpy() / temperature) for logits in (student, teacher))
    call = "Array.from(e.kd_gradient(a[0], a[1], 5, 7, 7, a[2], new Float64Array(35)))"
    found = engine(page, call, rows(student), rows(teacher), temperature)
    np.testing.assert_allclose(found, ((q - p) / (temperature * 5)).flatten(), atol=1e-14)


def test_distillation_looks_at_the_old_classes_alone(page: Any) -> None:
    student, teacher = two_logits()
    call = "Array.from(e.kd_gradient(a[0], a[1], 5, 4, 7, 2, new Float64Array(20)))"
    found = engine(page, call, rows(student), rows(teacher[:, :4]))
    q, p = (softmax(logits[:, :4].numpy() / 2) for logits in (student, teacher))
    np.testing.assert_allclose(found, ((q - p) / 10).flatten(), atol=1e-14)


def test_the_gradient_of_huge_logits_stays_finite(page: Any) -> None:
    huge = [rows(1e6 * logits) for logits in two_logits()]
    assert np.isfinite(engine(page, "e.kd_gradient(a[0], a[1], 5, 7, 7, 2, [])", *huge)).all()


# Alignment


def test_gamma_is_the_packages(page: Any) -> None:
    weight = prototypes()
    found = engine(page, "e.alignment(a[0], 5)", weight.norm(dim=1).tolist())
    assert found == pytest.approx(alignment(weight, 5).item())


ALIGNED = """(([weights, n_old, n]) => {
    const network = e.network_of(new Float64Array(e.SIZE), n);
    network.head.set(weights);
    e.align(network, n_old, e.alignment(e.lengths(network.head, n), n_old));
    return e.lengths(network.head, n);
})(a)"""


def wide_prototypes() -> Any:
    """5 old and 3 longer new ones, of as many numbers as the laboratory's have."""
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(8, 64, generator=generator, dtype=torch.float64)
    weight[5:] *= 2.5
    return weight


def test_aligned_prototypes_have_equal_mean_lengths_and_the_old_ones_stay(page: Any) -> None:
    weight = wide_prototypes()
    lengths = engine(page, ALIGNED, rows(weight), 5, 8)
    assert lengths[:5] == pytest.approx(weight[:5].norm(dim=1).tolist())
    assert np.mean(lengths[:5]) == pytest.approx(np.mean(lengths[5:]))


def test_alignment_keeps_the_order_of_the_new_lengths(page: Any) -> None:
    weight = wide_prototypes()
    lengths = engine(page, ALIGNED, rows(weight), 5, 8)
    assert np.argsort(lengths[5:]).tolist() == weight[5:].norm(dim=1).argsort().tolist()


def test_prototypes_of_no_length_are_refused_with_a_sentence(page: Any) -> None:
    call = "(() => { try { e.align({}, 5, 0); } catch (error) { return error.message; } })()"
    assert engine(page, call) == "γ is 0: prototypes of length 0 or infinity cannot be aligned"


# Herding


def herded(page: Any, features: Any, m: int) -> list[int]:
    found: list[int] = engine(
        page, "e.herd(a[0], a[1], a[2], a[3])", rows(features), *features.shape, m
    )
    return found


@pytest.mark.parametrize("m", [1, 7, 40])
@pytest.mark.parametrize("kind", KINDS)
def test_herding_is_algorithm_4_where_there_are_no_ties(
    kind: str, m: int, page: Any, algorithm_4: Herding
) -> None:
    for seed in range(3):
        features = generic_features(kind, seed)
        assert herded(page, features, m) == algorithm_4(features, m)


@pytest.mark.parametrize("kind", DEGENERATE)
def test_each_pick_is_a_closest_one_where_there_are_ties(kind: str, page: Any) -> None:
    features = DEGENERATE[kind]
    assert excess(features, herded(page, features, 20)) < 1e-9


@pytest.mark.parametrize("m", [0, 1, 4, 9, 30])
@pytest.mark.parametrize("kind", DEGENERATE)
def test_herding_repeats_no_row_and_chooses_as_many_as_there_are(
    kind: str, m: int, page: Any
) -> None:
    features = DEGENERATE[kind]
    assert len(set(herded(page, features, m))) == min(m, len(features))


def test_of_equal_rows_herding_chooses_the_first(page: Any) -> None:
    generator = torch.Generator().manual_seed(8)
    kinds = torch.arange(30).repeat(3)[torch.randperm(90, generator=generator)]  # a row's kind
    order = torch.tensor(herded(page, torch.randn(30, 64, generator=generator)[kinds], 90))
    for kind in range(30):
        assert order[kinds[order] == kind].tolist() == (kinds == kind).nonzero().flatten().tolist()


def test_herding_sees_differences_that_float32_does_not(page: Any) -> None:
    features = torch.tensor([[-2.0], [1.0], [1.0 - 1e-12]], dtype=torch.float64)
    assert herded(page, features, 1) == herd(features, 1).tolist() == [2]


def test_of_no_rows_herding_chooses_none(page: Any) -> None:
    assert herded(page, torch.empty(0, 6), 5) == []


# Whole stages


def settings_of(config: Config) -> dict[str, Any]:
    """Return a run of the package as the laboratory is asked for it."""
    has = {
        "finetune": (False, False, False),
        "lwf": (False, True, False),
        "replay": (True, False, False),
        "replay-kd": (True, True, False),
        "wa": (True, True, True),
        "joint": (False, False, False),
    }[config.method]
    asked = dict(zip(("exemplars", "teacher", "align"), has, strict=True))
    names = ["budget", "budget_per", "kd_weight", "kd_mix", "temperature", "kd_t_squared"]
    names += ["clip_weights", "weight_decay", "lr", "epochs", "batch_size", "increment"]
    # The laboratory's orders are natural or a list; a setting may be a seed, too.
    order = list(range(10)) if config.class_order == "natural" else list(config.class_order)  # type: ignore[arg-type]
    settings = vars(config) | vars(config.others)
    asked |= {name: settings[name] for name in names}
    return asked | {"class_order": order, "joint": config.method == "joint"}


def confusion(predicted: list[int], config: Config, stages: int = 2) -> list[list[int]]:
    """Return the confusion matrix of the package's predictions after so many stages."""
    labels = build(config)[1].stages[stages - 1].test.labels.tolist()
    counts = np.zeros((2 * config.increment, 2 * config.increment), dtype=int)
    np.add.at(counts, (labels, predicted), 1)
    return counts.tolist()


MIXES = {
    "added, times T²": {},
    "added, as it is": {"kd_t_squared": False},
    "mixed, times T²": {"kd_mix": "convex", "kd_weight": "dynamic"},
    "mixed, as it is": {"kd_mix": "convex", "kd_t_squared": False, "temperature": 4.0},
}
RUNS: dict[str, Config] = {
    f"{method}, {mix}": replace(LABORATORY, method=method, epochs=4, **changes)
    for method in ("finetune", "lwf", "replay", "replay-kd", "wa")
    for mix, changes in MIXES.items()
    if mix == "added, times T²" or method in ("lwf", "replay-kd", "wa")
}
RUNS |= {
    "joint": replace(LABORATORY, method="joint", epochs=2),
    "wa, clipped": replace(LABORATORY, epochs=4, clip_weights=True),
    "wa, a budget for each class": replace(LABORATORY, epochs=4, budget=7, budget_per="class"),
    "wa, another order, five at a time": replace(
        LABORATORY, epochs=3, increment=5, class_order=(3, 1, 4, 5, 9, 2, 6, 8, 7, 0)
    ),
    "wa, one at a time, odd batches": replace(LABORATORY, epochs=3, increment=1, batch_size=27),
    "wa, all its epochs": LABORATORY,
}


@pytest.mark.parametrize("name", RUNS)
def test_after_two_stages_the_engine_knows_what_the_package_does(name: str, page: Any) -> None:
    """Weights in float64 and in float32; exemplars, gamma and predictions the same in both."""
    config = RUNS[name]
    given = exact_run(config)
    expected = given.pop("came_out")
    for exact, bound in ((True, 1e-8), (False, 1e-4)):
        found = page.evaluate(FOLLOW, [settings_of(config), given, exact])
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one["weights"], other["weights"], atol=bound, rtol=0)
        assert found[-1]["memory"] == expected[-1]["memory"]
        assert found[-1]["gamma"] == (
            pytest.approx(expected[-1]["gamma"], rel=1e-5) if "gamma" in expected[-1] else None
        )
        assert found[-1]["confusion"] == confusion(expected[-1]["predicted"], config)


@pytest.mark.parametrize(("exact", "bound"), [(True, 1e-10), (False, 1e-6)])
def test_one_step_is_torchs(exact: bool, bound: float, page: Any) -> None:
    config = replace(LABORATORY, epochs=1, batch_size=1000)  # a stage is one step
    given = exact_run(config)
    first = given.pop("came_out")[0]["weights"]
    found = page.evaluate(FOLLOW, [settings_of(config), given, exact])[0]["weights"]
    np.testing.assert_allclose(found, first, atol=bound, rtol=0)
