"""Questions that a page checks by itself: every answer that a chapter knows, in a browser."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import needs_browser

BOOK = Path(__file__).parent.parent / "book"
SCRIPT = (BOOK / "_static" / "asked.js").read_text(encoding="utf-8")
NOTEBOOKS = [path for folder in (BOOK, BOOK / "zh") for path in sorted(folder.glob("[01]*.ipynb"))]
ANSWER = re.compile(r"<details><summary>(.+?)</summary>\n(.+?)\n</details>")


def asked(path: Path) -> str:
    """Return the HTML of a chapter's question."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    prose = "\n\n".join(
        "".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown"
    )
    [found] = re.findall(r'<div class="asked">\n.+?</div>', prose, re.DOTALL)
    return found


def names(paths: list[Path]) -> list[str]:
    return [f"{path.parent.name} {path.stem}" for path in paths]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_each_chapter_asks_one_question_and_says_what_is_wrong_with_three_answers(
    path: Path,
) -> None:
    answers = ANSWER.findall(asked(path))
    right = [says for _, says in answers if says.startswith(("Right.", "对。"))]
    assert len(right) == 1
    assert len(answers) >= 5
    assert not re.search(r"\d|·", answers[-1][0]), "the last is for all others"


@pytest.mark.parametrize("path", NOTEBOOKS[10:], ids=names(NOTEBOOKS[10:]))
def test_a_chinese_question_knows_the_answers_of_the_english_one(path: Path) -> None:
    english, chinese = (ANSWER.findall(asked(p)) for p in (BOOK / path.name, path))
    assert [answer for answer, _ in english[:-1]] == [answer for answer, _ in chinese[:-1]]


KNOWN = [
    pytest.param(path, answer, says, id=f"{path.parent.name} {path.stem} {answer}")
    for path in NOTEBOOKS
    for answer, says in ANSWER.findall(asked(path))[:-1]
]


@pytest.fixture(scope="module")
def visit(browser: Any) -> Iterator[Any]:
    """Open a page that holds the question of a notebook; once for each."""
    opened: dict[Path, Any] = {}

    def open_page(path: Path) -> Any:
        if path not in opened:
            language = "zh-CN" if path.parent.name == "zh" else "en"
            opened[path] = browser.new_page()
            page = f"<body>{asked(path)}<script>{SCRIPT}</script></body>"
            opened[path].set_content(f'<!DOCTYPE html><html lang="{language}">{page}</html>')
        return opened[path]

    yield open_page
    for page in opened.values():
        page.close()


def told(page: Any, answer: str) -> str:
    """Type an answer, press Enter, and return what is said."""
    page.get_by_role("textbox").fill(answer)
    page.keyboard.press("Enter")
    return str(page.get_by_role("status").text_content())


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(("path", "answer", "says"), KNOWN)
def test_a_known_answer_is_told_what_stands_in_the_text(
    path: Path, answer: str, says: str, visit: Any
) -> None:
    assert told(visit(path), answer).strip() == says


ALIGNMENT, METHOD, MEASURING = (
    BOOK / f"0{n}.ipynb" for n in ("5_alignment", "6_method", "7_measuring")
)
OTHERS = [
    (ALIGNMENT, "1/2", "Right"),
    (ALIGNMENT, " γ = 0,5 ", "Right"),
    (ALIGNMENT, "3 / 6", "Right"),
    (ALIGNMENT, "½", "Right"),
    (ALIGNMENT, "−3", "No. That is the difference"),
    (ALIGNMENT, "0.6", "No. Divide the mean length"),
    (ALIGNMENT, "", "Write a number"),
    (ALIGNMENT, "long", "Write a number"),
    (ALIGNMENT, "(1/2", "Write a number"),
    (METHOD, "d*m", "Right"),
    (METHOD, "(n + m) × d - n d", "Write a number"),
    (METHOD, "d(n + m) - n*d", "Right"),
    (METHOD, "2m", "No. Count the rows"),
    (MEASURING, "71.67 %", "Right"),
    (MEASURING, "(80 + 70 + 65) / 3", "Right"),
]


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(("path", "answer", "says"), OTHERS)
def test_an_answer_may_be_written_in_many_ways(
    path: Path, answer: str, says: str, visit: Any
) -> None:
    assert told(visit(path), answer).strip().startswith(says)


@pytest.mark.slow
@needs_browser
def test_all_answers_open_without_an_answer(visit: Any) -> None:
    page = visit(BOOK / "01_setting.ipynb")
    assert not page.get_by_text("another number").is_visible()
    page.get_by_text("All answers").click()
    assert page.get_by_text("another number").is_visible()


@pytest.mark.slow
@needs_browser
def test_where_no_script_runs_the_answers_stand_there_and_no_field_does(browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(asked(ALIGNMENT))
    assert page.get_by_text("another number").is_visible()
    assert page.get_by_role("textbox").count() == 0
    context.close()
