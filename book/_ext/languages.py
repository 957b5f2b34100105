"""The pages that are there in two languages lead to each other."""

from html import escape
from posixpath import relpath
from typing import Any

ENGLISH, CHINESE = "book/", "book/zh/"


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.connect("html-page-context", add_switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_switch(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put a line with both languages on top of a page that has a twin; say which one it is in."""
    chinese = page.startswith(CHINESE)
    twin = ENGLISH + page.removeprefix(CHINESE) if chinese else CHINESE + page.removeprefix(ENGLISH)
    if chinese:
        context["language"] = "zh-CN"
    if page.startswith(ENGLISH) and twin in app.env.found_docs:
        context["body"] = switch(page, twin, chinese) + context.get("body", "")


def switch(page: str, twin: str, chinese: bool) -> str:
    """Return the line: this page's language as a word, the other one as a link."""
    href = escape(relpath(f"{twin}.html", page.rpartition("/")[0]))
    names = [("en", "English"), ("zh-CN", "中文")]
    here, there = reversed(names) if chinese else names
    words = {
        here: f'<span lang="{here[0]}" aria-current="page">{here[1]}</span>',
        there: f'<a lang="{there[0]}" hreflang="{there[0]}" href="{href}">{there[1]}</a>',
    }
    links = " · ".join(words[name] for name in names)
    return f'<nav class="languages" aria-label="Language">{links}</nav>'
