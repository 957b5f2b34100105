"""The book on paper, as `make book` printed it: read back, and compared with the pages."""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import BROWSER

ROOT = Path(__file__).parent.parent
BUILD = ROOT / "_build"
SITE = BUILD / "html"
PRINTED = SITE / "cilkit-book.pdf"
TOC = (ROOT / "_toc.yml").read_text(encoding="utf-8")
# Not printed: the Chinese pages, and the laboratory, which does nothing on paper.
LISTED = re.findall(r"(?:file|root): (\S+)", TOC)
PAGES = [name for name in LISTED if "/zh/" not in name and name != "book/lab"]
CHAPTERS = [name for name in PAGES if re.search(r"/\d\d_", name)]
SHEET = 643  # CSS pixels between the margins of A4: 170 mm
# A formula's hidden text is for screen readers; a figure's labels may enter the margin.
STICKING_OUT = """width => [...document.querySelectorAll("body *")].filter((element) =>
    !element.closest("svg") && element.getBoundingClientRect().right > width + 1
).map((element) => element.textContent)"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (PRINTED.exists() and BROWSER) and not os.environ.get("CI"),
        reason="no printed book: run `make book`, with Chromium",
    ),
]


@cache
def reader() -> Any:
    from pypdf import PdfReader

    return PdfReader(PRINTED)


@cache
def sheets() -> list[str]:
    return [page.extract_text() for page in reader().pages]


@cache
def article(name: str) -> Any:
    from bs4 import BeautifulSoup

    html = (SITE / f"{name}.html").read_text(encoding="utf-8")
    return BeautifulSoup(html, "html.parser").article.section


@cache
def document() -> Any:
    from bs4 import BeautifulSoup

    return BeautifulSoup((BUILD / "print.html").read_text(encoding="utf-8"), "html.parser")


def letters(text: str) -> str:
    """Leave what no end of a line, no hyphen and no ligature changes."""
    return re.sub(r"[\W_]", "", unicodedata.normalize("NFKC", text))


def bookmarks() -> list[tuple[str, int]]:
    """Return the bookmarks of the highest level, and the number of each one's sheet."""
    marks = [mark for mark in reader().outline if not isinstance(mark, list)]
    return [(" ".join(m.title.split()), reader().get_destination_page_number(m) + 1) for m in marks]


def printed(name: str) -> str:
    """Return the text of the sheets that a page of the book fills."""
    starts = [number for _, number in bookmarks()] + [len(sheets()) + 1]
    where = PAGES.index(name)
    return letters("".join(sheets()[starts[where] - 1 : starts[where + 1] - 1]))


def pictures() -> Iterator[str]:
    """Yield what each picture of the PDF is called for who cannot see it."""
    waiting = [reader().trailer["/Root"]["/StructTreeRoot"]]
    while waiting:
        element = waiting.pop()
        element = element.get_object() if hasattr(element, "get_object") else element
        if isinstance(element, list):
            waiting += element
        elif isinstance(element, dict):
            if element.get("/S") == "/Figure" and "/Alt" in element:
                yield element["/Alt"]
            waiting += [element["/K"]] if "/K" in element else []


def links() -> list[Any]:
    found = [link.get_object() for page in reader().pages for link in page.get("/Annots", [])]
    return [link for link in found if link["/Subtype"] == "/Link"]


def test_the_bookmarks_name_every_page_of_the_book_in_order() -> None:
    chapters = [f"Chapter {number} " for number in range(1, len(CHAPTERS) + 1)]
    appendices = [f"Appendix {letter} " for letter in "ABCDEFGHIJKL"]
    labels, expected = iter(["", *chapters, *appendices]), []
    for name in PAGES:
        label = "" if name.startswith(("book/methods", "book/howto")) else next(labels)
        expected.append(label + re.sub(r"^\d+ · ", "", article(name).h1.contents[0]))
    assert [text for text, _ in bookmarks()] == expected


def test_the_contents_say_on_which_sheet_a_page_begins() -> None:
    contents = letters("".join(sheets()[1 : bookmarks()[0][1] - 1]))
    missing = [m for m in bookmarks() if letters(f"{m[0]}{m[1]}") not in contents]
    assert missing == []


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_printed_to_its_last_paragraph(name: str) -> None:
    plain = [
        p for p in article(name)("p") if not p.select(".math") and not p.find_parent("details")
    ]
    long = [text for p in plain if len(text := letters(p.get_text())) > 20 and p.get("id") != "pdf"]
    assert long[-1] in printed(name)


@pytest.mark.parametrize("name", PAGES)
def test_every_heading_of_a_page_is_printed(name: str) -> None:
    sheets = printed(name)
    headings = [letters(h.find(string=True)) for h in article(name)(["h2", "h3"])]
    assert [heading for heading in headings if heading not in sheets] == []


def test_every_picture_is_printed_and_described() -> None:
    images = [img for name in PAGES for img in article(name)("img")]
    expected = Counter(img["alt"] for img in images if not img.find_parent(class_="cil-controls"))
    found = Counter(pictures())
    assert expected
    assert {alt: found[alt] for alt in expected} == dict(expected)


def test_a_moving_figure_stands_still_at_two_moments() -> None:
    moving = [f for name in PAGES for f in article(name).select("figure.cil-moving")]
    expected = Counter(figure.svg["aria-label"] for figure in moving)
    found = Counter(pictures())
    assert expected
    assert {title: found[title] for title in expected} == {t: 2 * n for t, n in expected.items()}


def test_a_figure_of_the_package_is_printed_as_it_begins_and_as_it_ends() -> None:
    from pdf import parse, stand_still

    from cilkit.teaching import Frame, Moving

    frames = [Frame(f"stage {n}", f"{n} right", f'<circle r="{n}"/>') for n in range(1, 4)]
    page = parse(Moving("Title", "A circle grows.", "stage", frames)._repr_html_())
    stand_still(page.figure)
    assert [circle["r"] for circle in page("circle")] == ["1", "3"]
    assert [row.get_text(" ") for row in page("tr")] == [f"stage {n} {n} right" for n in (1, 2, 3)]


def test_a_film_in_groups_that_asks_for_a_guess_is_printed_like_any_other() -> None:
    from pdf import parse, stand_still

    from cilkit.teaching import Frame, Guess, Moving

    frames = [Frame(f"{n}", "", f'<circle r="{n}"/>', group) for n, group in enumerate("aaabbb")]
    guess = Guess("How many?", 50)
    film = Moving(
        "Title", "A circle grows.", "stage", frames, printed=2, groups="half", guess=guess
    )
    page = parse(film._repr_html_())
    stand_still(page.figure)
    assert [circle["r"] for circle in page("circle")] == ["2", "5"]
    assert "How many?" not in page.get_text()


def test_a_figure_that_computes_is_printed_at_its_start_with_its_words_and_numbers() -> None:
    from pdf import parse, stand_still

    from cilkit.teaching.chapters.measures import measure_by_measure
    from cilkit.teaching.chapters.plane import prototypes_in_the_plane

    page = parse(prototypes_in_the_plane()._repr_html_())
    stand_still(page.figure)
    assert len(page("svg")) == 2
    assert page(["input", "button", "script"]) == []
    assert page.find(class_="cil-says").get_text().startswith("Sums: old 0.97")

    page = parse(measure_by_measure(np.array([[60.0, np.nan], [50.0, 90.0]]), [5, 5])._repr_html_())
    stand_still(page.figure)
    assert [cell.get_text() for cell in page.select(".cil-cells td")][1:] == ["60", "50", "90"]


def test_a_methods_picture_is_printed_with_its_words() -> None:
    from pdf import parse, stand_still

    from cilkit.teaching.still import Drawing, Still

    drawings = [Drawing("A circle.", '<circle r="1"/>'), Drawing("Another.", '<circle r="2"/>')]
    page = parse(Still("Title", drawings, "Both are round.")._repr_html_())
    stand_still(page.figure)
    assert [circle["r"] for circle in page("circle")] == ["1", "2"]
    assert page.figure.get_text(" ") == "Title Both are round."


def test_nothing_is_printed_that_waits_for_a_click() -> None:
    assert document()(["button", "input", "details", "summary", "output"]) == []
    assert document().select(".tag_setup, .headerlink") == []
    prompts = ("Show code cell", "As text", "Show the code", "Hide the", "Show what must hold")
    assert [words for words in prompts if words in "".join(sheets())] == []


@pytest.mark.parametrize("name", CHAPTERS)
def test_answers_come_after_the_last_section_of_a_chapter(name: str) -> None:
    chapter = document().find(id=name.replace("/", "-"))
    *sections, answers = chapter.find_all("section", recursive=False)
    said = [d for d in article(name).find(id="questions")("details") if d.summary.extract()]
    assert len(said) == 6
    for explanation in said:
        text = letters(explanation.get_text())
        assert text in letters(answers.get_text())
        assert text not in letters("".join(section.get_text() for section in sections))
    assert "def solution" in answers.get_text() or "class Solution" in answers.get_text()


def test_links_lead_to_a_place_in_the_book_or_to_the_web() -> None:
    places = set(reader().named_destinations)
    inside = [link["/Dest"] for link in links() if "/Dest" in link]
    outside = [link["/A"]["/URI"] for link in links() if "/A" in link]
    assert len(inside) > 100 and len(outside) > 50
    assert [place for place in inside if place not in places] == []
    assert [url for url in outside if not re.match(r"https?://", url)] == []


def test_no_sheet_is_empty_and_all_are_a4() -> None:
    for page, text in zip(reader().pages, sheets(), strict=True):
        assert [round(float(length)) for length in page.mediabox[2:]] == [595, 842]
        assert len(letters(text)) > 75  # the head and the number alone are fewer


def test_the_file_says_what_it_is() -> None:
    facts, catalogue = reader().metadata, reader().trailer["/Root"]
    assert facts.title == "Class-incremental learning, step by step"
    assert facts.author == "The cilkit authors"
    assert catalogue["/Lang"] == "en"
    assert catalogue["/MarkInfo"]["/Marked"]


def test_nothing_sticks_out_of_a_sheet_and_every_formula_is_set() -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        page = browser.new_page(viewport={"width": SHEET, "height": 900})
        page.goto((BUILD / "print.html").as_uri())
        assert page.evaluate(STICKING_OUT, SHEET) == []
        assert page.locator(".math").count() == page.locator(".math > math").count() > 0
        browser.close()


def test_the_welcome_page_leads_to_it() -> None:
    links = [link["href"] for link in article("book/index")("a", href=True)]
    assert "../cilkit-book.pdf" in links


def test_its_weight_is_modest() -> None:
    assert PRINTED.stat().st_size < 10_000_000
