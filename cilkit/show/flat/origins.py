"""Where the names in some code come from, and the imports that a file with that code needs."""

import ast
import builtins
import inspect
import sys
from collections.abc import Iterable
from functools import cache
from importlib.util import resolve_name
from typing import Any, NamedTuple

from cilkit.errors import InputError
from cilkit.show.flat.folding import WIDTH


class Origin(NamedTuple):
    """How a name is imported: from which module, what, and under which other name."""

    module: str
    what: str  # "" for the module itself
    alias: str


class Origins:
    """The origins of all names that pieces of some modules use."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[Any, Origin]] = {}

    def note(self, name: str, module: str) -> Any:
        """Note where a module has a name from; return what it means, or None if it is built in."""
        known, imported = vars(sys.modules[module]), imports_of(module)
        if name not in {*known, *imported}:
            if hasattr(builtins, name):
                return None
            raise InputError(f"{name!r} is known only inside of a function of {module}")
        value = known.get(name)  # None if only type checkers import it
        origin = imported.get(name, Origin(module, name, ""))
        first, _ = self.found.setdefault(name, (value, origin))
        if first is not None and value is not None and first is not value:
            raise InputError(f"{name!r} means one thing in {module}, and another where it inherits")
        return value

    def add(self, thing: type) -> None:
        """Note a class that is named, wherever."""
        self.found.setdefault(thing.__name__, (thing, Origin(thing.__module__, thing.__name__, "")))

    def imports(self, text: str) -> str:
        """Return the imports that a file needs, in the order of isort."""
        used = {node.id for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Name)}
        needed = {origin for name, (_, origin) in self.found.items() if name in used}
        blocks = [[one for one in needed if rank(one.module) == place] for place in range(3)]
        return "\n\n".join("\n".join(lines(block)) for block in blocks if block)


def rank(module: str) -> int:
    """Return the block of a module's imports: Python's own, others', cilkit's."""
    root = module.split(".")[0]
    return 0 if root in sys.stdlib_module_names else 1 + (root == "cilkit")


def lines(block: Iterable[Origin]) -> list[str]:
    """Return the import statements of a block."""
    plain = [
        f"import {one.module}" + f" as {one.alias}" * bool(one.alias)
        for one in block
        if not one.what
    ]
    modules = sorted({one.module for one in block if one.what})
    return sorted(plain) + [statement(module, block) for module in modules]


def statement(module: str, block: Iterable[Origin]) -> str:
    """Return the statement that imports what a block needs of a module."""
    wanted = sorted((one for one in block if one.module == module and one.what), key=by_kind)
    said = ", ".join(one.what + f" as {one.alias}" * bool(one.alias) for one in wanted)
    line = f"from {module} import {said}"
    return line if len(line) <= WIDTH else f"from {module} import ({said})"


def by_kind(one: Origin) -> tuple[bool, bool, str]:
    """Sort constants before classes, and those before functions."""
    return not one.what.isupper(), not one.what[0].isupper(), one.what


@cache
def imports_of(module: str) -> dict[str, Origin]:
    """Return how a module imports the names that it does not make itself."""
    found = {}
    package = sys.modules[module].__package__
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.Import):
            for one in node.names:
                name = one.asname or one.name.split(".")[0]
                found[name] = Origin(one.name, "", one.asname or "")
        if isinstance(node, ast.ImportFrom):
            origin = resolve_name("." * node.level + (node.module or ""), package)
            for one in node.names:
                found[one.asname or one.name] = Origin(origin, one.name, one.asname or "")
    return found
