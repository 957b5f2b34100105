"""Names in any script: drawn in an installed font that has their characters, if there is one."""

import unicodedata
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import cache

from matplotlib.font_manager import (
    FontEntry,
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
)
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

SHOWN = 10  # characters that a warning names


def legible(names: Sequence[str], numbers: Sequence[int]) -> list[str]:
    """Return classes' names as they can be drawn: "class 3" where no font has the name's letters.

    `numbers` are the classes'; a warning says once which characters are missing.
    """
    strange = lacking(names)
    lost = strange.difference(families(strange))
    warn_of(lost)
    pairs = zip(names, numbers, strict=True)
    return [f"class {number}" if lost & set(name) else name for name, number in pairs]


def lend_fonts(texts: Iterable[Text]) -> None:
    """Give each text the fonts that have what its own one lacks."""
    texts = list(texts)
    strange = lacking(text.get_text() for text in texts)
    found = families(strange)
    warn_of(strange.difference(found))
    for text in texts:
        if others := [found[letter] for letter in text.get_text() if letter in found]:
            text.set_fontfamily([*dict.fromkeys([*text.get_fontfamily(), *others])])


def lacking(texts: Iterable[str]) -> frozenset[str]:
    """Return the characters that the font of figures lacks."""
    known = frozenset().union(*map(code_points, own_fonts()))
    return frozenset(c for c in set().union(*texts) if has_ink(c) and ord(c) not in known)


def has_ink(character: str) -> bool:
    """Tell whether a character is there to be seen: blanks, joiners and selectors are not."""
    kind = unicodedata.category(character)
    return kind[0] != "Z" and kind not in ("Cc", "Cf") and not "\ufe00" <= character <= "\ufe0f"


def own_fonts() -> Sequence[str]:
    """Return the files of the fonts in which matplotlib draws text, as it is set now."""
    files = []
    for family in FontProperties().get_family():
        with suppress(ValueError):  # matplotlib, too, goes without a family that is not installed
            files.append(findfont(FontProperties(family=[family]), fallback_to_default=False))
    return files or [findfont(FontProperties())]


@cache
def code_points(file: str) -> frozenset[int]:
    """Return the characters of a font."""
    return frozenset(FT2Font(file).get_charmap())


@cache
def families(characters: frozenset[str]) -> dict[str, str]:
    """Return for each character the family of an installed font that has it, if there is one."""
    found: dict[str, str] = {}
    for font in installed() if characters else ():
        if missing := characters.difference(found):
            found |= dict.fromkeys(those_in(font, missing), font.name)
    return found


def installed() -> list[FontEntry]:
    """Return all fonts there are, plain ones first; those too that came after matplotlib looked."""
    known = {font.fname for font in fontManager.ttflist}
    for file in findSystemFonts():
        if file not in known:
            with suppress(*UNUSABLE):
                fontManager.addfont(file)
    # one that draws a box for every character of Unicode comes with matplotlib
    fonts = [font for font in fontManager.ttflist if "lastresort" not in squeezed(font.name)]
    return sorted(fonts, key=lambda font: (font.style != "normal", font.weight != 400, font.name))


UNUSABLE = (OSError, RuntimeError, ValueError, KeyError)  # what matplotlib raises of strange fonts


def squeezed(name: str) -> str:
    """Return a name in small letters, without blanks."""
    return name.replace(" ", "").lower()


def those_in(font: FontEntry, characters: Iterable[str]) -> list[str]:
    """Return those of the characters that a font draws; none, where it cannot be used."""
    with suppress(*UNUSABLE):
        face = FT2Font(font.fname)
        face.set_size(12, 100)
        return [
            c for c in characters if face.get_char_index(ord(c)) and face.load_char(ord(c)).width
        ]
    return []


@cache
def warn_of(characters: frozenset[str]) -> None:
    """Warn, once, of characters that no font has."""
    if characters:
        shown = sorted(characters)[:SHOWN]
        more = f" and {len(characters) - SHOWN} more" if len(characters) > SHOWN else ""
        scripts = ", ".join(sorted(set(map(script, characters))))
        warnings.warn(
            f"no installed font has {' '.join(shown)}{more} ({scripts}); a class with such a name "
            f'is called by its number, as in "class 3"; a font such as Noto Sans CJK or Noto Emoji '
            f"would show it",
            stacklevel=2,
        )


def script(character: str) -> str:
    """Return the script that a character belongs to, or what it is else."""
    if unicodedata.category(character)[0] == "S":
        return "symbols"
    word = unicodedata.name(character, "unknown").split()[0]
    return word if word == "CJK" else word.title()
