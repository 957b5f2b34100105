"""Links to what is no heading: the laboratory's settings, and a word of the glossary."""

import re
from typing import Any

PLACE = re.compile(r"\[([^\[\]]+)\]\(((?:\.\./)?(?:lab|glossary))\.md(#[^)]+)\)")


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.connect("source-read", lead_to_the_place)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def lead_to_the_place(app: Any, page: str, source: list[str]) -> None:
    """Write such links as HTML, in which they are no cross-references that Sphinx would look up."""
    source[0] = PLACE.sub(r"<a href='\2.html\3'>\1</a>", source[0])
