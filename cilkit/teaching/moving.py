"""Films: figures that were recorded, to be moved through with no kernel and no network.

Each frame is drawn here, as SVG; the page's script only shows one after the other. So there is one
drawing for the film, the printed page and the tests. On a screen a film stands at its first frame;
paper, and a page where no script runs, show the frame `printed`.
"""

import json
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from functools import cache
from html import escape
from importlib.resources import files


@dataclass(frozen=True)
class Frame:
    """One position of the slider."""

    at: str  # where the slider stands, "epoch 3"
    says: str  # what there is to read there, "old 1.02, new 1.31"
    marks: str  # the SVG of all that moves
    group: str = ""  # the frames that this one is among, "stage 2"
    step: str = ""  # a step here has this name, "align", and a button: Play waits for the reader


@dataclass(frozen=True)
class Guess:
    """What the reader is asked to expect, before the film can be moved: a percentage at its end."""

    asks: str  # "What accuracy do you expect of WA at the end, on all 10 classes?"
    answer: float  # as the last frame has it


@dataclass(frozen=True)
class Moving:
    """A figure with a slider; a notebook, the book and Colab show it as it is.

    `backdrop` is the SVG of all that stays. `printed` is the frame for paper. Frames that are in
    groups have two sliders: `groups` is what the first one is about, "stage".
    """

    title: str  # one line: what is to be seen
    describe: str  # for who cannot see it: what the picture shows and how it moves
    slider: str  # what the slider is about, "epoch"
    frames: Sequence[Frame]
    backdrop: str = ""
    width: int = 640
    height: int = 320
    printed: int = 0
    groups: str = ""
    play: bool = True  # no button *Play* where each frame is to be read
    guess: Guess | None = None

    def _repr_html_(self) -> str:
        first = self.frames[self.printed]
        rows = "".join(
            f"<tr><td>{escape(frame.at)}</td><td>{escape(frame.says)}</td></tr>"
            for frame in self.frames
        )
        frames = json.dumps([astuple(frame) for frame in self.frames])
        return (
            f'<figure class="cil-figure cil-moving">{style()}'
            f"<figcaption>{escape(self.title)} <small>recorded</small></figcaption>"
            f'{picture(self, first.marks)}<div class="cil-controls">{controls(self)} '
            f'<output aria-live="off">{escape(first.at)}: {escape(first.says)}</output></div>'
            f"{asked(self.guess) if self.guess else ''}"
            f"<details><summary>As text</summary><table>{rows}</table></details>"
            f'<script type="application/json">{for_script(frames)}</script>'
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


def controls(figure: Moving) -> str:
    """Return a button and sliders; the script adds buttons for single steps."""
    play = '<button type="button" class="cil-play">Play</button>' if figure.play else ""
    outer = f'<label>{escape(figure.groups)} <input type="range" autocomplete="off"></label>'
    return (
        f"{play}{outer if figure.groups else ''}<label>{escape(figure.slider)} "
        f'<input type="range" min="0" max="{len(figure.frames) - 1}" value="{figure.printed}" '
        'autocomplete="off"></label>'
    )


def asked(guess: Guess) -> str:
    """Return the question; what the reader answers is kept in the page alone."""
    return (
        f'<div class="cil-guess" data-answer="{guess.answer:.1f}"><form>'
        f'<label>{escape(guess.asks)} <input type="range" value="50" autocomplete="off"> '
        '<b aria-hidden="true">50 %</b></label>'
        '<button>That is my guess</button> <button value="skip">Skip</button></form></div>'
    )


def style() -> str:
    """Return the look that all our figures share."""
    return f"<style>{asset('figures.css')}</style>"


@cache
def asset(name: str) -> str:
    """Return a file that lies beside this one, or in a folder there."""
    return (files("cilkit.teaching") / name).read_text(encoding="utf-8").strip()


def for_script(data: str) -> str:
    """Return JSON that no HTML parser takes for the script's end."""
    return data.replace("</", "<\\/")
