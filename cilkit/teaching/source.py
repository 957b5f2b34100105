"""The package's own code on the page: by inclusion, never by copy."""

import inspect
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import cilkit

ROOT = Path(cilkit.__file__).parent.parent


def source(thing: Any) -> "Code":
    """Show the code of a function, a class or a module, and where it is."""
    thing = inspect.unwrap(thing)  # a decorator may come from another file
    lines, first = inspect.getsourcelines(thing)
    path = Path(str(inspect.getsourcefile(thing))).relative_to(ROOT).as_posix()
    return Code("".join(lines).rstrip(), path, max(first, 1))


class Code:
    """A piece of a file, as a notebook shows it: highlighted, with a link to the whole."""

    def __init__(self, code: str, path: str, first: int) -> None:
        """`first` is the number of the first line in the file `path`."""
        self.code, self.path = code, path
        self.url = f"{repository()}/blob/main/{path}#L{first}-L{first + code.count(chr(10))}"

    def _repr_markdown_(self) -> str:
        """Return the code, in a fence, under the name of its file."""
        return f"From [`{self.path}`]({self.url}):\n\n```python\n{self.code}\n```"

    def __repr__(self) -> str:
        """Return the code alone."""
        return self.code


def repository() -> str:
    """Return the address of the project, which `pyproject.toml` states."""
    addresses = metadata("cilkit").get_all("Project-URL") or []
    named: dict[str, str] = dict(entry.split(", ", 1) for entry in addresses)
    return named["Source"]
