"""Questions that a page checks by itself: their script, on the pages that have one."""

from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.connect("html-page-context", bring_the_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def bring_the_script(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Add the script to this page, if it has such a question; every chapter has."""
    if 'class="asked"' in context.get("body", ""):
        app.add_js_file("asked.js", loading_method="defer")
