"""Formulas as MathML: what docutils makes of TeX, with the habits of TeX that the build adds."""

import importlib.util
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

PATH = Path(__file__).parents[1] / "book" / "_ext" / "formulas.py"

pytest.importorskip("sphinx", reason="no Sphinx: pip install -r requirements.txt")
spec = importlib.util.spec_from_file_location("formulas", PATH)
assert spec is not None
assert spec.loader is not None
formulas: Any = importlib.util.module_from_spec(spec)
spec.loader.exec_module(formulas)


def tree(tex: str, **options: Any) -> str:
    """Return the tree of a formula as tags and texts: `mfrac(mn=1 mi=n)`."""
    root = ElementTree.fromstring(formulas.mathml(tex, **options))
    return " ".join(map(told, root))


def told(element: ElementTree.Element) -> str:
    tag = element.tag.split("}")[1]
    inner = " ".join(map(told, element))
    return f"{tag}({inner})" if inner else f"{tag}={element.text or ''}"


@pytest.mark.parametrize(
    ("tex", "expected"),
    [
        (r"\frac1n", "mfrac(mn=1 mi=n)"),
        (r"\tfrac12", "mfrac(mn=1 mn=2)"),
        (r"\frac1{T-1}", "mfrac(mn=1 mrow(mi=T mo=− mn=1))"),
        (r"\hat q_c", "msub(mover(mi=q mo=ˆ) mi=c)"),
        (r"\hat{\mathbf o}_1", "msub(mover(mi=𝐨 mo=ˆ) mn=1)"),
        (r"1, \dots, n", "mn=1 mo=, mi=… mo=, mi=n"),
        (r"\big(a\big)", "mo=( mi=a mo=)"),
        (r"q \,\|\, p", "mi=q mo=∥ mi=p"),
        (r"\|a\|", "mo=‖ mi=a mo=‖"),
        (r"\log q", "mi=log mspace= mi=q"),
        (r"\log(q)", "mi=log mo=\u2061 mo=( mi=q mo=)"),
        (
            r"\operatorname*{argmax}_{c \in C}",
            "munder(mrow(mi=argmax mo=\u2061) mrow(mi=c mo=∈ mi=C))",
        ),
        (r"\sum_{c} w_c", "munder(mo=∑ mi=c) msub(mi=w mi=c)"),
    ],
)
def test_a_formula_means_what_it_means_in_tex(tex: str, expected: str) -> None:
    assert tree(tex, as_block=True) == expected


def test_a_formula_can_be_copied_as_tex() -> None:
    assert ElementTree.fromstring(formulas.mathml(r"\frac1n")).get("alttext") == r"\frac1n"


def test_a_command_that_is_unknown_is_no_formula() -> None:
    with pytest.raises(formulas.MathError, match="nonsense"):
        formulas.mathml(r"\nonsense{x}")


def test_two_fences_before_an_exponent_are_as_low_as_each_other() -> None:
    root = ElementTree.fromstring(formulas.mathml(r"\sum_i \lVert x \rVert^2 + \lVert W \rVert^2"))
    fences = [one for one in root.iter() if one.text == "‖"]
    assert [one.get("stretchy") for one in fences] == ["false"] * 4
