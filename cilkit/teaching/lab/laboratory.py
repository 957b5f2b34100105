"""The laboratory as one piece of HTML, from the files beside this one."""

import json
import re
from dataclasses import dataclass

from cilkit.teaching.lab.pack import packed_digits
from cilkit.teaching.moving import asset, for_script

SCRIPTS = ("formulas.js", "lab/engine.js", "lab/trainer.js", "lab/lab.js")


def laboratory() -> "Laboratory":
    """Show the laboratory, where the reader trains; a notebook and the book show it as it is."""
    return Laboratory(json.dumps(packed_digits()))


@dataclass(frozen=True)
class Laboratory:
    """The figure: controls, pictures, the engine and the digits."""

    digits: str  # as JSON

    def _repr_html_(self) -> str:
        parts = {
            "STYLE": asset("figures.css") + asset("lab/lab.css"),
            "TABLE": table(ladder()),
            "DIGITS": for_script(self.digits),
            # A block: a page may have two.
            "SCRIPT": "\n".join(["{", *map(asset, SCRIPTS), "}"]),
        }
        return re.sub(r"@([A-Z]+)@", lambda place: parts[place[1]], asset("lab/lab.html"))

    def __repr__(self) -> str:
        return "the laboratory: it is to be seen in a notebook or in the book"


def ladder() -> dict[str, dict[str, list[float]]]:
    """Return the stored accuracies after the last stage: here, in Python and in a browser.

    `tests/benchmarks/laboratory.py` makes the record again.
    """
    return json.loads(asset("lab/ladder.json"))["last"]


def table(last: dict[str, dict[str, list[float]]]) -> str:
    """Return the accuracies as a table, for pages that run no script."""
    from cilkit.metrics import spread

    rows = "".join(
        f"<tr><th scope='row'>{method}</th><td>{spread(found['browser'])}</td>"
        f"<td>{spread(found['python'])}</td></tr>"
        for method, found in last.items()
    )
    head = "<tr><th>method</th><th>in a browser</th><th>in Python</th></tr>"
    return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"
