"""The page that a server shows for an address that is none: GitHub Pages looks for 404.html.

It is shown at any depth, so what it leads to is counted from the start of the site.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

PAGE = "404"
RELATIVE = re.compile(r'\b(href|src|action|data-content_root)="(?![\w+]+:|[#/])(?:\./)?')
WORDS = """
<h1>There is no such page</h1>
<p>Perhaps the address has a slip in it, or the page has moved. It is probably in one of these:</p>
<ul>
<li><a href="book/index.html">the first page</a>, with all chapters;</li>
<li><a href="book/glossary.html">the glossary</a>, with every word of the course;</li>
<li><a href="search.html">the search</a>.</li>
</ul>
"""


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.connect("html-collect-pages", add_page)
    app.connect("html-page-context", hide, priority=900)
    app.connect("build-finished", count_from_the_start)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def add_page(app: Any) -> Iterator[tuple[str, dict[str, str], str]]:
    """Add the page to those of the book."""
    yield PAGE, {"title": "No such page", "body": WORDS}, "page.html"


def hide(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let no search engine list the page."""
    if page == PAGE:
        context["metatags"] = (
            context.get("metatags", "") + '<meta name="robots" content="noindex" />'
        )
        context["pageurl"] = None


def count_from_the_start(app: Any, exception: Exception | None) -> None:
    """Let every address on the page start where the site does; local builds have no such place."""
    if exception is None and app.course.site and app.builder.format == "html":
        page = Path(app.outdir) / f"{PAGE}.html"
        start = urlsplit(app.course.site).path
        text = page.read_text(encoding="utf-8")
        page.write_text(RELATIVE.sub(rf'\1="{start}', text), encoding="utf-8")
