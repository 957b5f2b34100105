"""Films: figures that were recorded, to be moved through with no kernel and no network.

Each frame is drawn here, as SVG; the page's script only shows one after the other. So there is one
drawing for the film, the printed page and the tests. On a screen a film stands at its first frame;
paper, and a page where no script runs, show the frame `printed`.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files


@dataclass(frozen=True)
class Frame:
    """One position of the slider."""

    at: str  # where the slider stands, "epoch 3"
    says: str  # what there is to read there, "old 1.02, new 1.31"
    marks: str  # the SVG of all that moves


@dataclass(frozen=True)
class Moving:
    """A figure with a slider; a notebook, the book and Colab show it as it is.

    `backdrop` is the SVG of all that stays. `printed` is the frame for paper.
    """

    title: str  # one line: what is to be seen
    describe: str  # for who cannot see it: what the picture shows and how it moves
    slider: str  # what the slider is about, "epoch"
    frames: Sequence[Frame]
    backdrop: str = ""
    width: int = 640
    height: int = 320
    printed: int = 0

    def _repr_html_(self) -> str:
        """Return the figure, ready to be put into a page."""
        first, last = self.frames[self.printed], len(self.frames) - 1
        data = json.dumps([[frame.at, frame.says, frame.marks] for frame in self.frames])
        rows = "".join(
            f"<tr><td>{escape(frame.at)}</td><td>{escape(frame.says)}</td></tr>"
            for frame in self.frames
        )
        return (
            f'<figure class="cil-figure cil-moving">{style()}'
            f"<figcaption>{escape(self.title)} <small>recorded</small></figcaption>"
            f"{picture(self, first.marks)}"
            f'<div class="cil-controls"><button type="button" class="cil-play">Play</button>'
            f"<label>{escape(self.slider)} "
            f'<input type="range" min="0" max="{last}" value="{self.printed}" autocomplete="off">'
            f'</label> <output aria-live="off">{escape(first.at)}: {escape(first.says)}</output>'
            f"</div><details><summary>As text</summary><table>{rows}</table></details>"
            f'<script type="application/json">{for_script(data)}</script>'
            f"<script>{asset('moving.js')}</script></figure>"
        )

    def __repr__(self) -> str:
        lines = [f"{frame.at}: {frame.says}" for frame in self.frames]
        return "\n".join([self.title, *lines])


def picture(figure: Moving, marks: str) -> str:
    """Return the drawing, with its name and description."""
    return (
        f'<svg viewBox="0 0 {figure.width} {figure.height}" role="img" '
        f'aria-label="{escape(figure.title)}"><title>{escape(figure.title)}</title>'
        f"<desc>{escape(figure.describe)}</desc>{figure.backdrop}"
        f'<g class="cil-frame">{marks}</g></svg>'
    )


def style() -> str:
    """Return the look that all our figures share."""
    return f"<style>{asset('figures.css')}</style>"


@cache
def asset(name: str) -> str:
    """Return a file that lies beside this one."""
    return (files("cilkit.teaching") / name).read_text(encoding="utf-8").strip()


def for_script(data: str) -> str:
    """Return JSON that no HTML parser takes for the script's end."""
    return data.replace("</", "<\\/")
