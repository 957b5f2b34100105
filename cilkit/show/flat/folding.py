"""Long statements in lines that fit, broken as ruff breaks them."""

import ast
import tokenize
from collections.abc import Iterator
from io import StringIO
from itertools import pairwise

from cilkit.show.flat.syntax import begins, extent, same, words

WIDTH = 100  # columns


def fitted(text: str) -> str:
    """Return a file's text with its long statements folded; a comment there goes above."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]
    for node in sorted(nodes, key=begins, reverse=True):
        lines = text.split("\n")
        first, last, indent = node.lineno - 1, node.end_lineno or 0, " " * node.col_offset
        text_only = isinstance(getattr(node, "value", None), ast.Constant)  # a docstring, say
        if hasattr(node, "body") or text_only:
            continue
        if any(len(line) > WIDTH for line in lines[first:last]):
            comment = text[extent(text, node).stop :].split("\n")[0].strip()
            folded = [indent + comment] * bool(comment) + fold(words(text, node), node.col_offset)
            changed = "\n".join([*lines[:first], *folded, *lines[last:]])
            text = changed if same(changed, text) else text
    return text


def fold(line: str, indent: int) -> list[str]:
    """Return a statement, or a part of one, in lines that fit, broken as ruff breaks them."""
    before = " " * indent
    if indent + len(line) <= WIDTH or not (brackets := last_brackets(line, WIDTH - indent)):
        return [before + line]
    opened, closed = brackets
    content = line[opened + 1 : closed]
    called = line[:opened][-1:].isidentifier()  # a call's arguments may share a line
    parts = [f"{part}," for part in at_commas(content)]
    if len(parts) == 1 or (called and indent + 4 + len(content) <= WIDTH):
        parts = [content]
    inner = [row for part in parts for row in fold(part, indent + 4)]
    return [before + line[: opened + 1], *inner, before + line[closed:]]


def marks(line: str) -> Iterator[tuple[int, int, str]]:
    """Yield brackets and commas: how deep each is, where, and what."""
    depth = quoted = 0
    for token in tokenize.generate_tokens(StringIO(line).readline):
        kind = tokenize.tok_name[token.type]  # from Python 3.12 on, f-strings are read into, too
        quoted += kind.endswith("STRING_START") - kind.endswith("STRING_END")
        if token.type == tokenize.OP and token.string in "([{,}])" and not quoted:
            depth -= token.string in ")]}"
            yield depth, token.start[1], token.string
            depth += token.string in "([{"


def last_brackets(line: str, width: int) -> tuple[int, int] | None:
    """Return where the last brackets open and close that hold something and open early enough."""
    places = [place for depth, place, mark in marks(line) if depth == 0 and mark != ","]
    pairs = [*zip(places[::2], places[1::2], strict=True)]
    fitting = [(first, last) for first, last in pairs if first + 1 < last and first < width]
    return fitting[-1] if fitting else None


def at_commas(content: str) -> list[str]:
    """Return the parts of what stands between brackets."""
    commas = [place for depth, place, mark in marks(content) if depth == 0 and mark == ","]
    found = [content[a + 1 : b].strip() for a, b in pairwise([-1, *commas, len(content)])]
    return [part for part in found if part]
