"""Links to a place of a page: a word of the glossary, a section, settings of the laboratory."""

import re
from typing import Any

PLACE = re.compile(r"\[([^\[\]]+)\]\(((?:\.\./)?[\w/]+)\.(?:md|ipynb)(#[^)]+)\)")


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.connect("source-read", lead_to_the_place)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def lead_to_the_place(app: Any, page: str, source: list[str]) -> None:
    """Write links to a place of a page as HTML, in which they are no cross-references."""
    source[0] = PLACE.sub(r"<a href='\2.html\3'>\1</a>", source[0])
