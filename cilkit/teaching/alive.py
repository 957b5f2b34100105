"""Figures that compute in a page with no kernel and no network, from what the reader sets.

A figure is drawn twice: here, with the package's own functions, for the picture at the start; and
in the page, by a short script (`chapters/*.js`), for every other state. The tests hold the two
together. What all such figures share lies in `alive.js`.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from cilkit.teaching.moving import asset, for_script, style
from cilkit.teaching.thumbnails import address

ASLEEP = "This figure computes in the page. Where no script runs, it stays as it is here."


@dataclass(frozen=True)
class Control:
    """What the reader sets: its name in the state, where it starts, its HTML."""

    key: str
    start: Any
    html: str


def slider(
    key: str,
    label: str,
    low: float,
    high: float,
    start: float,
    *,
    step: float = 1,
    digits: int = 0,
    power: bool = False,
) -> Control:
    """Return a slider; with `power` its steps are those of the logarithm to base 2."""
    ends = [float(np.log2(value)) if power else value for value in (low, high, start)]
    least, most, first = (f"{value:g}" for value in ends)
    html = (
        f'<span class="cil-slider"><label>{escape(label)} <input type="range" data-key="{key}" '
        f'min="{least}" max="{most}" step="{step:g}" value="{first}" data-digits="{digits}"'
        f'{" data-power" if power else ""} autocomplete="off">'
        f'<b aria-hidden="true">{start:.{digits}f}</b></label></span>'
    )
    return Control(key, start, html)


def number(key: str, label: str, low: float, high: float, start: float) -> Control:
    """Return a field for a whole number."""
    return Control(key, start, f"<label>{escape(label)} {field_of(key, low, high, start)}</label>")


def hidden(key: str, start: float | str, low: float = 0, high: float = 0) -> Control:
    """Return a part of the state that has no control of its own: a text, or a whole number."""
    if isinstance(start, str):
        return Control(key, start, f'<input type="text" data-key="{key}" value="{start}" hidden>')
    return Control(key, start, f"<span hidden>{field_of(key, low, high, start)}</span>")


def field_of(
    key: str,
    low: float,
    high: float,
    start: float,
    *,
    step: str = "1",
    say: str = "",
    look: str = "",
) -> str:
    """Return the HTML of a field for a number; `say` names one that has no label."""
    name = f' aria-label="{escape(say)}"' if say else ""
    shown = f' data-look="{look}"' if look else ""
    return (
        f'<input type="number" data-key="{key}" min="{low:g}" max="{high:.12g}" step="{step}" '
        f'value="{start:.12g}" autocomplete="off"{name}{shown}>'
    )


def choice(key: str, label: str, options: Mapping[str, str], start: str) -> Control:
    """Return a list to choose from: values, and what each is called."""
    rows = "".join(
        f'<option value="{escape(value)}"{" selected" if value == start else ""}>{escape(name)}'
        "</option>"
        for value, name in options.items()
    )
    html = f'<label>{escape(label)} <select data-key="{key}" autocomplete="off">{rows}</select>'
    return Control(key, start, html + "</label>")


def packed(values: ArrayLike, *, wide: bool = True) -> dict[str, Any]:
    """Return numbers as whole ones of 16 bits (`wide`) or 8 and a scale: `unpacked` undoes it."""
    array = np.asarray(values, dtype=np.float64)
    kind = np.int16 if wide else np.int8
    scale = float(np.abs(array).max()) / np.iinfo(kind).max
    levels = np.rint(array / scale).astype("<i2" if wide else "i1")
    return {"bytes": base64.b64encode(levels.tobytes()).decode(), "scale": scale, "wide": wide}


def unpacked(data: Mapping[str, Any]) -> NDArray[np.float64]:
    """Return the numbers that a page finds in what `packed` made: (N,)."""
    levels = np.frombuffer(base64.b64decode(data["bytes"]), "<i2" if data["wide"] else "i1")
    return levels.astype(np.float64) * data["scale"]


def pictures(key: str, label: str, images: Tensor, captions: Sequence[str]) -> Control:
    """Return images to choose from, (N, 1 or 3, H, W) uint8; the first is chosen."""
    rows = "".join(
        f'<label title="{escape(caption)}"><input type="radio" name="{key}" data-key="{key}" '
        f'value="{i}"{" checked" if i == 0 else ""} autocomplete="off">'
        f'<img src="{address(image, "png")}" alt="{escape(caption)}"></label>'
        for i, (image, caption) in enumerate(zip(images, captions, strict=True))
    )
    group = f'<span class="cil-pictures" role="group" aria-label="{escape(label)}">'
    return Control(key, 0, f"{group}{rows}</span>")


@dataclass(frozen=True)
class Shown:
    """What a figure shows in one state: the marks of each panel, words, words of other parts."""

    marks: Sequence[str]
    says: str
    texts: Mapping[str, str] = field(default_factory=dict)
    looks: Mapping[str, str] = field(default_factory=dict)  # of fields: "plus", "minus"


@dataclass(frozen=True)
class Panel:
    """One of a figure's pictures; they stand beside each other, on a phone one below the other."""

    width: int
    height: int
    backdrop: str = ""  # the SVG of all that stays


@dataclass(frozen=True)
class Alive:
    """A figure that computes; a notebook, the book and Colab show it as it is.

    `script` is the file in `chapters/` that draws in the page what `draw` draws here.
    """

    script: str
    title: str
    describe: str  # for who cannot see it: what the pictures show and what changes them
    data: Mapping[str, Any]  # what the script computes from
    controls: Sequence[Control]
    draw: Callable[..., Shown]  # takes the state, by the controls' names
    panels: Sequence[Panel] = ()
    body: str = ""  # HTML beside the panels: a table with fields of its own
    fields: Mapping[str, Any] = field(default_factory=dict)  # where those start
    acts: Mapping[str, str] = field(default_factory=dict)  # buttons: the script's names, and words
    keys: str = ""  # which keys a picture takes

    def start(self) -> dict[str, Any]:
        """Return the state that is seen first."""
        return {control.key: control.start for control in self.controls} | dict(self.fields)

    def _repr_html_(self) -> str:
        shown = self.draw(**self.start())
        pictures = map(self.picture, self.panels, shown.marks)
        parts = map(asset, ("formulas.js", "alive.js", f"chapters/{self.script}.js"))
        return (
            f'<figure class="cil-figure cil-alive" data-script="{self.script}">{style()}'
            f"<figcaption>{escape(self.title)}</figcaption><form>"
            f'<div class="cil-panels">{"".join(pictures)}</div>'
            f'<fieldset disabled>{self.body}<div class="cil-controls">'
            f"{''.join(control.html for control in self.controls)}{self.buttons()}"
            f'<button type="button" class="cil-reset">Reset</button></div></fieldset></form>'
            f'<p class="cil-says">{escape(shown.says)}</p><p class="cil-heard" role="status"></p>'
            f'<p class="cil-asleep">{ASLEEP}</p>'
            f'<script type="application/json">{for_script(json.dumps(dict(self.data)))}</script>'
            "<script>{\n" + "\n".join(parts) + "\n}</script></figure>"
        )

    def buttons(self) -> str:
        """Return the buttons that do more than set a control."""
        return "".join(
            f'<button type="button" data-act="{name}">{escape(words)}</button>'
            for name, words in self.acts.items()
        )

    def picture(self, panel: Panel, marks: str) -> str:
        """Return one drawing, with its name and description."""
        role = 'role="application" tabindex="0"' if self.keys else 'role="img"'
        name = escape(f"{self.title}. {self.keys}." if self.keys else self.title)
        return (
            f'<svg viewBox="0 0 {panel.width} {panel.height}" {role} '
            f'style="--wide:{panel.width}" aria-label="{name}">'
            f"<title>{escape(self.title)}</title><desc>{escape(self.describe)}</desc>"
            f'{panel.backdrop}<g class="cil-frame">{marks}</g></svg>'
        )

    def __repr__(self) -> str:
        return f"{self.title}\n{self.draw(**self.start()).says}"
