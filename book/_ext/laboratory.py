"""The laboratory on a page of the book, as the package makes it: the directive `laboratory`."""

import re
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cilkit.teaching import laboratory


class LaboratoryDirective(SphinxDirective):
    """Put the laboratory where the directive stands."""

    def run(self) -> list[nodes.Node]:
        """Return its HTML; on paper it is a line that says where it is."""
        return [nodes.raw("", laboratory()._repr_html_(), format="html")]


# A link that opens the laboratory at settings of its own; what is behind the # is no heading.
OPENED = re.compile(r"\[([^\[\]]+)\]\(((?:\.\./)?lab)\.md(#[^)]+)\)")


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.add_directive("laboratory", LaboratoryDirective)
    app.connect("source-read", open_at_settings)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def open_at_settings(app: Any, page: str, source: list[str]) -> None:
    """Write links to the laboratory's settings as HTML, in which they are no cross-references."""
    source[0] = OPENED.sub(r"<a href='\2.html\3'>\1</a>", source[0])
