"""Code without the detours that come from putting pieces together."""

import ast
from collections.abc import Iterator

from cilkit.show.flat.syntax import extent, put, words


def tidied(text: str) -> str:
    """Return code that says the same in a shorter way."""
    while detour := next(detours(text), None):
        text = put(text, *detour)
    return text


def detours(text: str) -> Iterator[tuple[ast.expr, str]]:
    """Yield what is said in a roundabout way, and what it means."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Attribute(ast.Call(ast.Attribute(ast.Name(base), "_replace"), [], new), name):
                given = {str(one.arg): words(text, one.value) for one in new}  # **others: "None"
                if "None" not in given:
                    yield node, given.get(name, f"{base}.{name}")
            case ast.List() | ast.Dict():
                yield from ((node, opened(text, node, part)) for part in starred(node))
            case ast.BinOp(ast.BinOp(op=ast.BitOr(), right=one) | one, ast.BitOr(), other):
                if isinstance(one, ast.Dict) and isinstance(other, ast.Dict) and apart(one, other):
                    both = filter(None, [inside(text, one), inside(text, other)])
                    before = text[extent(text, node).start : extent(text, one).start]
                    yield node, f"{before}{{{', '.join(both)}}}"


def starred(node: ast.List | ast.Dict) -> list[ast.expr]:
    """Return the lists in a list, or dictionaries in a dictionary, whose content is meant."""
    if isinstance(node, ast.List):
        stars = [one.value for one in node.elts if isinstance(one, ast.Starred)]
        return [one for one in stars if isinstance(one, ast.List)]
    pairs = zip(node.keys, node.values, strict=True)
    inner = [value for key, value in pairs if key is None and isinstance(value, ast.Dict)]
    return [one for one in inner if apart(node, one)]


def apart(*dictionaries: ast.Dict) -> bool:
    """Tell whether no key is in two of some dictionaries."""
    keys = [ast.dump(key) for one in dictionaries for key in one.keys if key]
    return len({*keys}) == len(keys)


def inside(text: str, node: ast.expr) -> str:
    """Return what is between the brackets of a list or a dictionary."""
    return words(text, node)[1:-1].strip().removesuffix(",")


def opened(text: str, node: ast.expr, part: ast.expr) -> str:
    """Return a list or a dictionary with the content of one that is part of it by stars."""
    content, whole, inner = inside(text, part), extent(text, node), extent(text, part)
    before, after = text[whole.start : inner.start].rstrip("*"), text[inner.stop : whole.stop]
    if content:
        return before + content + after
    return before + after[1:].lstrip() if after[0] == "," else before.rstrip(", ") + after
