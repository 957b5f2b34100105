"""Every page of the built book, in a real browser, with no network: `make book` comes first."""

import json
import os
import re
from collections.abc import Iterator
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from conftest import BROWSER

SITE = Path(__file__).parent.parent / "_build" / "html"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.glob("book/**/*.html"))
LOOKS = [(name, scheme) for name in PAGES for scheme in ("light", "dark")]
WHY_NOT = "no built book: run `make book`" if not PAGES else "no Chromium to look with"
# The theme's own, on every page of every book that uses it.
THEMES_OWN = {"label-content-name-mismatch", "region"}
HEAVIEST = 1_500_000  # bytes of a page, beside what all pages share; and of the first page with it
WIDE = "all => all.filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent)"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (PAGES and BROWSER) and not os.environ.get("CI"), reason=WHY_NOT),
]


def test_there_are_pages_and_a_browser_to_look_at_them() -> None:
    assert PAGES, "run `make book` first"
    assert BROWSER, "install Chromium"


def look(browser: Any, name: str, width: int = 1200, **options: Any) -> Any:
    """Open a page with no network; whatever goes wrong on it is in `page.trouble`."""
    size = {"width": width, "height": 900}
    page = browser.new_context(viewport=size, offline=True, **options).new_page()
    page.trouble = []
    page.on("pageerror", lambda error: page.trouble.append(f"script: {error}"))
    page.on("requestfailed", lambda failed: page.trouble.append(f"request: {failed.url}"))
    page.on("console", lambda m: m.type == "error" and page.trouble.append(m.text))
    path, _, query = name.partition("?")
    page.goto((SITE / path).as_uri() + f"?{query}")
    return page


@pytest.fixture
def visit(browser: Any, request: pytest.FixtureRequest) -> Any:
    """Open a page for one test alone."""

    def open_page(name: str, **options: Any) -> Any:
        page = look(browser, name, **options)
        request.addfinalizer(page.context.close)
        return page

    return open_page


@pytest.fixture(scope="module", params=LOOKS, ids=" ".join)
def page(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Open a page in one colour scheme, once for all tests that ask for it."""
    name, scheme = request.param
    page = look(browser, name, color_scheme=scheme)
    yield page
    page.context.close()


@pytest.fixture(scope="module", params=LOOKS, ids=" ".join)
def page_on_a_phone(browser: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    name, scheme = request.param
    page = look(browser, name, width=360, color_scheme=scheme)
    yield page
    page.context.close()


def test_a_page_loads_with_no_network_and_no_error(page: Any) -> None:
    assert page.trouble == []


def test_every_formula_is_set(page: Any) -> None:
    assert page.locator(".math").count() == page.locator(".math > math").count()


def test_a_page_is_open_to_everyone(page: Any) -> None:
    import axe_playwright_python

    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    ours = {rule["id"]: [node["html"][:120] for node in rule["nodes"]][:3] for rule in found}
    assert {rule: nodes for rule, nodes in ours.items() if rule not in THEMES_OWN} == {}


def films(page: Any) -> Iterator[tuple[Any, list[list[str]]]]:
    """Return the films of a page, and the first group of their frames; no guess is made."""
    for figure in page.locator("figure.cil-moving").all():
        frames = json.loads(figure.locator('script[type="application/json"]').text_content())
        for skip in figure.locator("[value=skip]").all():
            skip.click()
        yield figure, [frame for frame in frames if frame[3] == frames[0][3]]


def test_moving_figures_answer_to_the_keyboard_with_what_the_data_say(page: Any) -> None:
    for figure, frames in films(page):
        slider, says = figure.locator(".cil-controls input").last, figure.locator("output")
        assert says.text_content() == "{}: {}".format(*frames[0])
        slider.focus()
        page.keyboard.press("End")
        page.keyboard.press("Home")
        assert says.text_content() == "{}: {}".format(*frames[0])
        page.keyboard.press("ArrowRight")
        assert says.text_content() == "{}: {}".format(*frames[1])
        page.keyboard.press("End")
        assert says.text_content() == "{}: {}".format(*frames[-1])


def test_moving_figures_answer_to_the_mouse(page: Any) -> None:
    for figure, frames in films(page):
        slider = figure.locator(".cil-controls input").last
        slider.click(position={"x": 3, "y": slider.bounding_box()["height"] / 2})
        assert figure.locator("output").text_content() == "{}: {}".format(*frames[0])


FROM_PICTURE_TO_SLIDER = """(film) => {
    const box = (element) => element.getBoundingClientRect();
    const slider = [...film.querySelectorAll(".cil-controls input")].at(-1);
    const header = document.querySelector(".bd-header-article"); // it stays on top
    return box(header).height + box(slider).bottom - box(film.querySelector("svg")).top;
}"""


WITH_FILMS = [
    name
    for name in PAGES
    if "/zh/" not in name and '"cil-figure cil-moving"' in (SITE / name).read_text("utf-8")
]


@pytest.mark.parametrize("name", WITH_FILMS)
def test_where_a_page_is_doubled_a_film_fits_on_the_screen_with_its_sliders(
    name: str, visit: Any
) -> None:
    page = visit(name, width=640)
    page.set_viewport_size({"width": 640, "height": 400})
    heights = [figure.evaluate(FROM_PICTURE_TO_SLIDER) for figure, _ in films(page)]
    assert max(heights) <= 400


TO_AN_END = """(input) => {
    input.value = input.value === input.max ? input.min : input.max;
    input.dispatchEvent(new Event("input", { bubbles: true }));
}"""


def test_figures_that_compute_are_awake_and_answer(page: Any) -> None:
    before_all = len(page.trouble)  # axe, which looked at this page, asked for files
    for figure in page.locator("figure.cil-alive").all():
        assert figure.get_attribute("data-awake") == "yes"
        shown = figure.locator(".cil-panels, .cil-values")
        before = [each.inner_html() for each in shown.all()]
        figure.locator("input[type=range], input[type=number]").first.evaluate(TO_AN_END)
        assert [each.inner_html() for each in shown.all()] != before
    assert page.trouble[before_all:] == []


def test_at_least_fifteen_figures_of_the_english_pages_compute() -> None:
    """The laboratory is a sixteenth: it is one figure of eight pictures, and is not counted."""
    pages = [SITE / name for name in PAGES if "/zh/" not in name]
    figures = re.compile('<figure class="cil-figure cil-alive"')
    assert sum(len(figures.findall(page.read_text(encoding="utf-8"))) for page in pages) >= 15


def test_nothing_sticks_out_on_a_phone(page_on_a_phone: Any) -> None:
    assert page_on_a_phone.evaluate("document.documentElement.scrollWidth") <= 360


def test_every_formula_fits_a_phone(page_on_a_phone: Any) -> None:
    assert page_on_a_phone.locator("div.math").evaluate_all(WIDE) == []


def test_play_is_not_offered_to_who_wants_no_motion(visit: Any) -> None:
    page = visit("book/05_alignment.html", reduced_motion="reduce")
    assert not page.locator(".cil-play").first.is_visible()


def test_the_search_finds_a_term_of_the_glossary(visit: Any) -> None:
    page = visit("search.html?q=herding")
    page.locator("ul.search li").first.wait_for()
    assert "Exemplars and herding" in page.locator("ul.search").text_content()


class Links(HTMLParser):
    """What a page points to, what can be pointed to in it, and what its pictures say."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.hrefs: list[str] = []
        self.ids: set[str] = set()
        self.alts: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids |= {values[key] or "" for key in ("id", "name") if key in values}
        self.hrefs += [values["href"] or ""] if tag == "a" and "href" in values else []
        self.alts += [values.get("alt") or ""] if tag == "img" else []


@cache
def links(page: Path) -> Links:
    return Links(page)


def leads_somewhere(page: Path, href: str) -> bool:
    parts = urlsplit(href)
    if parts.scheme or href in ("", "#"):
        return True
    target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
    if not target.exists():
        return False
    anchor = unquote(parts.fragment)
    if target.name == "lab.html" and "=" in anchor:  # settings: test_laboratory_page reads them
        return True
    return not anchor or target.suffix != ".html" or anchor in links(target).ids


@pytest.mark.parametrize("name", PAGES)
def test_links_inside_the_book_lead_somewhere(name: str) -> None:
    page = SITE / name
    assert [href for href in links(page).hrefs if not leads_somewhere(page, href)] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_picture_is_described(name: str) -> None:
    poor = [
        alt for alt in links(SITE / name).alts if len(alt) < 4 or re.search(r"\.(png|svg)$", alt)
    ]
    assert poor == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_light(name: str) -> None:
    assert (SITE / name).stat().st_size < HEAVIEST


def test_the_first_visit_is_light(browser: Any) -> None:
    """Script, styles, fonts and search index, too: all that the Welcome page asks for."""
    page, asked = browser.new_page(), set[str]()
    page.on("request", lambda request: asked.add(request.url))
    page.goto((SITE / "book/index.html").as_uri(), wait_until="networkidle")
    files = {Path(unquote(urlsplit(url).path)) for url in asked if url.startswith("file:")}
    assert len(files) > 10
    assert sum(file.stat().st_size for file in files) < HEAVIEST
    page.close()


def test_the_laboratory_is_lighter_still() -> None:
    assert (SITE / "book/lab.html").stat().st_size < 400_000


@pytest.mark.parametrize("setting", ["", "#method=replay&budget=20"])
def test_the_laboratory_of_the_book_trains(setting: str, visit: Any) -> None:
    page = visit("book/lab.html")
    page.evaluate(f"location.hash = '{setting}'")
    budget = page.locator('output[data-value="budget"]').text_content()
    assert budget == ("20" if setting else "50")
    page.locator('[data-step="stage"]').click()
    page.get_by_text("Stage 1 of 5").wait_for()
    assert page.trouble == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_no_other_server_for_anything(name: str) -> None:
    text = (SITE / name).read_text(encoding="utf-8")
    tags = re.findall(r"<(?:script|img|iframe|link) [^>]+>", text)
    asks = [tag for tag in tags if re.search(r'(?:src|href)="https?:', tag)]
    assert [tag for tag in asks if 'rel="canonical"' not in tag] == []
