"""A method's picture on its page, as the package draws it: the directive `picture`."""

from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cilkit.teaching.methods import PICTURES


class PictureDirective(SphinxDirective):
    """Put the picture of the method that is named where the directive stands."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return its HTML; a method that has none stops the build."""
        name = self.arguments[0]
        if name not in PICTURES:
            raise self.error(f"no picture of {name!r}, one of: {', '.join(PICTURES)}")
        return [nodes.raw("", PICTURES[name]()._repr_html_(), format="html")]


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.add_directive("picture", PictureDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
