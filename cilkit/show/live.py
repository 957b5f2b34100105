"""An observer that draws a run while it goes on, in a notebook. Chapter 6."""

import sys
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Any

from matplotlib.figure import Figure

from cilkit.runs.records import Record, RunRecord, StageRecord
from cilkit.show.figures import live_figure

Draw = Callable[[Sequence[Record]], Figure]


class LivePlot:
    """Redraws one figure in place: after every stage, and in between every so many seconds.

    `draw` makes the figure from the records seen so far. Outside a notebook nothing is shown, but
    `figure` holds the drawing of the last finished stage.
    """

    def __init__(
        self, draw: Draw = live_figure, every: float = 1.0, clock: Callable[[], float] = monotonic
    ) -> None:
        self.draw, self.every, self.clock = draw, every, clock
        self.records: list[Record] = []
        self.figure: Figure | None = None
        self.handle: Any = None  # of the notebook's output that holds the figure
        self.due = float("-inf")  # when the next drawing may start

    def __call__(self, record: Record) -> None:
        """See one record; a `RunRecord` begins a new run, with a figure of its own."""
        if isinstance(record, RunRecord):
            self.records, self.handle = [], None
        self.records.append(record)
        start = self.clock()
        if isinstance(record, StageRecord) or (start >= self.due and in_notebook()):
            self.figure = self.draw(self.records)
            self.show()
            end = self.clock()  # at least four fifths of the time are left to the training
            self.due = end + max(self.every, 4 * (end - start))

    def show(self) -> None:
        """Put the figure where the last one was."""
        if self.handle is not None:
            self.handle.update(self.figure)
        elif in_notebook():
            from IPython.display import display  # notebooks have it, the package need not

            self.handle = display(self.figure, display_id=True)


def in_notebook() -> bool:
    """Return whether this process serves a notebook, in which IPython is already there."""
    ipython = sys.modules.get("IPython")
    return ipython is not None and hasattr(ipython.get_ipython(), "kernel")
