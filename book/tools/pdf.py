"""Print the built book into one PDF, with Chromium: `make pdf`.

The articles of all pages become one document, `_build/print.html`. Chromium lays it out twice:
once to learn on which page everything stands, and once with these numbers in the contents.
"""

import json
import logging
import os
import posixpath
import re
import shutil
import tomllib
from collections.abc import Iterator
from copy import copy
from datetime import date
from html import escape
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import matplotlib
import yaml
from bs4 import BeautifulSoup, Tag
from pypdf import PdfReader, PdfWriter

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "_build"
NAME = "cilkit-book.pdf"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# The parts of the table of contents that are printed, and what their pages are called.
PARTS = {"Chapters": "Chapter {number}", "How to": "", "Methods": ""}
PARTS["Reference"] = "Appendix {letter}"
PAGE_LINES = 66  # lines of code that fit on a page
SHORT = 12  # a moving figure of at most so many frames is printed with what each of them says
# What is marked though it looks like all else, by the highlighter above all: each is an element of
# the PDF, and elements are most of its weight.
PLAIN = "pre span:is(.n, .nn, .o, .p, .w, :not([class])), code > .pre"
PLAIN += ", .sig span:is(.pre, .n, .o, .p, .w, .sig-paren, .sig-return, .sig-return-typehint)"
PLAIN += ", a > .std-doc, :is(td, th) > p:only-child"
# The parts and lines of a string have one colour: those that follow each other become one.
STRINGS = "pre span:is(.sa, .s1, .s2, .sd, .si)"
# Matplotlib's fonts: the same pages on any machine.
FONTS = {
    "STIXGeneral": "Text; font-weight: normal; font-style: normal",
    "STIXGeneralItalic": "Text; font-weight: normal; font-style: italic",
    "STIXGeneralBol": "Text; font-weight: bold; font-style: normal",
    "STIXGeneralBolIta": "Text; font-weight: bold; font-style: italic",
    "DejaVuSansMono": "Code; font-weight: normal; font-style: normal",
    "DejaVuSansMono-Bold": "Code; font-weight: bold; font-style: normal",
    "DejaVuSansMono-Oblique": "Code; font-weight: normal; font-style: italic",
    "DejaVuSans": "Plain; font-weight: normal; font-style: normal",
    "DejaVuSans-Bold": "Plain; font-weight: bold; font-style: normal",
}
SETTINGS = ("prefer_css_page_size", "print_background", "outline", "tagged")
NOTE = """
<p>On the web pages of this book{at}, figures move. On paper each of them stands still at two
moments: where the page shows it first, and at its end. What it says in between is printed below it,
unless that is long.</p>
<p>Answers to the questions and solutions of the exercises are gathered at the end of each chapter.
The first cell of each chapter is left out: it installs the package in Colab.</p>
"""


def listed() -> dict[str, str]:
    """Return the pages in the book's order, and what each is called: "Chapter 3"."""
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    labels = {toc["root"]: ""}
    for part in toc["parts"]:
        if part["caption"] in PARTS:
            for i, chapter in enumerate(part["chapters"]):
                label = PARTS[part["caption"]].format(number=i + 1, letter=chr(ord("A") + i))
                labels[chapter["file"]] = label
                labels |= {page["file"]: "" for page in chapter.get("sections", ())}
    return labels


def parse(html: str) -> BeautifulSoup:
    """Return the tree of a piece of HTML."""
    return BeautifulSoup(html, "html.parser")


def article(site: Path, page: str, labels: dict[str, str]) -> Tag:
    """Return what a page says, fit for paper and for standing beside all other pages."""
    body = parse((site / f"{page}.html").read_text(encoding="utf-8")).article.section
    for tag in body.select(".headerlink, .tag_setup, .toctree-wrapper, #pdf"):
        tag.decompose()
    thin_out(body)
    for figure in body.select("figure.cil-figure"):
        stand_still(figure)
    for fold in body.select("details.hide"):  # on paper, nothing is folded
        fold.summary.decompose()
        fold.unwrap()
    if questions := body.find(id="questions"):
        gather_answers(body, questions)
    for details in body("details"):
        details.name, details.summary.name = "div", "p"
    title = re.sub(r"^\d+ · ", "", body.h1.get_text())
    label = f'<span class="label">{labels[page]}&nbsp;</span>' if labels[page] else ""
    heading = " · ".join(filter(None, (labels[page], title)))
    body.h1.replace_with(parse(f"<h1>{label}{escape(title)}</h1>"))
    lead_inside(body, page, labels)
    body.attrs = {"class": "page", "id": anchor(page), "data-title": heading}
    return body


def thin_out(body: Tag) -> None:
    """Leave the colours of code, and no more of its markup; tell code that must be cut."""
    for tag in body.select(PLAIN):
        tag.unwrap()
    for later, earlier in pairwise(body.select(STRINGS)[::-1]):
        if (gap := earlier.next_sibling) and str(gap).isspace() and gap.next_sibling is later:
            earlier.append(gap)
        if earlier.next_sibling is later:
            earlier.extend(later.contents[:])
            later.decompose()
    for code in body("pre"):
        code["class"] = "long" if code.get_text().count("\n") > PAGE_LINES else "short"


def stand_still(figure: Tag) -> None:
    """Put two moments in the place of a film, the start in that of others, with no controls."""
    rows: Any = ""
    if "cil-moving" in figure["class"]:
        frames = json.loads(figure.find("script", type="application/json").string)
        start, last = int(figure.select(".cil-controls input")[-1]["value"]), len(frames) - 1
        rows = figure.table if len(frames) <= SHORT else ""
        chosen = [frames[start if start < last else 0], frames[last]]
        moments = [moment(figure.svg, at, "" if rows else says, m) for at, says, m, *_ in chosen]
    elif {"cil-alive", "cil-still"} & {*figure["class"]}:
        moments = [f"<div>{svg}</div>" for svg in figure("svg")]
        rows = "".join(map(str, [*map(written, figure("table")), figure.find(class_="cil-says")]))
    else:
        moments = [f"<div>{figure.svg}<p>{escape(figure.output.get_text())}</p></div>"]
    pictures = f'<div class="moments">{"".join(moments)}</div>'
    still = parse(f"<figure>{figure.figcaption}{pictures}{rows}</figure>").figure
    still["class"] = figure["class"]
    figure.replace_with(still)


def written(table: Tag) -> Tag:
    """Put what its fields hold into a table."""
    for held in table("input"):
        held.replace_with(held["value"])
    return table


def moment(svg: Tag, at: str, says: str, marks: str) -> str:
    """Return one frame of a figure: where the slider stands, what there is to read, the drawing."""
    drawn = copy(svg)
    frame = drawn.find(class_="cil-frame")
    frame.clear()
    frame.append(parse(marks))
    return f"<div>{drawn}<p>{escape(': '.join(filter(None, (at, says))))}</p></div>"


def gather_answers(body: Tag, questions: Tag) -> None:
    """Leave the choices with their questions; what is to be said of them moves to the end."""
    answers = ""
    for number, question in enumerate(questions.select("p:has(+ details)"), start=1):
        answers += f"<h3>Question {number}</h3>"
        while (choice := question.find_next_sibling()) and choice.name == "details":
            letter, text = choice.summary.extract().get_text().split(".", 1)
            answers += f"<p><strong>{letter}.</strong> {choice.decode_contents()}</p>"
            question = choice.wrap(parse("").new_tag("p"))
            choice.replace_with(parse(f"<strong>{letter}.</strong>{text}"))
    for asked in body.select(".asked"):
        answers += f"<h3>On paper</h3>{''.join(map(explained, asked('details')))}"
        asked.decompose()
    for cell in body.select(".tag_solution"):
        answers += f"<h3>The exercise</h3>{cell.extract()}"
    where = '<p>Answers: page <a class="number" href="#answers">000</a>.</p>'
    questions.append(parse(where))
    body.append(parse(f'<section id="answers"><h2>Answers</h2>{answers}</section>'))


def explained(answer: Tag) -> str:
    """Return an answer to a question, and what is to be said of it."""
    given = answer.summary.extract().get_text()
    return f"<p><strong>{escape(given)}:</strong> {answer.decode_contents()}</p>"


def anchor(page: str, fragment: str = "") -> str:
    """Return the name that a place of a page has in the one document."""
    return "--".join(filter(None, (page.replace("/", "-"), fragment)))


def lead_inside(body: Tag, page: str, labels: dict[str, str]) -> None:
    """Let links to other pages lead to these pages in the one document."""
    for tag in body.find_all(id=True):
        tag["id"] = anchor(page, tag["id"])
    for image in body.find_all("img"):
        image["src"] = posixpath.normpath(posixpath.join("html", page, "..", image["src"]))
    for link in body.find_all("a", href=True):
        parts = urlsplit(link["href"])
        path = posixpath.normpath(posixpath.join(page, "..", parts.path)) if parts.path else page
        if path.removesuffix(".html") in labels and not parts.scheme:
            link["href"] = "#" + anchor(path.removesuffix(".html"), parts.fragment)
        elif not parts.scheme:
            link.unwrap()


def table_of_contents(bodies: list[Tag]) -> str:
    """Return the chapters and their sections, with a place for the number of each one's page."""
    lines = ""
    for body in bodies:
        lines += entry("chapter", body["id"], str(body.h1.decode_contents()))
        for title in body("h2"):
            lines += entry("section", title.parent["id"], str(title.decode_contents()))
    return f'<nav id="contents"><p class="heading">Contents</p><div>{lines}</div></nav>'


def entry(level: str, target: str, title: str) -> str:
    """Return a line of the contents."""
    return (
        f'<p class="{level}"><a href="#{target}">{title}</a>'
        f'<a class="number" href="#{target}">000</a></p>'
    )


def compose(site: Path) -> str:
    """Return the whole book as one HTML document, which belongs beside the site's folder."""
    labels = listed()
    bodies = [article(site, page, labels) for page in labels]
    facts, url = about(), os.environ.get("COURSE_URL")
    at = f', <a href="{escape(url)}">{escape(url)}</a>' if url else ""
    styles = [ROOT / "cilkit/teaching/figures.css", ROOT / "book/print.css"]
    style = "\n".join([*faces(), *heads(bodies), *(path.read_text("utf-8") for path in styles)])
    return f"""<!DOCTYPE html>
<html lang="en" data-theme="light"><head><meta charset="utf-8"><title>{facts["title"]}</title>
<link rel="stylesheet" href="html/_static/pygments.css"><style>{style}</style>
</head>
<body>
<header><p class="title">{facts["title"]}</p><p>{facts["author"]}</p>
<p class="facts">{facts["subject"]}</p>{NOTE.format(at=at)}</header>
{table_of_contents(bodies)}{"".join(map(str, bodies))}</body></html>"""


def about() -> dict[str, str]:
    """Return the book's title, its author, and which state of it this is."""
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    subject = f"With the package cilkit {project['version']}. Printed on {date.today():%d %B %Y}."
    return {"title": config["title"], "author": config["author"], "subject": subject}


def faces() -> Iterator[str]:
    """Yield the rules that load the fonts."""
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    for name, family in FONTS.items():
        yield f"@font-face {{ font-family: {family}; src: url({(folder / name).as_uri()}.ttf) }}"


def heads(bodies: list[Tag]) -> Iterator[str]:
    """Yield the rules that put each page's title at the head of the sheets it is printed on."""
    for body in bodies:
        title = json.dumps(body["data-title"], ensure_ascii=False)
        yield f"@page {body['id']} {{ @top-right {{ content: {title} }} }}"
        yield f"#{body['id']} {{ page: {body['id']} }}"


def print_twice(document: Path, browser: str) -> bytes:
    """Return the PDF, with the numbers of the pages that its contents name."""
    from playwright.sync_api import sync_playwright

    logging.getLogger("pypdf").setLevel(logging.ERROR)  # Chromium counts its objects wrongly
    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        page = playwright.chromium.launch(executable_path=browser, args=flags).new_page()
        page.goto(document.as_uri())
        settings: Any = dict.fromkeys(SETTINGS, True)
        reader = PdfReader(BytesIO(page.pdf(**settings)))
        numbers = {
            name.removeprefix("/"): reader.get_destination_page_number(place) + 1
            for name, place in reader.named_destinations.items()
        }
        page.evaluate(
            "numbers => { for (const link of document.querySelectorAll('a.number'))"
            " link.textContent = numbers[link.hash.slice(1)]; }",
            numbers,
        )
        return bytes(page.pdf(**settings))


def link_from_welcome(welcome: Path, size: str) -> None:
    """Tell the readers of the site, now that the file is there."""
    html = re.sub(r'<p id="pdf">.*?</p>\n', "", welcome.read_text(encoding="utf-8"))
    says = f'<p id="pdf">To read on paper: <a href="../{NAME}">the whole book as a PDF</a>, {size}.'
    chapters = re.compile(r'(<section id="the-chapters">.*?)(?=</section>)', re.DOTALL)
    welcome.write_text(chapters.sub(rf"\1{says}</p>\n", html), encoding="utf-8")


def main() -> None:
    """Print the book that lies in `_build`."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        print(f"No PDF: it takes Chromium to print the book, one of {', '.join(BROWSERS)}.")
        return
    site, document = BUILD / "html", BUILD / "print.html"
    document.write_text(compose(site), encoding="utf-8")
    writer = PdfWriter(clone_from=BytesIO(print_twice(document, browser)))
    for sheet in writer.pages:
        sheet.compress_content_streams(level=9)
    facts = {f"/{key.capitalize()}": value for key, value in about().items()}
    writer.add_metadata(facts | {"/Creator": "book/tools/pdf.py"})
    writer.pdf_header = "%PDF-1.4"  # what Chromium had written
    writer.write(site / NAME)
    size = f"{len(writer.pages)} pages, {(site / NAME).stat().st_size / 1e6:.0f} MB"
    link_from_welcome(site / "book" / "index.html", size)
    print(f"The book is printed: _build/html/{NAME}, {size}.")


if __name__ == "__main__":
    main()
