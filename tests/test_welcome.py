"""The Welcome tells of the chapters what they tell of themselves."""

import json
import re
from pathlib import Path

import pytest

BOOK = Path(__file__).parent.parent / "book"
CHAPTERS = sorted(BOOK.glob("[01]*.ipynb"))


def prose(path: Path) -> str:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")


ROW = r"^\| (\d+) \| \[(.+?)\]\((.+?)\) \| .+? \| (\d+) \|$"
ROWS = {row[2]: row for row in re.findall(ROW, prose(BOOK / "index.ipynb"), re.MULTILINE)}


@pytest.mark.parametrize("path", CHAPTERS, ids=[path.stem for path in CHAPTERS])
def test_the_table_of_chapters_has_their_numbers_titles_and_times(path: Path) -> None:
    number, title, _, minutes = ROWS[path.name]
    chapter = prose(path)
    assert chapter.startswith(f"# {number} · {title}\n")
    assert f"**Time**: {minutes} minutes" in chapter


def test_every_chapter_and_page_is_in_the_table_of_contents() -> None:
    found = [*BOOK.rglob("*.ipynb"), *BOOK.rglob("*.md")]
    pages = {path.relative_to(BOOK.parent).with_suffix("").as_posix() for path in found}
    listed = re.findall(r"(?:file|root): (\S+)", (BOOK.parent / "_toc.yml").read_text())
    assert pages == set(listed)
    assert len(listed) == len(pages), "no page twice"


def test_every_reference_is_cited() -> None:
    known = re.findall(r"^@\w+\{(\w+),", (BOOK / "references.bib").read_text(), re.MULTILINE)
    roles = r"\{cite:[tp]\}`([\w,]+)`"
    cited = {key for page in BOOK.rglob("*.md") for key in re.findall(roles, page.read_text())}
    assert {key for keys in cited for key in keys.split(",")} == set(known)
