"""Nothing on a page comes from another server, and nothing on it needs a kernel."""

import os
from pathlib import Path
from typing import Any


def setup(app: Any) -> dict[str, bool]:
    """Connect what follows to Sphinx."""
    os.environ["CILKIT_STATIC"] = "1"  # the kernels inherit it: sliders are drawn as pictures
    os.environ["OMP_NUM_THREADS"] = "1"  # the same sums in the same order on any machine
    app.connect("build-finished", empty_the_icons)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def empty_the_icons(app: Any, exception: Exception | None) -> None:
    """Empty the theme's script of 1.5 MB that draws icons: its style sheet draws the same ones."""
    script = Path(app.outdir) / "_static" / "scripts" / "fontawesome.js"
    if exception is None and script.exists():
        script.write_text("// The style sheet draws the icons, as letters of a font.\n")
