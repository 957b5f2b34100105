"""The pages that are there in two languages lead to each other, and each language on in itself."""

from collections.abc import Callable
from html import escape
from posixpath import dirname, join, normpath, relpath
from typing import Any

from bs4 import BeautifulSoup

ENGLISH, CHINESE = "book/", "book/zh/"
PART = "中文"  # the caption of the Chinese pages in _toc.yml


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.connect("html-page-context", add_switch)
    app.connect("html-page-context", stay_in_the_language, priority=900)  # after the theme
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_switch(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Put a line with both languages on top of a page that has a twin; say which one it is in.

    A Chinese page has a script with the words of the theme and of the figures' controls.
    """
    chinese = page.startswith(CHINESE)
    twin = ENGLISH + page.removeprefix(CHINESE) if chinese else CHINESE + page.removeprefix(ENGLISH)
    if chinese:
        context["language"] = "zh-CN"
        app.add_js_file("chinese.js", loading_method="defer")
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


def stay_in_the_language(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Lead on to pages of this one's language, below the page and in the sidebar."""
    chinese = page.startswith(CHINESE)
    for way in ("prev", "next"):
        if link := (context.get(way) or {}).get("link"):
            leads_to = normpath(join(dirname(page), link))
            context[way] = context[way] if leads_to.startswith(CHINESE) == chinese else None
    if "generate_toctree_html" in context:
        context["generate_toctree_html"] = sidebar(context["generate_toctree_html"], chinese)


def sidebar(theirs: Callable[..., Any], chinese: bool) -> Callable[..., Any]:
    """Return the sidebar's maker: on Chinese pages the Chinese ones come first, else not at all.

    What opens the pages below another one is an arrow, and gets a name for screen readers.
    """

    def ours(*options: Any, **named: Any) -> Any:
        soup = BeautifulSoup(str(theirs(*options, **named)), "html.parser")
        for caption in soup("p", class_="caption"):
            if caption.get_text(strip=True) == PART:
                pages = caption.find_next_sibling("ul").extract()
                caption.extract()
                for part in (pages, caption) if chinese else ():
                    soup.insert(0, part)
        for arrow in soup("summary"):
            arrow["aria-label"] = "pages below"
        return soup

    return ours
