"""Python's source as text and as a tree: what is where, and how it is changed in its place."""

import ast
from collections.abc import Iterable

Node = ast.expr | ast.stmt
# What must stay in a function of its own, what runs more than once, and what may leave out parts.
OWN: tuple[type[ast.AST], ...] = (ast.FunctionDef, ast.Lambda, ast.ClassDef, ast.Global, ast.Try)
OWN += (ast.Nonlocal, ast.Import, ast.ImportFrom, ast.Match, ast.Delete, ast.NamedExpr)
OWN += (ast.Yield, ast.YieldFrom, ast.Await)
OFTEN = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
PERHAPS = (ast.IfExp, ast.BoolOp, ast.Compare, *OFTEN)
FIXED = (ast.Name, ast.Constant, ast.Dict, ast.List, ast.Tuple, ast.Set, ast.Starred)


def function(text: str) -> ast.FunctionDef:
    """Return the function that a text defines."""
    [node] = ast.parse(text).body
    assert isinstance(node, ast.FunctionDef)
    return node


def body(node: ast.FunctionDef) -> list[ast.stmt]:
    """Return a function's statements, without its docstring."""
    return node.body[ast.get_docstring(node) is not None :]


def begins(node: Node) -> tuple[int, int]:
    """Return the line and the column of a node's first letter."""
    return node.lineno, node.col_offset


def ends(node: Node) -> tuple[int, int]:
    """Return the line and the column behind a node's last letter."""
    return node.end_lineno or 0, node.end_col_offset or 0


def extent(text: str, node: Node) -> slice:
    """Return where a node is in the text that it was parsed from; its columns count bytes."""
    content = text.encode()
    lines = content.split(b"\n")
    first, last = (
        len(content[: sum(map(len, lines[: row - 1])) + row - 1 + column].decode())
        for row, column in (begins(node), ends(node))
    )
    return slice(first, last)


def words(text: str, node: Node) -> str:
    """Return a node's text, on one line."""
    said = text[extent(text, node)]
    if "\n" not in said:
        return said
    said = ast.unparse(node)
    return said if '"' in said else said.replace("'", '"')


def put(text: str, node: ast.expr, new: str) -> str:
    """Return a text with `new` in a node's place, in parentheses where it needs them."""
    place = extent(text, node)
    bare, safe = (f"{text[: place.start]}{one}{text[place.stop :]}" for one in (new, f"({new})"))
    return bare if same(bare, safe) else safe


def same(one: str, other: str) -> bool:
    """Tell whether two texts mean the same to Python."""
    try:
        return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))
    except SyntaxError:
        return False


def parts(nodes: Iterable[ast.AST]) -> list[ast.AST]:
    """Return all nodes in some nodes."""
    return [part for node in nodes for part in ast.walk(node)]


def names(nodes: Iterable[ast.AST]) -> list[ast.Name]:
    """Return the names in some nodes, the last one first."""
    found = [part for part in parts(nodes) if isinstance(part, ast.Name)]
    return sorted(found, key=begins, reverse=True)


def read(nodes: Iterable[ast.AST]) -> set[str]:
    """Return the names in some nodes whose values are looked at: in `x += 1`, too."""
    found = parts(nodes)
    looked = [one for one in found if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Load)]
    added = [one.target for one in found if isinstance(one, ast.AugAssign)]
    return {one.id for one in [*looked, *added] if isinstance(one, ast.Name)}


def bound(node: ast.AST) -> set[str]:
    """Return what a function gives values to: parameters, variables, what is defined in it."""
    inner = [part for part in ast.walk(node) if part is not node]
    found = {one.id for one in names([node]) if not isinstance(one.ctx, ast.Load)}
    found |= {one.arg for one in inner if isinstance(one, ast.arg)}
    return found | {str(getattr(one, "asname", 0) or getattr(one, "name", 0)) for one in inner}


def still(nodes: Iterable[ast.AST]) -> bool:
    """Tell whether these nodes, by themselves, change nothing but variables."""
    for one in nodes:
        if isinstance(one, ast.Attribute | ast.Subscript) and not isinstance(one.ctx, ast.Load):
            return False
        if isinstance(one, (ast.Call, *OWN)):
            return False
    return True
