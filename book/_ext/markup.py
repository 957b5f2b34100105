"""What Sphinx and its theme write that a browser or a screen reader stumbles over, mended."""

import re
from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.connect("html-page-context", mend_markup)
    drop_thebe(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mend_markup(app: Any, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Mend what screen readers stumble over in Sphinx 7's own markup.

    Citations have roles that are deprecated; a signature on several lines is a list without terms.
    """
    body = context.get("body", "")
    for role in (' role="doc-biblioentry"', ' role="list"'):
        body = body.replace(role, "")
    parameters = re.compile(
        r"<dl>\s*((?:<dd><em class=\"sig-param\">.*?</dd>\s*)+)</dl>", re.DOTALL
    )
    context["body"] = parameters.sub(as_lines, body)


def as_lines(found: re.Match[str]) -> str:
    """Return the parameters of a signature, each on a line of its own."""
    lines = found[1].replace("<dd>", '<span class="parameter">').replace("</dd>", "</span>")
    return f'<span class="parameters">{lines}</span>'


def drop_thebe(app: Any) -> None:
    """Drop a script of sphinx-thebe: it is put on each page twice, which is an error on each."""
    for listeners in app.events.listeners.values():
        for item in list(listeners):
            if getattr(item.handler, "__name__", "") == "init_thebe_core":
                app.disconnect(item.id)
