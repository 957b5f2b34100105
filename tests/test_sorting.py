"""The table of methods is sorted by its headings, in a browser; with no script it is a table."""

from pathlib import Path
from typing import Any

import pytest
from conftest import needs_browser

BOOK = Path(__file__).parents[1] / "book"
pytestmark = [pytest.mark.slow, needs_browser]
ROWS = [("joint", "97.5 ± 0.5", "10.5"), ("der", "92.4 ± 1.0", "11"), ("ewc", "9.5 ± 1.2", "3.6")]
HEADS = ("method", "last", "cost")


def html() -> str:
    """Return a page with such a table, as Sphinx writes it, and the book's own script and look."""
    head = "".join(f'<th class="head"><p>{name}</p></th>' for name in HEADS)
    rows = "".join(f"<tr>{''.join(f'<td><p>{c}</p></td>' for c in row)}</tr>" for row in ROWS)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Methods</title>'
        '<meta name="viewport" content="width=device-width">'
        f"<style>{(BOOK / '_static/course.css').read_text()}</style></head>"
        "<body><main><h1>Methods</h1><table><tr><td>another</td></tr></table>"
        f"<div><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f"<script>{(BOOK / '_ext/sorting.js').read_text()}</script></main></body></html>"
    )


@pytest.fixture
def visit(browser: Any, tmp_path: Path, request: pytest.FixtureRequest) -> Any:
    path = tmp_path / "table.html"
    path.write_text(html(), "utf-8")

    def open_page(**options: Any) -> Any:
        context = browser.new_context(offline=True, **options)
        request.addfinalizer(context.close)
        page = context.new_page()
        page.goto(path.as_uri())
        return page

    return open_page


def first_column(page: Any) -> list[str]:
    return page.locator("tbody tr td:first-child p").all_text_contents()


def sorts(page: Any) -> list[str | None]:
    return [head.get_attribute("aria-sort") for head in page.locator("th").all()]


def test_it_says_at_first_by_what_it_is_sorted(visit: Any) -> None:
    assert sorts(visit()) == [None, "descending", None]


def test_a_heading_sorts_numbers_from_the_highest_then_from_the_lowest(visit: Any) -> None:
    page = visit()
    cost = page.get_by_role("button", name="cost")
    cost.click()
    assert (first_column(page), sorts(page)) == (
        ["der", "joint", "ewc"],
        [None, None, "descending"],
    )
    cost.click()
    assert (first_column(page), sorts(page)) == (["ewc", "joint", "der"], [None, None, "ascending"])


def test_numbers_are_compared_by_their_value(visit: Any) -> None:
    """As words, 9.5 would come after 92.4 and 97.5."""
    page = visit()
    page.get_by_role("button", name="last").click()
    assert first_column(page) == ["ewc", "der", "joint"]


def test_words_are_sorted_from_their_first_letter_on(visit: Any) -> None:
    page = visit()
    page.get_by_role("button", name="method").click()
    assert (first_column(page), sorts(page)[0]) == (["der", "ewc", "joint"], "ascending")


def test_the_keyboard_reaches_every_heading_and_sorts(visit: Any) -> None:
    page = visit()
    for name in HEADS:
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == name
    page.keyboard.press("Enter")
    assert first_column(page) == ["der", "joint", "ewc"]
    page.keyboard.press("Space")
    assert first_column(page) == ["ewc", "joint", "der"]
    assert page.evaluate("document.activeElement.textContent") == "cost"


def test_with_no_script_it_is_a_table_without_buttons(visit: Any) -> None:
    page = visit(java_script_enabled=False)
    assert page.locator("button").count() == 0
    assert page.get_by_text("92.4 ± 1.0").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_open_to_everyone(scheme: str, visit: Any) -> None:
    import axe_playwright_python

    page = visit(color_scheme=scheme)
    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    assert [rule["id"] for rule in found] == []


def test_on_a_phone_nothing_sticks_out_and_headings_are_high_enough_for_a_finger(
    visit: Any,
) -> None:
    page = visit(viewport={"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    boxes = [button.bounding_box() for button in page.get_by_role("button").all()]
    assert min(box["height"] for box in boxes) >= 24
