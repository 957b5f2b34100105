"""Questions that a page checks by itself: every answer that a chapter knows, in a browser."""

import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from conftest import needs_browser

BOOK = Path(__file__).parent.parent / "book"
SCRIPT = (BOOK / "_static" / "asked.js").read_text(encoding="utf-8")
STYLE = (BOOK / "_static" / "course.css").read_text(encoding="utf-8")
NOTEBOOKS = [path for folder in (BOOK, BOOK / "zh") for path in sorted(folder.glob("[01]*.ipynb"))]
ANSWER = re.compile(r"<details><summary>(.+?)</summary>\n(.+?)\n</details>")


QUESTION = re.compile(r"^\*\*\d\. (.+?)\*\*.?\n\n((?:<details>.+?</details>\n)+)", re.DOTALL | re.M)
CHOICE = re.compile(r"<details><summary>([A-Z])\. (.+?)</summary>\n(.+?)\n</details>", re.DOTALL)


def prose(path: Path) -> str:
    """Return the words of a chapter."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def asked(path: Path) -> str:
    """Return the HTML of what a chapter asks on paper."""
    [found] = re.findall(r'<div class="asked">\n.+?</div>', prose(path), re.DOTALL)
    return found


def questions(path: Path) -> list[str]:
    """Return the HTML of a chapter's questions with choices."""
    found = QUESTION.findall(prose(path))
    return [f"<p><strong>{words}</strong></p>\n{choices}" for words, choices in found]


def names(paths: list[Path]) -> list[str]:
    return [f"{path.parent.name} {path.stem}" for path in paths]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_each_chapter_asks_one_question_on_paper_and_says_what_is_wrong_with_three_answers(
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
    """Open a page that holds the questions of a notebook; once for each."""
    opened: dict[Path, Any] = {}

    def open_page(path: Path) -> Any:
        if path not in opened:
            language = "zh-CN" if path.parent.name == "zh" else "en"
            opened[path] = browser.new_page()
            page = f"<main><h1>Questions</h1>{asked(path)}{''.join(questions(path))}</main>"
            head = f'<html lang="{language}"><title>What is asked</title><style>{STYLE}</style>'
            opened[path].set_content(f"<!DOCTYPE html>{head}<body>{page}</body></html>")
            opened[path].add_script_tag(content=SCRIPT)
        return opened[path]

    yield open_page
    for page in opened.values():
        page.close()


def told(page: Any, answer: str) -> str:
    """Type an answer, press Enter, and return what is said."""
    page.get_by_role("textbox").fill(answer)
    page.keyboard.press("Enter")
    return str(page.get_by_role("status").first.text_content())


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(("path", "answer", "says"), KNOWN)
def test_a_known_answer_is_told_what_stands_in_the_text(
    path: Path, answer: str, says: str, visit: Any
) -> None:
    assert told(visit(path), answer) == says.strip()


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
    assert told(visit(path), answer).startswith(says)


@pytest.mark.slow
@needs_browser
def test_all_answers_open_without_an_answer(visit: Any) -> None:
    page = visit(BOOK / "01_setting.ipynb")
    assert not page.get_by_text("another number").is_visible()
    page.get_by_text("All answers").first.click()
    assert page.get_by_text("another number").is_visible()


@pytest.mark.slow
@needs_browser
def test_where_no_script_runs_the_answers_stand_there_and_no_field_does(browser: Any) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_content(asked(ALIGNMENT) + questions(ALIGNMENT)[0])
    assert page.get_by_text("another number").is_visible()
    assert page.get_by_text(CHOICE.findall(questions(ALIGNMENT)[0])[0][1]).is_visible()
    for role in ("textbox", "radio", "button"):
        assert page.get_by_role(role).count() == 0
    context.close()


# Choices: first the reader picks one, then something is said.


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names(NOTEBOOKS))
def test_a_question_with_choices_has_letters_in_order_and_one_right_answer(path: Path) -> None:
    found = [CHOICE.findall(question) for question in questions(path)]
    assert len(found) == 2
    for choices in found:
        assert "".join(letter for letter, _, _ in choices) == "ABCD"[: len(choices)]
        assert [says.startswith(("Right.", "对。")) for _, _, says in choices].count(True) == 1


CHOICES = [
    pytest.param(path, number, letter, says, id=f"{path.parent.name} {path.stem} {number}{letter}")
    for path in NOTEBOOKS
    for number, question in enumerate(questions(path))
    for letter, _, says in CHOICE.findall(question)
]


def without_tags(html: str) -> str:
    """Return what is read of it."""
    return unescape(re.sub(r"<[^>]+>", "", html))


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize(("path", "number", "letter", "says"), CHOICES)
def test_a_choice_is_told_what_stands_in_the_text(
    path: Path, number: int, letter: str, says: str, visit: Any
) -> None:
    form = visit(path).locator("form:has(fieldset)").nth(number)
    form.locator(f'[value="{letter}"]').check()
    form.get_by_role("button").click()
    assert form.get_by_role("status").text_content() == f"{letter}. {without_tags(says).strip()}"


@pytest.fixture
def fresh(show: Any) -> Any:
    """Open a page that holds one question with choices, which nobody has answered."""
    return show(questions(ALIGNMENT)[0], style=STYLE, script=SCRIPT)


@pytest.mark.slow
@needs_browser
def test_no_explanation_can_be_opened_before_a_choice_is_made(fresh: Any) -> None:
    fresh.get_by_role("button", name="Check").click()
    assert fresh.get_by_role("status").text_content() == ""
    assert not fresh.locator("summary:visible").count()
    assert not fresh.get_by_text("Right.").is_visible()


@pytest.mark.slow
@needs_browser
def test_a_choice_is_made_and_checked_with_keys_alone(fresh: Any) -> None:
    for key in ("Tab", "Space", "ArrowDown", "Tab", "Enter"):
        fresh.keyboard.press(key)
    assert str(fresh.get_by_role("status").text_content()).startswith("B. ")
    fresh.keyboard.press("Tab")
    fresh.keyboard.press("Enter")
    assert fresh.locator("summary:visible").count() == 4, "all answers, and each"


@pytest.mark.slow
@needs_browser
def test_the_group_of_choices_has_the_question_for_a_name(fresh: Any) -> None:
    asks = str(fresh.locator("p strong").first.text_content())
    assert fresh.get_by_role("group", name=asks).get_by_role("radio").count() == 3


@pytest.mark.slow
@needs_browser
def test_paper_has_all_choices_with_what_is_said_of_each_and_no_form(fresh: Any) -> None:
    fresh.emulate_media(media="print")
    printed = " ".join(str(fresh.inner_text("body")).split())
    for _, words, says in CHOICE.findall(questions(ALIGNMENT)[0]):
        for part in (words, says):
            assert printed.count(" ".join(without_tags(part).split())) == 1


@pytest.mark.slow
@needs_browser
@pytest.mark.parametrize("path", [NOTEBOOKS[0], NOTEBOOKS[-1]], ids=["English", "Chinese"])
def test_questions_are_open_to_everyone(path: Path, visit: Any) -> None:
    import axe_playwright_python

    page = visit(path)
    page.evaluate((Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text())
    found = page.evaluate("axe.run({resultTypes: ['violations']})")["violations"]
    ours = {rule["id"]: [node["html"][:120] for node in rule["nodes"]] for rule in found}
    assert ours == {}
