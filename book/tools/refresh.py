"""Run every notebook from top to bottom and keep its outputs, as the repository holds them."""

import os
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

BOOK = Path(__file__).parents[1]
ON_THE_WAY = re.compile(r"^  stage \d+/\d+, epoch .*\n", re.MULTILINE)  # what a slow machine says
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def refresh(path: Path) -> None:
    """Execute a notebook in its folder; write it with nothing that changes without a reason."""
    notebook = nbformat.read(path, as_version=4)
    notebook.metadata = METADATA
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
        if (
            "check" in cell.metadata.get("tags", [])
            and "nbval-check-output" not in cell.metadata.tags
        ):
            cell.metadata.tags.append("nbval-check-output")
    client = NotebookClient(notebook, timeout=300, record_timing=False, coalesce_streams=True)
    client.execute(cwd=str(path.parent))
    for output in (one for cell in notebook.cells for one in cell.get("outputs", ())):
        if output.output_type == "stream":
            output.text = ON_THE_WAY.sub("", output.text)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ |= {"CILKIT_STATIC": "1", "OMP_NUM_THREADS": "1"}
    for name in sys.argv[1:] or sorted(
        map(str, [*BOOK.glob("*.ipynb"), *BOOK.glob("howto/*.ipynb")])
    ):
        print(name)
        refresh(Path(name))
