"""The laboratory on a page of the book, as the package makes it: the directive `laboratory`."""

from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cilkit.teaching import laboratory


class LaboratoryDirective(SphinxDirective):
    """Put the laboratory where the directive stands."""

    def run(self) -> list[nodes.Node]:
        """Return its HTML; on paper it is a line that says where it is."""
        return [nodes.raw("", laboratory()._repr_html_(), format="html")]


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.add_directive("laboratory", LaboratoryDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
