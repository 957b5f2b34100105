"""What the book's build needs beside Jupyter Book: no network, no kernel, one address."""

import os
import re
import shutil
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    os.environ["CILKIT_STATIC"] = "1"  # the kernels inherit it: sliders are drawn as pictures
    os.environ["OMP_NUM_THREADS"] = "1"  # the same sums in the same order on any machine
    app.connect("config-inited", set_repository)
    app.connect("build-finished", vendor_mathjax)
    app.connect("html-page-context", mend_markup)
    drop_thebe(app)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def set_repository(app: Any, config: Any) -> None:
    """Let buttons lead to the repository that publishes: a fork's own, else the project's."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    url = os.environ.get("COURSE_REPOSITORY") or project["urls"]["Source"]
    config.html_theme_options["repository_url"] = url


def vendor_mathjax(app: Any, exception: Exception | None) -> None:
    """Put MathJax beside the pages: formulas need no network."""
    spec = find_spec("sphinx-mathjax-offline")
    if exception is None and spec is not None and spec.submodule_search_locations:
        package = Path(spec.submodule_search_locations[0])
        target = Path(app.outdir) / "_static" / "vendor"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(package.rglob("tex-svg.js")), target)


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
