"""A chain of classes as one: what each brings, and what is left when `super()` is resolved."""

import ast
import inspect
import re
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType

from cilkit.config import Config
from cilkit.errors import InputError
from cilkit.show.flat.moving import Site, moved
from cilkit.show.flat.origins import Origins
from cilkit.show.flat.syntax import begins, bound, function, names, put, read

BASE = "__base__"  # stands for what stays `super()`: one makes the base ready by its `__init__`


def source(thing: type | ModuleType) -> str:
    """Return the source of a class or a module, as if it stood at the left of a file."""
    try:
        text = textwrap.dedent(inspect.getsource(thing))
        ast.parse(text)
    except (OSError, TypeError, SyntaxError) as error:
        sentence = f"the source of {thing.__name__} cannot be read; a method must be in a file"
        raise InputError(sentence) from error
    return text


def body_of(cls: type) -> dict[str, str]:
    """Return what a class's body holds, by name, with the comments above; "" is its docstring."""
    text = source(cls)
    [node] = ast.parse(text).body
    lines, found = text.split("\n"), dict[str, str]()
    for statement in getattr(node, "body", []):
        name = name_of(statement, cls)
        if name and name in found:
            raise InputError(f"{cls.__name__} has two of {name}, which cannot be written out")
        first = min(part.lineno for part in [statement, *getattr(statement, "decorator_list", [])])
        while lines[first - 2].strip().startswith("#"):
            first -= 1
        part = textwrap.dedent("\n".join(lines[first - 1 : statement.end_lineno]))
        rows = [one.lineno for one in ast.walk(statement) if isinstance(one, ast.stmt)]
        found.setdefault(name, part if len(rows) == len({*rows}) else ast.unparse(statement))
    return found


def name_of(statement: ast.stmt, cls: type) -> str:
    """Return what a statement in a class's body gives a value to; "" for a docstring."""
    match statement:
        case ast.FunctionDef(name) | ast.ClassDef(name):
            return name
        case ast.AnnAssign(ast.Name(name)) | ast.Assign([ast.Name(name)]):
            return name
        case ast.Expr(ast.Constant()) | ast.Pass():
            return ""
    raise InputError(f"{cls.__name__} cannot be written out: {ast.unparse(statement):.60}")


def is_function(text: str) -> bool:
    """Tell whether a part of a class's body is a function."""
    return isinstance(ast.parse(text).body[0], ast.FunctionDef)


class Chain:
    """The classes that one is made of, the outermost first, and what their bodies hold."""

    def __init__(self, cls: type, base: type, origins: Origins) -> None:
        """Read their source; `base` stays a class of its own."""
        self.cls, self.base, self.origins = cls, base if cls is not base else None, origins
        bare = ("builtins", "abc", "typing")  # modules of classes that bring no code
        self.classes = [one for one in cls.__mro__ if one.__module__ not in bare]
        self.bodies = [body_of(one) for one in self.classes]
        found = [snake(one) for one in self.classes]
        self.owners = [f"{o}_{k}" if found.count(o) > 1 else o for k, o in enumerate(found)]
        self.helpers: dict[str, str] = {}

    def place(self, name: str, start: int = 0) -> int:
        """Return which is the first class from `start` on that has a name."""
        found = [k for k, body in enumerate(self.bodies) if k >= start and name in body]
        if not found:
            raise InputError(f"{self.cls.__name__}: super().{name} leads to no code of a method")
        return found[0]

    def note(self, text: str, cls: type) -> None:
        """Note where the names come from that a part of a class uses."""
        tree = ast.parse(text)
        own = {name for body in self.bodies for name in body} - {*vars(sys.modules[cls.__module__])}
        for name in read([tree]) - bound(tree.body[0]) - own - {"super"}:
            value = self.origins.note(name, cls.__module__)
            if value is not self.base and any(value is one for one in self.classes[1:]):
                raise InputError(f"{cls.__name__} names {name}, which is written out; use super()")

    def text(self, inner: str = "", says: str = "") -> str:
        """Return the class, with another one in it; `says` is its docstring if it joins several."""
        [node] = ast.parse(source(self.cls)).body
        marks = "".join(f"@{ast.unparse(mark)}\n" for mark in getattr(node, "decorator_list", []))
        self.note(f"{marks}class Marked: ...", self.cls)
        if self.base:
            self.origins.add(self.base)
        several = len([one for one in self.classes if one is not self.base]) > 1
        doc = f'"""{says}"""' if says and several else self.bodies[0].get("", "")
        variables = [*self.variables()]
        after = [block for block in variables if "Settings" in block]  # it has their kind
        before = [block for block in variables if block not in after]
        parts = [*filter(None, [doc, *before, inner, *after, *self.functions()])] or ["pass"]
        head = f"class {self.cls.__name__}" + (f"({self.base.__name__})" if self.base else "")
        return f"{marks}{head}:\n" + textwrap.indent("\n\n".join(parts), "    ")

    def variables(self) -> Iterator[str]:
        """Yield the variables of all classes, a block for each, as a dataclass orders fields."""
        seen = {"", "Settings"}
        for body in reversed(self.bodies):
            block = []
            for name in body:
                first = self.place(name)
                text, cls = self.bodies[first][name], self.classes[first]
                if name not in seen and cls is not self.base and not is_function(text):
                    self.note(text, cls)
                    block.append(self.remade(text) if name == "remade" else text)
                seen.add(name)
            yield "\n".join(block)

    def remade(self, text: str) -> str:
        """Return `remade` with the names of all classes: those are added to each other."""
        found = [one for cls in self.classes for one in vars(cls).get("remade", ())]
        said = ", ".join(f'"{one}"' for one in dict.fromkeys(found))
        return f"{text.split('=')[0]}= ({said})" if len({*found}) > 1 else text

    def functions(self) -> Iterator[str]:
        """Yield all functions, the base's first, each before those that it calls for `super()`."""
        for name in dict.fromkeys(name for body in reversed(self.bodies) for name in body):
            place = self.place(name)
            if self.classes[place] is not self.base and is_function(self.bodies[place][name]):
                before = {*self.helpers}
                yield self.written(name, place).replace(BASE, "super()")
                new = [text for helper, text in self.helpers.items() if helper not in before]
                yield from (text.replace(BASE, "super()") for text in reversed(new))

    def written(self, name: str, place: int) -> str:
        """Return a class's function with `super()` resolved; what is left of it says `BASE`."""
        text, cls = self.bodies[place][name], self.classes[place]
        self.note(text, cls)
        while uses := supers(tree := function(text)):
            text = self.resolved(Site(text, uses[-1], tree), place)
        if any(one.id == "super" for one in names([tree])):
            raise InputError(f"{cls.__name__}.{name} uses super() otherwise than as super().name")
        return text

    def resolved(self, site: Site, place: int) -> str:
        """Return a function with one `super()` less."""
        name = site.use.attr
        place = self.place(name, place + 1)
        below, cls = self.written(name, place), self.classes[place]
        if cls is self.base and name == "__init__":
            return put(site.text, site.use, f"{BASE}.__init__")
        if cls is Config and not function(below).decorator_list:
            return site.explicit(f"Config.{name}")
        owner = self.owners[place]
        helper = f"_{name.strip('_')}_of_{owner}"
        if helper not in self.helpers:
            says = "" if cls is self.base else summary(below)
            if changed := moved(site, below, owner, says):
                return changed
            self.helpers[helper] = re.sub(rf"\bdef {name}\b", f"def {helper}", below, count=1)
        return put(site.text, site.use, f"{site.itself}.{helper}")


def supers(tree: ast.FunctionDef) -> list[ast.Attribute]:
    """Return each `super().name` in a function, in the order of the text."""
    found = [one for one in ast.walk(tree) if isinstance(one, ast.Attribute)]
    return sorted((one for one in found if ast.unparse(one.value) == "super()"), key=begins)


def summary(text: str) -> str:
    """Return what a function's docstring says that it does; "" if it says what it returns."""
    first = (ast.get_docstring(function(text)) or "").split("\n\n")[0]
    return "" if first.startswith("Return") else " ".join(first.split())


def snake(cls: type) -> str:
    """Return a class's name as a part of a function's; settings are named after their method."""
    [name] = cls.__qualname__.removesuffix(".Settings").split(".")[-1:]
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z]\w)", "_", name).lower()
