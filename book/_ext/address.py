"""Where the book is published: buttons, code and notebooks lead there, in a fork to the fork.

Two variables say it, and the workflow that publishes sets them; nothing else in a fork is edited:
COURSE_REPOSITORY, https://github.com/OWNER/REPO, and COURSE_URL, the address of the pages. Without
them the book leads to the repository that `pyproject.toml` names, and to its branch `main`.
"""

import os
import re
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from sphinx.errors import ConfigError

ROOT = Path(__file__).parents[2]
BRANCH = "published"  # of the repository: the notebooks of the pages, by book/tools/publish.py
INSTALLS = re.compile(r"git\+https://[\w.@/-]+")  # in a setup cell
CODE = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+/blob/main(?=/cilkit/)")  # in outputs
NEIGHBOUR = re.compile(r"\]\(([\w/.-]+)\.(?:ipynb|md)(#[\w=&.-]*)?\)")


@dataclass(frozen=True)
class Address:
    """A repository, what of it is shown, and where its pages are."""

    repository: str
    version: str  # a commit; the branch `main` where nothing is published
    site: str  # ends with a slash; empty where nothing is published


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    address = find_address()
    os.environ["COURSE_CODE"] = f"{address.repository}/blob/{address.version}"  # for the kernels
    app.course = address
    app.connect("config-inited", lead_there)
    app.connect("source-read", fill_in)
    app.connect("html-page-context", open_published, priority=900)
    app.connect("build-finished", fill_in_downloads)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def find_address() -> Address:
    """Return what the variables say, or `pyproject.toml`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    repository, site = os.environ.get("COURSE_REPOSITORY"), os.environ.get("COURSE_URL", "")
    if site and not re.fullmatch(r"https?://[^/\s]+(/\S*)?", site):
        raise ConfigError(f"COURSE_URL is {site!r}; it must be like https://OWNER.github.io/REPO/")
    if not repository:
        return Address(project["urls"]["Source"], "main", site and site.rstrip("/") + "/")
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", repository):
        raise ConfigError(
            f"COURSE_REPOSITORY is {repository!r}; it must be like https://github.com/OWNER/REPO"
        )
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    return Address(repository, commit, site and site.rstrip("/") + "/")


def lead_there(app: Any, config: Any) -> None:
    """Let the theme's buttons lead to the repository, and pages name their own address."""
    config.html_theme_options["repository_url"] = app.course.repository
    config.html_baseurl = app.course.site


def fill_in(app: Any, page: str, source: list[str]) -> None:
    """Show on a page what its notebook says where it is published."""
    if app.env.doc2path(page).endswith(".ipynb"):
        source[0] = filled(source[0], app.course)


def filled(text: str, address: Address) -> str:
    """Return a notebook's text that installs, and links to, the code of an address."""
    text = CODE.sub(f"{address.repository}/blob/{address.version}", text)
    return INSTALLS.sub(f"git+{address.repository}@{address.version}", text)


def fill_in_downloads(app: Any, exception: Exception | None) -> None:
    """Make the notebooks beside the pages those of the pages: Colab opens them, readers keep them.

    What they install is what the page was made with, and their links lead to the site.
    """
    if exception is None:
        sources = Path(app.outdir) / "_sources"
        for path in sources.rglob("*.ipynb"):
            page = urljoin(app.course.site, path.relative_to(sources).as_posix())
            text = filled(path.read_text(encoding="utf-8"), app.course)
            path.write_text(lead_to_pages(text, page) if app.course.site else text, "utf-8")


def lead_to_pages(text: str, page: str) -> str:
    """Return a notebook whose links to other files of the book lead to pages of the site."""
    return NEIGHBOUR.sub(lambda to: f"]({urljoin(page, to[1])}.html{to[2] or ''})", text)


def open_published(
    app: Any, page: str, template: str, context: dict[str, Any], doctree: Any
) -> None:
    """Let Colab open the published notebook, which knows where it is from, not the one on main."""
    if app.course.version == "main":
        return
    for group in context.get("header_buttons", []):
        for button in group.get("buttons", []):
            if button["text"] == "Colab":
                button["url"] = button["url"].replace("/blob/main/", f"/blob/{BRANCH}/")
