"""Pictures that stand still: what a method's page shows of its idea."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from cilkit.teaching.moving import style


@dataclass(frozen=True)
class Drawing:
    """One of a figure's pictures; they stand beside each other, on a phone one below the other."""

    alt: str  # what one sees, for who cannot
    marks: str  # the SVG
    width: int = 340
    height: int = 280


@dataclass(frozen=True)
class Still:
    """A figure with nothing to set, for a page that runs no code."""

    title: str  # the question that it answers
    drawings: Sequence[Drawing]
    says: str  # what there is to read

    def _repr_html_(self) -> str:
        return (
            f'<figure class="cil-figure cil-still">{style()}'
            f"<figcaption>{escape(self.title)}</figcaption>"
            f'<div class="cil-panels">{"".join(map(picture, self.drawings))}</div>'
            f'<p class="cil-says">{escape(self.says)}</p></figure>'
        )

    def __repr__(self) -> str:
        return f"{self.title}\n{self.says}"


def picture(drawing: Drawing) -> str:
    """Return one drawing with its description; its letters have one size on screen and phone."""
    return (
        f'<svg viewBox="0 0 {drawing.width} {drawing.height}" role="img" '
        f'style="--wide:{drawing.width};font-size:12px" aria-label="{escape(drawing.alt)}">'
        f"{drawing.marks}</svg>"
    )
