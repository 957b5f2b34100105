"""The Chinese pages keep in step with the English ones."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from chinese import CHINESE, changed
from conftest import needs_browser
from test_notebooks import cells, prose, source

from cilkit.teaching import Frame, Moving
from cilkit.teaching.moving import Guess

BOOK = CHINESE.parent
NAMES = ["index", "01_setting", "02_forgetting", "03_exemplars", "04_distillation", "05_alignment"]
FORMULA = re.compile(r"\$\$.+?\$\$|\$[^$\n]+?\$", re.DOTALL)
each_notebook = pytest.mark.parametrize("name", NAMES)


def both(name: str) -> list[Path]:
    """Return the English notebook and the Chinese one."""
    return [BOOK / f"{name}.ipynb", CHINESE / f"{name}.ipynb"]


def test_the_welcome_and_the_first_five_chapters_are_there() -> None:
    assert sorted(path.stem for path in CHINESE.glob("*.ipynb")) == sorted(NAMES)


@each_notebook
def test_no_english_text_has_changed_since_it_was_translated(name: str) -> None:
    assert changed(name) == [], "translate it, then: python book/tools/chinese.py --reviewed NAME"


@each_notebook
def test_code_and_results_are_those_of_the_english_notebook(name: str) -> None:
    english, chinese = (cells(path, "code") for path in both(name))
    for part in ("source", "outputs", "execution_count"):
        assert [cell[part] for cell in english] == [cell[part] for cell in chinese]


@each_notebook
def test_headings_have_the_same_levels(name: str) -> None:
    english, chinese = (re.findall(r"^(#+) ", prose(path), re.MULTILINE) for path in both(name))
    assert english == chinese


@each_notebook
def test_each_text_has_the_formulas_of_the_english_one(name: str) -> None:
    english, chinese = (cells(path, "markdown") for path in both(name))
    for one, other in zip(english, chinese, strict=True):
        assert set(FORMULA.findall(source(one))) == set(FORMULA.findall(source(other)))


@each_notebook
def test_each_text_has_the_choices_and_links_of_the_english_one(name: str) -> None:
    english, chinese = (cells(path, "markdown") for path in both(name))
    for one, other in zip(english, chinese, strict=True):
        for what in ("<details>", "</details>", "<summary>", "]("):
            assert source(one).count(what) == source(other).count(what), what


@each_notebook
def test_the_right_choices_are_the_right_ones(name: str) -> None:
    english, chinese = (prose(path) for path in both(name))
    right = re.findall(r"</summary>\s*(Right|No)\b", english)
    assert [{"对": "Right", "不": "No"}[word] for word in first_words(chinese)] == right


def first_words(text: str) -> list[str]:
    """Return the first character of each explained choice."""
    return re.findall(r"</summary>\s*(\S)", text)


@each_notebook
def test_pictures_are_described_in_chinese(name: str) -> None:
    for cell in json.loads(both(name)[1].read_text(encoding="utf-8"))["cells"]:
        alt = cell["metadata"].get("mystnb", {}).get("image", {}).get("alt", "图")
        assert re.search(r"[\u4e00-\u9fff]", alt), alt


def entries(path: Path) -> list[list[str]]:
    """Return the terms of a glossary, entry by entry."""
    blocks = re.findall(r"^:::\{glossary\}\n(.*?)^:::$", path.read_text(), re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines()]
    found: list[list[str]] = [[]]
    for line, after in zip(lines, [*lines[1:], ""], strict=True):
        if line and not line.startswith(" "):
            found[-1].append(line)
            if after.startswith(" "):
                found.append([])
    return found[:-1]


def test_the_glossary_has_the_same_entries_with_the_english_terms_in_brackets() -> None:
    english, chinese = (entries(folder / "glossary.md") for folder in (BOOK, CHINESE))
    assert len(english) == len(chinese)
    for terms, translated in zip(english, chinese, strict=True):
        words = " ".join(translated).lower()
        assert all(term.lower() in words for term in terms), (terms, translated)


CHARACTER = r"[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"


@pytest.mark.parametrize("path", sorted(CHINESE.iterdir()), ids=lambda path: path.name)
def test_no_line_breaks_between_two_characters_where_a_page_would_show_a_space(path: Path) -> None:
    text = prose(path) if path.suffix == ".ipynb" else path.read_text(encoding="utf-8")
    assert re.findall(rf".{{0,9}}{CHARACTER}\n *{CHARACTER}.{{0,9}}", text) == []


@pytest.mark.parametrize(
    "path", [p for f in (BOOK, CHINESE) for p in sorted(f.glob("*.ipynb"))], ids=str
)
def test_links_to_words_of_the_glossary_lead_to_one(path: Path) -> None:
    words = [term for entry in entries(path.parent / "glossary.md") for term in entry]
    places = {"term-" + "-".join(re.findall(r"[A-Za-z0-9]+", word)) for word in words}
    linked = re.findall(r"glossary\.md#([^)]+)\)", prose(path))
    assert [place for place in linked if place not in places] == []


# The words of the theme and of the figures' controls, which a script of the page translates.

SCRIPT = (BOOK / "_static" / "chinese.js").read_text(encoding="utf-8")
SETTING = re.compile(r"<(?:label|button|option|summary|small)[^>]*>([^<>]+)")


@each_notebook
def test_what_figures_can_be_set_to_has_a_chinese_word(name: str) -> None:
    outputs = [output for cell in cells(both(name)[1], "code") for output in cell["outputs"]]
    shown = ["".join(output.get("data", {}).get("text/html", "")) for output in outputs]
    figures = [re.sub(r"<(script|table)\b.*?</\1>", "", html, flags=re.DOTALL) for html in shown]
    words = {word.strip() for figure in figures for word in SETTING.findall(figure)}
    whole = {word for word in words if re.search("[a-z]{2}", word)}
    known = {word for word in whole if f'"{word}": ' in SCRIPT or re.match(r"seed \d|What ", word)}
    assert whole - known == set(), "translate it in book/_static/chinese.js"


@pytest.fixture
def chinese(show: Any) -> Any:
    """Open a Chinese page with a film, a guess, and two things of the theme."""
    guess = Guess("What accuracy do you expect of WA at the end, on all 6 classes?", 40.0)
    frames = [Frame("stage 1", "one", ""), Frame("stage 2", "two", "", step="align")]
    film = Moving("A film", "It moves.", "stage", frames, guess=guess)._repr_html_()
    theme = '<button title="Search">Search</button><p class="prev-next-subtitle">next</p>'
    body = f"<body>{theme}{film}<p>Search</p></body>"
    return show(f'<html lang="zh-CN">{body}</html>', script=SCRIPT)


@pytest.mark.slow
@needs_browser
def test_the_themes_words_are_chinese_and_the_texts_are_left_alone(chinese: Any) -> None:
    button = chinese.locator("[title]").first
    assert (button.text_content(), button.get_attribute("title")) == ("搜索", "搜索")
    assert chinese.locator(".prev-next-subtitle").text_content() == "下一页"
    assert chinese.locator("body > p").last.text_content() == "Search"


@pytest.mark.slow
@needs_browser
def test_a_guess_is_asked_and_answered_in_chinese(chinese: Any) -> None:
    guess = chinese.locator(".cil-guess")
    assert "你预期 WA 的准确率" in guess.text_content()
    guess.get_by_role("button", name="这是我的猜测").click()
    assert guess.text_content() == "你的预期：50 %。"
    chinese.get_by_role("button", name="前进一步").click()
    assert guess.text_content() == "你的预期是 50 %，高了 10.0 个点。"


@pytest.mark.slow
@needs_browser
def test_the_buttons_of_a_film_are_chinese_also_while_it_plays(chinese: Any) -> None:
    chinese.get_by_role("button", name="跳过").click()
    play = chinese.locator(".cil-play")
    assert play.text_content() == "播放"
    play.click()
    assert play.text_content() == "暂停"
    assert chinese.get_by_role("button", name="对齐").count() == 1
