"""Count on how many seeds each claim of the chapters holds, into cilkit/results/claims.json.

    python book/tools/claims.py [NOTEBOOK ...]

A claim is an `assert` in a cell with the tag `claim`. Pages show seed 30; here each notebook's code
runs with the seeds 30 to 49, and nothing is drawn while it trains. A notebook that names no seed
runs once.
"""

import ast
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any
from unittest.mock import patch

BOOK = Path(__file__).parents[1]
COUNTS = BOOK.parent / "cilkit" / "results" / "claims.json"
SHOWN, SEEDS = "seed=30", range(30, 50)


def code_of(path: Path) -> Iterator[tuple[str, bool]]:
    """Yield each code cell of a notebook, and whether it holds claims."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        tags = cell["metadata"].get("tags", [])
        if cell["cell_type"] == "code" and "setup" not in tags:
            yield "".join(cell["source"]), "claim" in tags


def claims_of(path: Path) -> list[str]:
    """Return the claims of a notebook, as Python writes them."""
    trees = [ast.walk(ast.parse(code)) for code, claims in code_of(path) if claims]
    return [ast.unparse(node) for tree in trees for node in tree if isinstance(node, ast.Assert)]


class Counted(ast.NodeTransformer):
    """Turns `assert test, message` into `claim(text, test)`, so that all of them are counted."""

    def visit_Assert(self, node: ast.Assert) -> ast.Expr:
        """Change one."""
        text = ast.Constant(ast.unparse(node))
        call = ast.Call(ast.Name("claim", ast.Load()), [text, node.test], [])
        return ast.copy_location(ast.Expr(call), node)


def held(path: Path, seed: int) -> dict[str, bool]:
    """Run a notebook's code with this seed; return whether each claim held every time."""
    import torch

    from cilkit.show.live import LivePlot

    torch.set_num_threads(1)
    found: dict[str, bool] = {}

    def claim(text: str, test: Any) -> None:
        found[text] = found.get(text, True) and bool(test)

    names = {"claim": claim, "__name__": "__main__"}
    with patch.object(LivePlot, "__call__"):  # a drawing costs more than the training
        for code, claims in code_of(path):
            tree = ast.parse(code.replace(SHOWN, f"seed={seed}"))
            tree = ast.fix_missing_locations(Counted().visit(tree)) if claims else tree
            exec(compile(tree, f"{path.name}, seed {seed}", "exec"), names)
    return found


def count(paths: list[Path]) -> dict[str, dict[str, Any]]:
    """Return, for each notebook and claim, the seeds on which it held and those on which not."""
    jobs = [
        (path, seed)
        for path, seed in product(paths, SEEDS)
        if claims_of(path) and (seed == SEEDS[0] or SHOWN in path.read_text(encoding="utf-8"))
    ]
    counts: dict[str, dict[str, Any]] = {path.stem: {} for path, _ in jobs}
    with ProcessPoolExecutor(max_workers=2, max_tasks_per_child=1) as pool:
        for (path, seed), found in zip(jobs, pool.map(held, *zip(*jobs, strict=True)), strict=True):
            for text, true in found.items():
                of_claim = counts[path.stem].setdefault(text, {"held": [], "failed": []})
                of_claim["held" if true else "failed"].append(seed)
            print(path.stem, seed, *(f"FAILED {t}" for t, true in found.items() if not true))
    return counts


def main(names: list[str]) -> None:
    """Count, and keep what the other notebooks reached."""
    from cilkit.runs.provenance import machine, versions

    paths = [Path(name) for name in names] or sorted(BOOK.glob("*.ipynb"))
    earlier = json.loads(COUNTS.read_text()) if COUNTS.exists() else {}
    made = {"versions": versions(), "machine": machine()}
    made["started"] = datetime.now(UTC).isoformat(timespec="seconds")
    new = {name: {"claims": claims, "made": made} for name, claims in count(paths).items()}
    COUNTS.write_text(json.dumps(earlier | new, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
