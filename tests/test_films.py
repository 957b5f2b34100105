"""Films in a browser: single steps, groups of frames, steps with a name, and guesses."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import needs_browser

from cilkit.teaching import Frame, Guess, Moving

pytestmark = [pytest.mark.slow, needs_browser]
HEAD = "<!DOCTYPE html><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
PLAIN = [Frame(f"frame {n}", f"says {n}", f'<circle r="{n}"/>') for n in range(4)]
# Two groups of three frames; the last one of the second is a step that has a name.
GROUPED = [
    Frame(f"{group}, {n}", f"says {n}", f'<circle r="{n}"/>', group, "align" if last else "")
    for group in ("first", "second")
    for n, last in enumerate([False, False, group == "second"])
]
FILMS = {
    "plain": Moving("Plain", "A circle grows.", "step", PLAIN, printed=2),
    "grouped": Moving("Grouped", "It grows twice.", "epoch", GROUPED, printed=4, groups="stage"),
    "asking": Moving(
        "Asking", "It grows.", "step", PLAIN, guess=Guess("How many at the end?", 60.0)
    ),
    "to be read": Moving("To be read", "It grows.", "step", PLAIN, play=False),
}
Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Visit:
    """Open a page with one film, from the disk, with no network."""

    def open_page(name: str, **options: Any) -> Any:
        path = tmp_path / "film.html"
        path.write_text(f"{HEAD}<body>{FILMS[name]._repr_html_()}</body>", "utf-8")
        context = browser.new_context(offline=True, **options)
        request.addfinalizer(context.close)
        page = context.new_page()
        page.goto(path.as_uri())
        return page.locator("figure")

    return open_page


def button(film: Any, name: str) -> Any:
    return film.get_by_role("button", name=name, exact=True)


def told(film: Any) -> str:
    """Return where the film stands, as it says."""
    says, circle = film.locator("output").text_content(), film.locator("circle").get_attribute("r")
    assert says.endswith(f": says {circle}"), "the picture is that of the words"
    return str(says.split(":")[0])


def walk(film: Any, name: str, times: int) -> list[str]:
    """Press a button a few times; return where that leads."""
    places = []
    for _ in range(times):
        button(film, name).press("Enter")
        places.append(told(film))
    return places


def test_buttons_take_single_steps_and_stop_at_both_ends(visit: Visit) -> None:
    film = visit("plain")
    ways = "frame 1", "frame 2", "frame 3", "frame 3"
    assert walk(film, "one step on", 4) == [*ways]
    assert walk(film, "one step back", 4) == ["frame 2", "frame 1", "frame 0", "frame 0"]


def test_a_button_that_leads_nowhere_says_so_and_keeps_the_focus(visit: Visit) -> None:
    film = visit("plain")
    assert button(film, "one step back").get_attribute("aria-disabled") == "true"
    walk(film, "one step on", 3)
    assert button(film, "one step on").get_attribute("aria-disabled") == "true"
    assert button(film, "one step on").evaluate("e => e === document.activeElement")


@pytest.mark.parametrize("name", FILMS)
def test_on_a_phone_buttons_are_large_enough_for_a_finger_and_nothing_sticks_out(
    name: str, visit: Visit
) -> None:
    film = visit(name, viewport={"width": 360, "height": 700})
    boxes = [each.bounding_box() for each in film.locator("button:visible").all()]
    assert min(min(box["width"], box["height"]) for box in boxes) >= 36
    assert film.page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_step_is_heard_when_a_button_takes_it_and_not_while_it_plays(visit: Visit) -> None:
    film = visit("plain")
    says = film.locator("output")
    walk(film, "one step on", 1)
    assert says.get_attribute("aria-live") == "polite"
    button(film, "Play").click()
    film.locator("output", has_text="frame 2").wait_for()
    assert says.get_attribute("aria-live") == "off"


def test_one_slider_moves_within_a_stage_and_the_other_keeps_the_place_in_it(visit: Visit) -> None:
    film = visit("grouped")
    stage, epoch = film.get_by_label("stage"), film.get_by_label("epoch")
    epoch.press("End")
    assert told(film) == "first, 2"
    stage.press("End")
    assert told(film) == "second, 2"
    epoch.press("Home")
    assert told(film) == "second, 0"
    stage.press("Home")
    assert told(film) == "first, 0"


def test_both_sliders_say_where_the_film_stands(visit: Visit) -> None:
    film = visit("grouped")
    walk(film, "one step on", 4)
    for slider in ("stage", "epoch"):
        words = film.get_by_label(slider).get_attribute("aria-valuetext")
        assert words == film.locator("output").text_content()
    assert film.get_by_label("stage").input_value() == "1"


def test_a_step_with_a_name_has_a_button_that_works_before_it_alone(visit: Visit) -> None:
    film = visit("grouped")
    assert walk(film, "align", 1) == ["first, 0"]
    assert walk(film, "one step on", 4)[-1] == "second, 1"
    assert button(film, "align").get_attribute("aria-disabled") == "false"
    assert walk(film, "align", 2) == ["second, 2", "second, 2"]


def test_play_waits_before_a_step_with_a_name_and_after_it(visit: Visit) -> None:
    film = visit("grouped")
    for place in ("second, 1", "second, 2"):
        button(film, "Play").click()
        button(film, "Play").wait_for()  # in between it is called Pause
        assert told(film) == place


def test_where_each_frame_is_to_be_read_there_is_no_play(visit: Visit) -> None:
    film = visit("to be read")
    assert film.get_by_role("button").count() == 2
    assert walk(film, "one step on", 1) == ["frame 1"]


def test_a_film_that_asks_does_not_move_before_there_is_an_answer(visit: Visit) -> None:
    film = visit("asking")
    assert told(film) == "frame 0"
    names = [each.text_content() for each in film.locator("button:visible").all()]
    assert names == ["That is my guess", "Skip"]


@pytest.mark.parametrize(
    ("guess", "verdict"),
    [("70", "10.0 points too high"), ("40", "20.0 points too low"), ("60", "just that")],
)
def test_a_guess_is_kept_and_compared_with_the_answer_at_the_end(
    guess: str, verdict: str, visit: Visit
) -> None:
    film = visit("asking")
    film.get_by_label("How many at the end?").fill(guess)
    button(film, "That is my guess").click()
    said = film.locator(".cil-guess")
    assert said.text_content() == f"You expect {guess} %."
    walk(film, "one step on", 3)
    assert said.text_content() == f"You expected {guess} %: {verdict}."


def test_a_guess_can_be_passed_over(visit: Visit) -> None:
    film = visit("asking")
    button(film, "Skip").press("Enter")
    assert button(film, "one step on").evaluate("e => e === document.activeElement")
    assert walk(film, "one step on", 3)[-1] == "frame 3"
    assert film.locator(".cil-guess").text_content() == ""


@pytest.mark.parametrize("name", FILMS)
def test_where_no_script_runs_a_film_shows_the_frame_for_paper_and_no_control(
    name: str, visit: Visit
) -> None:
    film = visit(name, java_script_enabled=False)
    assert told(film) == FILMS[name].frames[FILMS[name].printed].at
    assert film.locator("button:visible, input:visible, label:visible").count() == 0


@pytest.mark.parametrize("name", FILMS)
def test_paper_shows_the_frame_for_paper_and_no_control(name: str, visit: Visit) -> None:
    film = visit(name)
    film.page.emulate_media(media="print")
    film.page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert told(film) == FILMS[name].frames[FILMS[name].printed].at
    assert film.locator("button:visible, input:visible, label:visible").count() == 0
    assert not re.search("How many", film.inner_text())


@pytest.mark.parametrize("name", FILMS)
def test_a_film_is_open_to_everyone(name: str, visit: Visit) -> None:
    import axe_playwright_python

    page = visit(name).page
    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run('figure', {resultTypes: ['violations']})")["violations"]
    assert [rule["id"] for rule in found] == []
