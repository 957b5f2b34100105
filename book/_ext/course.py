"""What the book's build needs beside Jupyter Book: a module beside this one for each concern."""

from typing import Any

CONCERNS = ["address", "offline", "markup", "languages", "searching", "sharing", "notfound"]
CONCERNS += ["laboratory", "pictures", "links", "formulas", "asking", "methods"]


def setup(app: Any) -> dict[str, bool]:
    """Load the modules."""
    for concern in CONCERNS:
        app.setup_extension(concern)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
