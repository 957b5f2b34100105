"""The Chinese notebooks: the words are their own, code and results are the English notebooks'.

    python book/tools/chinese.py      # brings code and results over, and says what has changed
    python book/tools/chinese.py --reviewed 03_exemplars   # its words say what the English now say

Each Chinese text remembers which English text it translates, so that a test can tell when the
English one has changed since.
"""

import sys
from copy import deepcopy
from hashlib import sha256
from pathlib import Path
from typing import Any

import nbformat

BOOK = Path(__file__).parents[1]
CHINESE = BOOK / "zh"
TRANSLATES = "translates"  # in the metadata of a Chinese text: the mark of the English one
# The pages run in English; the Chinese ones show the same results, and are not run once more.
METADATA = {"mystnb": {"execution_mode": "off"}, "language_info": {"name": "python"}}
PROMPTS = {
    "Show the set-up cell": "显示准备单元格",
    "Hide the set-up cell": "隐藏准备单元格",
    "Show a solution": "显示一种解答",
    "Hide a solution": "隐藏解答",
    "Show the code": "显示代码",
    "Hide the code": "隐藏代码",
    "Show what must hold": "显示必须成立的断言",
    "Hide what must hold": "隐藏必须成立的断言",
}


def mark(text: str) -> str:
    """Return a short name for a text, which changes when the text does."""
    return sha256(text.encode()).hexdigest()[:12]


def texts(notebook: Any) -> list[Any]:
    """Return the cells that hold words."""
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def described(notebook: Any) -> list[dict[str, str]]:
    """Return the descriptions of pictures, each as the part of the metadata that holds it."""
    images = [cell.metadata.get("mystnb", {}).get("image", {}) for cell in notebook.cells]
    return [image for image in images if "alt" in image]


def pairs(english: list[Any], chinese: list[Any], what: str) -> list[tuple[Any, Any]]:
    """Return both lists side by side; refuse what cannot be paired."""
    if len(english) != len(chinese):
        raise SystemExit(
            f"{what}: {len(english)} in English, {len(chinese)} in Chinese; write what is missing "
            f"into book/zh first"
        )
    return list(zip(english, chinese, strict=True))


def read(folder: Path, name: str) -> Any:
    """Return a notebook."""
    return nbformat.read(folder / f"{name}.ipynb", as_version=4)


def write(notebook: Any, name: str) -> None:
    """Write a Chinese notebook."""
    path = CHINESE / f"{name}.ipynb"
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


def carry_over(name: str) -> None:
    """Bring code and results of an English notebook into the Chinese one."""
    english, chinese = read(BOOK, name), read(CHINESE, name)
    result = deepcopy(english)
    result.metadata = english.metadata | METADATA
    for text, own in pairs(texts(result), texts(chinese), f"texts of {name}"):
        text.source, text.metadata = own.source, own.metadata
    for image, own in pairs(described(result), described(chinese), f"pictures of {name}"):
        image["alt"] = own["alt"]
    for cell in result.cells:
        for key, words in cell.metadata.get("mystnb", {}).items():
            if key.startswith("code_prompt"):
                cell.metadata.mystnb[key] = PROMPTS[words]
    write(result, name)


def changed(name: str) -> list[str]:
    """Return the English texts that have changed since they were translated."""
    both = pairs(texts(read(BOOK, name)), texts(read(CHINESE, name)), f"texts of {name}")
    return [text.source for text, own in both if own.metadata.get(TRANSLATES) != mark(text.source)]


def reviewed(name: str) -> None:
    """Note that the Chinese words say what the English ones now say."""
    chinese = read(CHINESE, name)
    for text, own in pairs(texts(read(BOOK, name)), texts(chinese), f"texts of {name}"):
        own.metadata[TRANSLATES] = mark(text.source)
    write(chinese, name)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--reviewed"]:
        for name in sys.argv[2:]:
            reviewed(name)
    for name in sorted(path.stem for path in CHINESE.glob("*.ipynb")):
        carry_over(name)
        for text in changed(name):
            print(f"{name}: changed since it was translated: {text[:70]!r}")
