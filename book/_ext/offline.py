"""Nothing on a page comes from another server, and nothing on it needs a kernel."""

import os
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    os.environ["CILKIT_STATIC"] = "1"  # the kernels inherit it: sliders are drawn as pictures
    os.environ["OMP_NUM_THREADS"] = "1"  # the same sums in the same order on any machine
    app.connect("build-finished", vendor_mathjax)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def vendor_mathjax(app: Any, exception: Exception | None) -> None:
    """Put MathJax beside the pages: formulas need no network."""
    spec = find_spec("sphinx-mathjax-offline")
    if exception is None and spec is not None and spec.submodule_search_locations:
        package = Path(spec.submodule_search_locations[0])
        target = Path(app.outdir) / "_static" / "vendor"
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(next(package.rglob("tex-svg.js")), target)
