"""The page of all methods: a table that can be sorted, and a figure of the same numbers."""

import json
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.util.docutils import SphinxDirective

from cilkit.metrics import megabytes
from cilkit.runs.records import Cost
from cilkit.teaching.chapters.costs import accuracy_over_costs
from cilkit.teaching.still import Still

HERE = Path(__file__).parent
RESULTS = HERE.parents[1] / "cilkit" / "results"


class SortingDirective(SphinxDirective):
    """Let the table above be sorted by its headings."""

    def run(self) -> list[nodes.Node]:
        """Return the script; with no script, and on paper, it is a table."""
        script = (HERE / "sorting.js").read_text(encoding="utf-8")
        return [nodes.raw("", f"<script>\n{script}</script>", format="html")]


class CostsDirective(SphinxDirective):
    """Put the figure of what methods reach, and at what cost, where the directive stands."""

    def run(self) -> list[nodes.Node]:
        """Return its HTML."""
        return [nodes.raw("", figure()._repr_html_(), format="html")]


def figure() -> Still:
    """Return the figure of the stored comparison."""
    found = json.loads((RESULTS / "zoo-digits.json").read_text(encoding="utf-8"))["summary"]
    told = json.loads((RESULTS / "zoo-digits-cost.json").read_text(encoding="utf-8"))["cost"]
    costs = {name: Cost(**of) for name, of in told.items()}
    shown = {
        "cost of the whole run (GFLOP)": {name: one.flops / 1e9 for name, one in costs.items()},
        "handed to the next stage (kB)": {n: 1000 * megabytes(one) for n, one in costs.items()},
    }
    return accuracy_over_costs({name: of["last"] for name, of in found.items()}, shown)


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    app.add_directive("sorting", SortingDirective)
    app.add_directive("costs", CostsDirective)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
