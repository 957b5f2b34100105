"""Sliders that recompute, where a kernel runs; the picture for the first values elsewhere."""

import os
from collections.abc import Callable
from typing import Any

from cilkit.show.live import in_notebook

Control = tuple[float, float, float, float]  # lowest, highest, step, first


def explore(draw: Callable[..., Any], **controls: Control) -> Any:
    """Show what `draw` returns for the values that the reader sets, one slider for each argument.

    `budget=(1, 30, 1, 5)` is a slider from 1 to 30 in steps of 1 that starts at 5. Where the book
    is built (`CILKIT_STATIC` is set), and where ipywidgets is missing, it is drawn once.
    """
    first = {name: values[3] for name, values in controls.items()}
    try:
        from IPython.display import display
        from ipywidgets import FloatSlider, IntSlider, interactive
    except ImportError:
        return draw(**first)
    if os.environ.get("CILKIT_STATIC") or not in_notebook():
        return draw(**first)
    sliders = {
        name: (IntSlider if all(isinstance(v, int) for v in values) else FloatSlider)(
            min=low, max=high, step=step, value=value, description=name, continuous_update=False
        )
        for name, values in controls.items()
        for low, high, step, value in [values]
    }
    return interactive(lambda **values: display(draw(**values)), **sliders)
