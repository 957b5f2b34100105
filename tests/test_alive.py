"""Figures that compute in the page show what the package computes, in a browser, state by state."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from conftest import needs_browser

from cilkit import Config, DataSet, build_scenario
from cilkit.teaching.alive import Alive
from cilkit.teaching.chapters.feeding import cores_to_feed
from cilkit.teaching.chapters.gamma import accuracy_by_gamma
from cilkit.teaching.chapters.measures import measure_by_measure, reliability_by_temperature
from cilkit.teaching.chapters.nearest import cost_of_herding, nearest_mean_by_budget
from cilkit.teaching.chapters.plane import prototypes_in_the_plane
from cilkit.teaching.chapters.playground import herding_playground
from cilkit.teaching.chapters.setting import classes_dealt, images_at_hand
from cilkit.teaching.chapters.shares import accuracy_by_padding, shares_by_processes
from cilkit.teaching.chapters.temperature import pulls_by_temperature, teacher_by_temperature

pytestmark = [pytest.mark.slow, needs_browser]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


nan = float("nan")
LABELS = torch.arange(60) % 6
LOGITS = noise(60, 6) * 2 + 2 * torch.nn.functional.one_hot(LABELS)
LOGITS[:, 4:] += 2
IMAGES = torch.randint(0, 256, (3, 1, 8, 8), generator=torch.Generator().manual_seed(1)).byte()
TAUGHT, MINE = 3 * noise(3, 4, seed=2), 3 * noise(3, 4, seed=3)
MATRIX = torch.tensor([[80, nan, nan], [70, 82, nan], [76, 88, 84]]).double().numpy()
CELLS = {"r0_0": 80.0, "r1_0": 70.0, "r1_1": 82.0, "r2_0": 76.0, "r2_1": 88.0, "r2_2": 84.0}
ARROWS = dict(zip(("old_length", "new_length", "image_length"), (1.0, 1.3, 1.0), strict=True))

CENTRES = noise(3, 8, seed=5)
SEEN_LABELS, ASKED_LABELS = torch.arange(120) % 3, torch.arange(45) % 3
SEEN, ASKED = (
    torch.nn.functional.normalize((noise(len(part), 8, seed=i) + CENTRES[part]).relu(), dim=1)
    for i, part in enumerate((SEEN_LABELS, ASKED_LABELS))
)
RIGHT = [i % 7 not in (1, 2) for i in range(60)]
PLACED = noise(15, 2, seed=8).sigmoid().numpy().round(3)
SPOTS = " ".join(f"{value:g}" for value in PLACED.flatten())
SIX = torch.arange(6).repeat_interleave(2)
SHADES = (40 * SIX)[:, None, None, None].expand(-1, 1, 4, 4).byte()
SCENARIO = build_scenario(DataSet.of(SHADES, SIX, SHADES, SIX), Config(class_order=7))

# For each figure, states beside the one at the start.
FIGURES: dict[str, tuple[Alive, list[dict[str, Any]]]] = {
    "gamma": (
        accuracy_by_gamma(LOGITS, LABELS, 4, 0.71, "abcd<&"),
        [{"gamma": gamma} for gamma in (0.2, 0.57, 1.31, 2.0)],
    ),
    "plane": (
        prototypes_in_the_plane(),
        [
            ARROWS | {"old_angle": 60, "new_angle": 120, "image_angle": 0},
            ARROWS | {"old_angle": 10, "new_angle": -80, "image_angle": 10},
            ARROWS | {"old_angle": 45, "new_angle": 45, "image_angle": 90, "new_length": 1.0},
        ],
    ),
    "temperature": (
        teacher_by_temperature(IMAGES, TAUGHT, MINE, ("one", "two", "3 < 4"), "abcd"),
        [{"image": 1, "T": 0.25}, {"image": 2, "T": 16.0}, {"image": 2, "T": 2**1.5}],
    ),
    "pulls": (pulls_by_temperature(MINE, TAUGHT), [{"T": 0.25}, {"T": 2**0.5}, {"T": 16.0}]),
    "measures": (
        measure_by_measure(MATRIX, [50, 10, 10]),
        [{"metric": str(i)} | CELLS for i in range(11)]
        + [{"metric": str(i)} | CELLS | {"r2_0": 90.5, "r2_2": 10.0} for i in (0, 5, 7, 9)],
    ),
    "reliability": (
        reliability_by_temperature(LOGITS, LABELS, 4),
        [
            {"T": 0.25, "bins": 2, "groups": "two"},
            {"T": 4.0, "bins": 40, "groups": "one"},
            {"T": 2**0.5, "bins": 15, "groups": "two"},
        ],
    ),
}
FIGURES |= {
    "hand": (
        images_at_hand(SCENARIO),
        [
            {"stage": 3, "base": 0, "increment": 2, "order": "natural", "budget": 13},
            {"stage": 4, "base": 3, "increment": 1, "order": "3", "budget": 20},
            {"stage": 1, "base": 4, "increment": 3, "order": "1993", "budget": 0},
        ],
    ),
    "dealt": (
        classes_dealt(),
        [
            {"base": 0, "increment": 5, "seed": 0},
            {"base": 50, "increment": 7, "seed": 3},
            {"base": 95, "increment": 7, "seed": 3},
            {"base": 100, "increment": 10, "seed": 2**32 - 1},
        ],
    ),
    "nearest": (
        nearest_mean_by_budget(SEEN, SEEN_LABELS, ASKED, ASKED_LABELS, "abc"),
        [
            {"budget": 1, "way": "random", "draw": 10},
            {"budget": 7, "way": "herding", "draw": 1},
            {"budget": 30, "way": "random", "draw": 3},
        ],
    ),
    "playground": (
        herding_playground(PLACED),
        [
            {"budget": 1, "points": SPOTS, "draw": 0, "selected": -1},
            {"budget": 7, "points": SPOTS, "draw": 3, "selected": 2},
            {"budget": 15, "points": SPOTS, "draw": 40, "selected": 0},
            {"budget": 9, "points": "0.1 0.2 0.5 0.5 0.9 0.1", "draw": 0, "selected": 1},
            {"budget": 1, "points": "0.5 0.5 0.53 0.5 0.9 0.1", "draw": 0, "selected": 2},
        ],
    ),
    "cost": (cost_of_herding(), [{"n": 130, "m": 20}, {"n": 5, "m": 5}, {"n": 130, "m": 100}]),
    "feeding": (
        cores_to_feed({"image by image": 411.26, "in batches": 61.04}),
        [{"thousands": 1, "cores": 1}, {"thousands": 60, "cores": 16}],
    ),
    "shares": (
        shares_by_processes(RIGHT),
        [{"images": images, "processes": n} for images in (2, 7, 24) for n in range(1, 7)],
    ),
    "padding": (accuracy_by_padding(RIGHT), [{"images": 5}, {"images": 29}, {"images": 60}]),
}
STATES = [
    pytest.param(name, state, id=f"{name} {i}")
    for name, (figure, states) in FIGURES.items()
    for i, state in enumerate([figure.start(), *states])
]

SET = """([script, values]) => {
    const figure = document.querySelector(`figure[data-script="${script}"]`);
    for (let time = 0; time < 2; time++) {  // a slider may reach further after others have moved
    for (const [key, value] of Object.entries(values)) {
        for (const input of figure.querySelectorAll(`[data-key="${key}"]`)) {
            if (input.type === "radio") input.checked = +input.value === value;
            else if (input.type === "checkbox") input.checked = value;
            else input.value = "power" in input.dataset ? Math.log2(value) : value;
        }
    }
    figure.querySelector("form").dispatchEvent(new Event("input"));
    }
    const all = (name, read) => Object.fromEntries(
        [...figure.querySelectorAll(`[data-${name}]`)].map((part) => read(part)));
    return {
        marks: [...figure.querySelectorAll(".cil-frame")].map((frame) => frame.innerHTML),
        says: figure.querySelector(".cil-says").textContent,
        texts: all("text", (part) => [part.dataset.text, part.textContent]),
        looks: all("look", (part) => [part.dataset.key, part.dataset.look]),
    };
}"""
# What a browser makes of marks: elements with no content are closed another way.
PARSED = """(marks) => marks.map((each) => {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.innerHTML = each;
    return svg.innerHTML;
})"""


HEAD = "<!DOCTYPE html><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"


@pytest.fixture(scope="module")
def page(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Return a page that holds every figure, from the disk, with no network."""
    figures = "".join(figure._repr_html_() for figure, _ in FIGURES.values())
    path = tmp_path_factory.mktemp("alive") / "alive.html"
    path.write_text(f"{HEAD}<body>{figures}</body>", "utf-8")
    context = browser.new_context(offline=True)
    opened = context.new_page()
    opened.trouble = []
    opened.on("pageerror", lambda error: opened.trouble.append(str(error)))
    opened.goto(path.as_uri())
    yield opened
    context.close()


@pytest.fixture
def visit(page: Any, browser: Any, request: pytest.FixtureRequest) -> Any:
    """Open the page once more, to be changed by one test alone."""

    def open_page(**options: Any) -> Any:
        context = browser.new_context(offline=True, **options)
        request.addfinalizer(context.close)
        opened = context.new_page()
        opened.goto(page.url)
        return opened

    return open_page


def figure_of(page: Any, name: str) -> Any:
    return page.locator(f'figure[data-script="{name}"]')


def test_a_slider_answers_to_the_keyboard_and_reset_brings_the_start_back(visit: Any) -> None:
    figure = figure_of(visit(), "gamma")
    says = figure.locator(".cil-says")
    start = says.text_content()
    figure.locator("input").focus()
    figure.page.keyboard.press("ArrowLeft")
    assert says.text_content().startswith("γ = 0.99")
    figure.locator(".cil-reset").click()
    assert says.text_content() == start


def test_an_arrow_follows_the_pointer_and_its_fields_say_where_it_is(visit: Any) -> None:
    figure = figure_of(visit(), "plane")
    box = figure.locator("svg").first.bounding_box()
    handle = figure.locator('[data-handle="new"]').bounding_box()
    mouse, unit = figure.page.mouse, box["width"] / 3.2
    mouse.move(handle["x"] + handle["width"] / 2, handle["y"] + handle["height"] / 2)
    mouse.down()
    mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + unit)
    mouse.up()
    fields = [figure.locator(f'[data-key="new_{name}"]') for name in ("length", "angle")]
    assert [float(each.input_value()) for each in fields] == [
        pytest.approx(1, abs=0.01),
        pytest.approx(-90, abs=1),
    ]


def value_of(figure: Any, key: str) -> str:
    return figure.locator(f'[data-key="{key}"]').input_value()


def test_points_are_added_and_removed_and_reset_brings_the_first_ones_back(visit: Any) -> None:
    figure = figure_of(visit(), "playground")
    says = figure.locator(".cil-says")
    start = says.text_content()
    for act, many in [("add", 16), ("add", 17), ("remove", 16)]:
        figure.locator(f'[data-act="{act}"]').click()
        assert says.text_content().startswith(f"4 of {many}, herding")
    figure.locator(".cil-reset").click()
    assert says.text_content() == start


def test_a_point_is_added_where_there_is_room(visit: Any) -> None:
    figure = figure_of(visit(), "playground")
    figure.locator('[data-act="add"]').click()
    points = torch.tensor([float(value) for value in value_of(figure, "points").split()])
    assert torch.cdist(points.view(-1, 2)[-1:], points.view(-1, 2)[:-1]).min() > 0.1
    assert value_of(figure, "selected") == "15"


def test_each_press_of_random_is_another_choice(visit: Any) -> None:
    figure = figure_of(visit(), "playground")
    says = figure.locator(".cil-says")
    for number in (1, 2):
        figure.locator('[data-act="random"]').click()
        assert says.text_content().startswith(f"4 of 15, random choice {number}")
    figure.locator('[data-act="herding"]').click()
    assert says.text_content().startswith("4 of 15, herding")


def test_where_points_lie_close_the_nearest_one_is_meant_and_follows(visit: Any) -> None:
    figure = figure_of(visit(), "playground")
    close = {"budget": 1, "points": "0.5 0.5 0.52 0.5 0.9 0.1", "draw": 0, "selected": -1}
    figure.page.evaluate(SET, ["playground", close])
    figure.scroll_into_view_if_needed()
    box = figure.locator("svg").bounding_box()
    mouse, wide = figure.page.mouse, box["width"]
    mouse.move(box["x"] + 0.5 * wide, box["y"] + 0.5 * wide)  # the second lies on top here
    mouse.down()
    assert value_of(figure, "selected") == "0"
    mouse.move(box["x"] + 0.2 * wide, box["y"] + 0.3 * wide)
    mouse.up()
    x, y, *others = map(float, value_of(figure, "points").split())
    assert (x, y) == (pytest.approx(0.2, abs=0.01), pytest.approx(0.3, abs=0.01))
    assert others == [0.52, 0.5, 0.9, 0.1]


def test_points_are_selected_moved_and_removed_with_the_keyboard(visit: Any) -> None:
    figure = figure_of(visit(), "playground")
    figure.locator("svg").focus()
    for key in ("PageDown", "PageDown", "ArrowLeft", "ArrowUp"):
        figure.page.keyboard.press(key)
    moved = [float(value) for value in value_of(figure, "points").split()][2:4]
    assert moved == pytest.approx([value - 0.02 for value in PLACED[1].tolist()], abs=1e-3)
    figure.page.keyboard.press("Delete")
    assert len(value_of(figure, "points").split()) == 28


def test_a_swipe_over_the_plane_scrolls_unless_it_begins_on_a_point(page: Any) -> None:
    look = "part => getComputedStyle(part).touchAction"
    svg = figure_of(page, "playground").locator("svg")
    assert svg.evaluate(look) == "manipulation"
    assert svg.locator(".handle").first.evaluate(look) == "none"


def test_what_is_heard_waits_until_nothing_moves(visit: Any) -> None:
    figure = figure_of(visit(), "gamma")
    figure.locator("input").fill("0.5")
    figure.locator("input").fill("0.6")
    assert figure.locator(".cil-heard").text_content() == ""
    figure.locator(".cil-heard", has_text="γ = 0.60").wait_for(state="attached")
    assert figure.locator("[aria-live]").count() == 0


def test_where_no_script_runs_a_sentence_says_so_and_no_control_stands_there(visit: Any) -> None:
    page = visit(java_script_enabled=False)
    for name in FIGURES:
        figure = figure_of(page, name)
        assert figure.locator(".cil-asleep").is_visible()
        assert not figure.locator(".cil-controls").is_visible()
        assert all(field.is_disabled() for field in figure.locator("input").all())


def test_with_a_script_that_sentence_is_gone(page: Any) -> None:
    assert not any(each.is_visible() for each in page.locator(".cil-asleep").all())


def test_nothing_sticks_out_on_a_phone_and_handles_are_wide_enough_for_a_finger(
    visit: Any,
) -> None:
    page = visit(viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    sizes = [each.bounding_box()["width"] for each in page.locator("[data-handle]").all()]
    assert min(sizes) >= 24


def test_paper_shows_the_last_state_and_no_control(visit: Any) -> None:
    figure = figure_of(visit(), "gamma")
    figure.locator("input").fill("0.5")
    figure.page.emulate_media(media="print")
    assert figure.locator(".cil-says").text_content().startswith("γ = 0.50")
    assert not figure.locator(".cil-controls").is_visible()


def test_a_page_may_hold_a_figure_twice(browser: Any, tmp_path: Any) -> None:
    html = FIGURES["gamma"][0]._repr_html_()
    path = tmp_path / "twice.html"
    path.write_text(f"<!DOCTYPE html><meta charset='utf-8'><body>{html}{html}</body>", "utf-8")
    page = browser.new_page()
    page.goto(path.as_uri())
    first, second = page.locator("figure").all()
    first.locator("input").fill("0.5")
    assert first.locator(".cil-says").text_content().startswith("γ = 0.50")
    assert second.locator(".cil-says").text_content().startswith("γ = 1.00")
    page.close()


NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def alike(one: str, other: str, within: float) -> None:
    """Compare two texts, and their numbers up to a unit of the last place or `within`."""
    assert NUMBER.sub("#", one.replace("−", "-")) == NUMBER.sub("#", other.replace("−", "-"))
    for some, others in zip(NUMBER.findall(one), NUMBER.findall(other), strict=True):
        last_place = 10.0 ** -len(some.partition(".")[2])
        assert float(some) == pytest.approx(float(others), abs=max(within, 1.01 * last_place))


@pytest.mark.parametrize(("name", "state"), STATES)
def test_the_page_says_and_draws_what_the_package_does(
    name: str, state: dict[str, Any], page: Any
) -> None:
    assert page.trouble == []
    found, wanted = page.evaluate(SET, [name, state]), FIGURES[name][0].draw(**state)
    alike(found["says"], wanted.says, 0)
    assert found["texts"].keys() == wanted.texts.keys()
    for key, words in wanted.texts.items():
        alike(found["texts"][key], words, 0)
    assert {k: v for k, v in found["looks"].items() if v} == {
        k: v for k, v in wanted.looks.items() if v
    }
    for mine, theirs in zip(found["marks"], page.evaluate(PARSED, wanted.marks), strict=True):
        alike(mine, theirs, 0.11)
