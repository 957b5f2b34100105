"""Classes' names in any script: in a font that has them, by their numbers where there is none."""

import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.font_manager import FontEntry, fontManager
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text
from test_figures import make_records

from cilkit import DataSet
from cilkit.runs.records import RunRecord
from cilkit.show import fonts
from cilkit.show.figures import (
    accuracy_matrix_figure,
    accuracy_per_stage,
    confusion_figure,
    live_figure,
    prototype_norms,
)
from cilkit.show.fonts import legible
from cilkit.show.layout import Picture, short
from cilkit.show.survey import contact_sheet

FONTS = Path(matplotlib.get_data_path(), "fonts", "ttf")
WATCH = "⌚"  # of matplotlib's own fonts, STIX has it, and DejaVu, the usual one, lacks it
NAMES = ["größe", "猫", "a", "🐴", f"my {WATCH}", "にわとり"]


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    """Forget what was found and said, before and after."""

    def forget() -> None:
        fonts.families.cache_clear()
        fonts.warn_of.cache_clear()

    forget()
    yield
    forget()


def install(patch: pytest.MonkeyPatch, *names: str) -> None:
    """Let these be the fonts of the machine, by their files' names."""
    found = {Path(font.fname).name: font for font in fontManager.ttflist}
    entries: list[FontEntry] = [found[name] for name in names]
    patch.setattr(fonts, "installed", lambda: entries)


def drawn(figure: Figure) -> list[str]:
    """Return what is written in a figure, once it is drawn."""
    figure.savefig(io.BytesIO(), format="png")
    return [text.get_text() for text in figure.findobj(Text)]


def sheet(names: list[str]) -> Figure:
    pixels, numbers = np.zeros((len(names), 4, 4), np.uint8), list(range(len(names)))
    return contact_sheet(DataSet.of(pixels, numbers, pixels, numbers, names))


def ink(text: str, family: str | None = None) -> bytes:
    """Return the pixels of a picture of one text."""
    figure, file = Picture((1, 1), dpi=50), io.BytesIO()
    figure.text(0.1, 0.3, text, fontsize=20, family=family)
    figure.savefig(file, format="rgba")
    return file.getvalue()


# A font that has the characters


def test_a_name_is_drawn_in_a_font_that_has_its_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not FT2Font(str(FONTS / "DejaVuSans.ttf")).get_char_index(ord(WATCH))
    install(monkeypatch, "STIXGeneral.ttf")
    assert legible([WATCH], [0]) == [WATCH]
    assert ink(WATCH) == ink(WATCH, "STIXGeneral")


def test_letters_that_the_usual_font_has_stay_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "STIXGeneral.ttf")
    figure = sheet(["a", f"a{WATCH}"])
    assert drawn(figure)
    families = {text.get_text(): text.get_fontfamily() for text in figure.findobj(Text)}
    assert families["a"] == ["sans-serif"]
    assert families[f"a{WATCH}"] == ["sans-serif", "STIXGeneral"]


def test_a_figure_that_is_drawn_again_has_the_same_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, "STIXGeneral.ttf")
    figure = sheet([WATCH])
    for _ in range(3):
        drawn(figure)
    assert [t.get_fontfamily() for t in figure.findobj(Text) if t.get_text() == WATCH] == [
        ["sans-serif", "STIXGeneral"]
    ]


def test_a_font_of_boxes_for_all_of_unicode_is_no_help() -> None:
    assert all("Resort" not in font.name for font in fonts.installed())


def test_a_font_that_came_after_matplotlib_looked_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new, broken = tmp_path / "new.ttf", tmp_path / "broken.ttf"
    new.write_bytes((FONTS / "STIXGeneral.ttf").read_bytes())
    broken.write_bytes(b"no font")
    monkeypatch.setattr(fonts, "findSystemFonts", lambda: [str(broken), str(new)])
    monkeypatch.setattr(fontManager, "ttflist", list(fontManager.ttflist))
    assert str(new) in {font.fname for font in fonts.installed()}


def test_a_font_that_is_gone_again_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stix = next(font for font in fontManager.ttflist if font.fname.endswith("STIXGeneral.ttf"))
    gone = FontEntry(fname=str(tmp_path / "gone.ttf"), name="Gone")
    monkeypatch.setattr(fonts, "installed", lambda: [gone, stix])
    assert fonts.families(frozenset(WATCH)) == {WATCH: "STIXGeneral"}


# No font that has them


WARNING = r"^no installed font has ⌚ .*🐴 \(CJK, Hiragana, symbols\); .* Noto Sans CJK"


def test_without_a_font_a_class_is_called_by_its_number_and_a_warning_names_the_script(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch)
    with pytest.warns(UserWarning, match=WARNING) as warned:
        found = legible(NAMES, range(6))
    assert found == ["größe", "class 1", "a", "class 3", "class 4", "class 5"]
    assert len(warned) == 1


FIGURES = {
    "norms": prototype_norms,
    "matrix": accuracy_matrix_figure,
    "confusion": confusion_figure,
    "live": live_figure,
}


def test_the_warning_comes_once_for_all_figures_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.warns(UserWarning) as warned:
        for stages in (1, 2, 3):
            for figure in FIGURES.values():
                drawn(figure(make_records(stages, names=NAMES)))
    assert len(warned) == 1


@pytest.mark.parametrize("name", FIGURES)
def test_no_figure_has_a_letter_that_would_be_a_box(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(monkeypatch)
    with warnings.catch_warnings(action="ignore"):
        written = drawn(FIGURES[name](make_records(3, names=NAMES)))
    assert written and fonts.lacking(written) == set()


def test_a_contact_sheet_calls_a_class_by_its_number(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.warns(UserWarning, match="no installed font has 猫 "):
        assert {"dog", "class 1"} <= set(drawn(sheet(["dog", "猫"])))


def test_the_number_is_that_of_the_class_in_the_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the contact sheet has it, though the class comes first."""
    install(monkeypatch)
    _, *others = make_records(1, names=["猫", "b"])
    run = RunRecord({"method": "wa"}, [7, 4], ["猫", "b"], [2], {}, {}, "")
    with pytest.warns(UserWarning):
        assert {"class 7", "b"} <= set(drawn(prototype_norms([run, *others])))


def test_a_label_that_cannot_be_drawn_is_not_lost_in_silence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch)
    with pytest.warns(UserWarning, match="no installed font has 方 法 "):
        drawn(accuracy_per_stage({"方法": [make_records(2)]}))


def test_many_missing_characters_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    with pytest.warns(UserWarning, match=r"has 一 .* and 40 more \(CJK\);"):
        legible([chr(0x4E00 + k) for k in range(50)], range(50))


@pytest.mark.parametrize("name", ["a\u200db", "a\ufe0f", "a b\u3000c", "", "größe €"])
def test_what_is_not_seen_needs_no_font(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch)
    assert legible([name], [0]) == [name]


# Room


def test_a_wide_name_is_cut_off_at_the_same_width() -> None:
    assert short("a" * 13) == "a" * 11 + "…"
    assert (short("猫" * 6), short("猫" * 7)) == ("猫" * 6, "猫" * 5 + "…")
