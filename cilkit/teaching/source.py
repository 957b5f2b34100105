"""The package's own code on the page: by inclusion, never by copy."""

import inspect
import json
import os
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import cilkit

ROOT = Path(cilkit.__file__).parent.parent


def source(thing: Any) -> "Code":
    """Show a function, a class or a module as it is written, and where it is."""
    thing = inspect.unwrap(thing)  # a decorator may come from another file
    lines, first = inspect.getsourcelines(thing)
    path = Path(str(inspect.getsourcefile(thing))).relative_to(ROOT).as_posix()
    return Code("".join(lines).rstrip(), path, max(first, 1))


class Code:
    """A piece of a file, as a notebook shows it: highlighted, with a link to the whole."""

    def __init__(self, code: str, path: str, first: int) -> None:
        """`first` is the number of the first line in the file `path`."""
        self.code, self.path = code, path
        self.url = f"{home()}/{path}#L{first}-L{first + code.count(chr(10))}"

    def _repr_markdown_(self) -> str:
        """Return the code, in a fence, under the name of its file."""
        return f"From [`{self.path}`]({self.url}):\n\n```python\n{self.code}\n```"

    def __repr__(self) -> str:
        return self.code


def home() -> str:
    """Return where this very code can be read: the book's build says it, or pip noted it.

    Else it is the branch `main` of the project, whose address `pyproject.toml` states.
    """
    if published := os.environ.get("COURSE_CODE"):
        return published
    package = distribution("cilkit")
    origin = json.loads(package.read_text("direct_url.json") or "{}")
    if "vcs_info" in origin and origin["url"].startswith("https://"):
        return f"{origin['url'].removesuffix('.git')}/blob/{origin['vcs_info']['commit_id']}"
    entries = package.metadata.get_all("Project-URL") or []
    addresses = dict(entry.split(", ", 1) for entry in entries)
    return f"{addresses['Source']}/blob/main"
