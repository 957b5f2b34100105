"""Formulas as MathML, which every browser draws by itself: no script, no fonts, no network.

Docutils does the work. What stands here are the few habits of TeX that it does not share.
"""

import re
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging

logger = logging.getLogger(__name__)
SPACE = "http://www.w3.org/1998/Math/MathML"
# One argument: in braces, a command with or without such an argument, or a single character.
ONE = r"(?:\{(?:[^{}]|\{[^{}]*\})*\}|\\[A-Za-z]+\s*(?:\{[^{}]*\})?|[^\s{}])"
TEX = [
    (r"\\dots(?![a-z])", r"\\ldots"),
    (r"\\,\s*\\(\||Vert(?![a-z]))\s*\\,", r"\\parallel "),  # a relation, in TeX by its spaces
    (r"\\[bB]ig+[lr]?(?![a-zA-Z])", ""),  # fences stretch by themselves
    (rf"\\operatorname\*({ONE})_({ONE})", r"\\underset{\2}{\\operatorname\1}"),
    (rf"\\([dt]?)frac\s*({ONE})\s*({ONE})", r"\\\1frac{\2}{\3}"),  # docutils reads 12 as one
]


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.add_html_math_renderer("mathml", (visit_inline, None), (visit_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def visit_inline(translator: Any, node: nodes.math) -> None:
    """Write a formula that stands in a line."""
    translator.body.append(f'<span class="math">{formula(node, as_block=False)}</span>')
    raise nodes.SkipNode


def visit_block(translator: Any, node: nodes.math_block) -> None:
    """Write a formula that has a line of its own; it can be scrolled where it is too wide."""
    translator.body.append(f'<div class="math">{formula(node, as_block=True)}</div>\n')
    raise nodes.SkipNode


def formula(node: nodes.Element, as_block: bool) -> str:
    """Return the MathML of a node's TeX; a formula that cannot be set stops the build."""
    tex = node.astext().strip()
    try:
        return mathml(tex, as_block)
    except (MathError, SyntaxError) as error:
        logger.warning("cannot set the formula %r: %s", tex, error, location=node)
        return f"<code>{tex}</code>"


def mathml(tex: str, as_block: bool = False) -> str:
    """Return MathML; the TeX it was made of goes with it, for whoever copies it."""
    plain = tex
    for habit, ours in TEX:
        plain = re.sub(habit, ours, plain)
    text = tex2mathml(plain, as_block=as_block).replace("&ApplyFunction;", "\u2061")
    ElementTree.register_namespace("", SPACE)
    root = ElementTree.fromstring(re.sub(r">\s+<", "><", text))
    for parent in list(root.iter()):
        put_hat_on_the_letter(parent)
        set_functions_apart(parent)
        keep_fences_low(parent)
    root.set("alttext", tex)
    return ElementTree.tostring(root, encoding="unicode")


def put_hat_on_the_letter(element: Element) -> None:
    """Take an index from below a letter with a hat to its side: docutils takes both for limits."""
    if element.tag != f"{{{SPACE}}}munderover" or element[2].text != "ˆ":
        return
    letter, index, hat = element
    for child in (letter, index, hat):
        element.remove(child)
    element.tag = f"{{{SPACE}}}msub"
    below = SubElement(element, f"{{{SPACE}}}mover")
    below.extend((letter, hat))
    element.append(index)


def set_functions_apart(element: Element) -> None:
    """Leave a thin space between a function's name and what is not in brackets."""
    for child, following in zip(list(element), [*element][1:], strict=False):
        if child.text == "\u2061" and following.text != "(":
            child.tag, child.text = f"{{{SPACE}}}mspace", None
            child.set("width", "0.17em")


def keep_fences_low(element: Element) -> None:
    """Keep fences from stretching where an exponent follows, which would sink below the line."""
    opened: list[Element] = []
    for child in element:
        if child.get("class") == "mathopen":
            opened = [child]
        if child.tag == f"{{{SPACE}}}msup" and child[0].tag == f"{{{SPACE}}}mo":
            for fence in (*opened, child[0]):
                fence.set("stretchy", "false")
