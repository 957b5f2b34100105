"""The glyphs: 100 characters that can be told apart, the same in every run, cached or not."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Config
from cilkit.data.datasets import build_dataset
from cilkit.data.samples import Samples
from cilkit.data.scenario import build_scenario
from cilkit.data.sources import glyphs
from cilkit.data.sources.glyphs import (
    CHARACTERS,
    HELD_OUT,
    PARTS,
    TRAINED,
    cache_folder,
    cached,
    coloured,
    draw,
    font_file,
    glyph_samples,
    has,
    jittered,
    mask,
    recipe,
    render,
)
from cilkit.errors import InputError
from cilkit.presets import PRESETS

FONTS = (*TRAINED, *HELD_OUT)
NOWHERE = "\U0010ffff"  # a character that no font has: its mask is the font's box


@pytest.fixture(scope="module", autouse=True)
def a_cache_of_our_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The user's own cache is left alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def parts() -> dict[str, Samples]:
    return {name: glyph_samples(name) for name in PARTS}


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "cilkit"


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


# What the data set holds


def test_there_are_a_hundred_characters_each_once() -> None:
    assert len(set(CHARACTERS)) == len(CHARACTERS) == 100


@pytest.mark.parametrize(("name", "per_class"), [("train", 100), ("test", 20), ("held-out", 20)])
def test_each_class_has_its_number_of_images(
    parts: dict[str, Samples], name: str, per_class: int
) -> None:
    assert parts[name].labels.bincount().tolist() == [per_class] * 100


@pytest.mark.parametrize("name", PARTS)
def test_glyphs_are_colour_images_of_32_by_32_bytes(parts: dict[str, Samples], name: str) -> None:
    images = parts[name].images()
    assert (images.shape[1:], images.dtype) == ((3, 32, 32), torch.uint8)


def test_no_image_comes_twice(parts: dict[str, Samples]) -> None:
    images = np.concatenate([part.images().flatten(1).numpy() for part in parts.values()])
    assert len(np.unique(images, axis=0)) == len(images)


def test_a_class_is_named_by_its_character() -> None:
    assert build_dataset(Config(dataset="glyphs")).class_names == tuple(CHARACTERS)


def test_held_out_fonts_are_a_test_set_of_their_own(parts: dict[str, Samples]) -> None:
    dataset = build_dataset(Config(dataset="glyphs-held-out"))
    assert torch.equal(dataset.train.images(), parts["train"].images())
    assert torch.equal(dataset.test.images(), parts["held-out"].images())


def test_the_preset_deals_glyphs_as_the_field_deals_cifar100() -> None:
    config = PRESETS["glyphs-b50-10"]
    scenario = build_scenario(build_dataset(config), config)
    assert scenario.classes_per_stage == (50, 10, 10, 10, 10, 10)


def test_an_unknown_part_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="known: train, test, held-out"):
        glyph_samples("heldout")


# The same, always


def test_drawing_twice_gives_the_same(parts: dict[str, Samples]) -> None:
    assert torch.equal(render(PARTS["held-out"]), parts["held-out"].images())


def test_the_runs_seed_changes_nothing() -> None:
    one, other = (build_dataset(Config(dataset="glyphs", seed=seed)) for seed in (0, 1))
    assert torch.equal(one.train.images(), other.train.images())


def test_drawing_neither_asks_nor_moves_torchs_own_chance() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    one = draw("A", PARTS["test"], generator())
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert torch.equal(draw("A", PARTS["test"], generator()), one)


def test_the_number_of_threads_changes_nothing() -> None:
    one = draw("A", PARTS["train"], generator())
    torch.set_num_threads(2)
    try:
        assert torch.equal(draw("A", PARTS["train"], generator()), one)
    finally:
        torch.set_num_threads(1)


# The fonts


def test_held_out_fonts_are_never_trained_on() -> None:
    assert not set(PARTS["held-out"].fonts) & set(PARTS["train"].fonts)


def test_no_font_of_the_held_out_family_is_trained_on() -> None:
    assert not any("STIX" in font for font in PARTS["train"].fonts)


def test_test_images_come_in_the_fonts_of_the_training_images() -> None:
    assert PARTS["test"].fonts == PARTS["train"].fonts


@pytest.mark.parametrize("character", CHARACTERS)
def test_twelve_fonts_of_training_and_two_held_out_ones_have_it(character: str) -> None:
    assert sum(has(font, character) for font in TRAINED) >= 12
    assert sum(has(font, character) for font in HELD_OUT) >= 2


@pytest.mark.parametrize("font", FONTS)
def test_no_character_is_a_box(font: str) -> None:
    box = mask(font, NOWHERE)
    boxes = [c for c in CHARACTERS if has(font, c) and torch.equal(mask(font, c), box)]
    assert boxes == []


@pytest.mark.parametrize(
    ("font", "character"),
    [("STIXGeneralItalic", "∞"), ("DejaVuSans", NOWHERE), ("cmr10", "Σ"), ("cmr10", "<")],
)
def test_a_font_is_not_asked_for_what_it_lacks_or_has_under_another_number(
    font: str, character: str
) -> None:
    assert not has(font, character)


def test_what_a_font_lacks_would_be_a_box() -> None:
    font = "STIXGeneralItalic"
    assert torch.equal(mask(font, "∞"), mask(font, NOWHERE))


@pytest.mark.parametrize("font", FONTS)
def test_fonts_are_found_where_matplotlib_keeps_them(font: str) -> None:
    assert Path(font_file(font)).is_relative_to(matplotlib.get_data_path())


# Can the classes be told apart?


def likenesses(characters: str) -> Tensor:
    """Return how alike any two are, (N, N), in the training font that tells them best apart.

    The correlation of their ink, averaged down to 16x16; fonts that lack one of them do not count.
    """
    lowest = torch.ones(len(characters), len(characters))
    for font in [font for font in TRAINED if any(has(font, c) for c in characters)]:
        found = torch.tensor([i for i, c in enumerate(characters) if has(font, c)])
        ink = torch.stack([mask(font, characters[i]) for i in found.tolist()])
        pixels = F.avg_pool2d(ink, 4).flatten(1)
        unit = F.normalize(pixels - pixels.mean(1, keepdim=True), dim=1)
        both = found[:, None], found[None]
        lowest[both] = torch.minimum(lowest[both], unit @ unit.T)
    return lowest


def test_no_two_characters_look_alike_in_every_font() -> None:
    alike = (likenesses(CHARACTERS).triu(1) > 0.8).nonzero().tolist()
    assert [CHARACTERS[i] + CHARACTERS[j] for i, j in alike] == []


@pytest.mark.parametrize("pair", ["AΑ", "AА", "AΛ", "6б", "0θ", "μµ", "BВ", "ΓГ"])
def test_the_measure_sees_that_these_do(pair: str) -> None:
    assert likenesses(pair)[0, 1] > 0.8


# Drawing


@pytest.mark.parametrize("character", ["W", "i", "→", "Љ"])
def test_the_longer_side_of_a_character_is_three_quarters_of_the_image(character: str) -> None:
    ink = mask("DejaVuSerif", character) > 0
    rows, columns = (ink.any(side).nonzero() for side in (1, 0))
    assert max(int(found[-1] - found[0]) + 1 for found in (rows, columns)) == 48


@pytest.mark.parametrize("character", ["W", "i", "→", "Љ"])
def test_a_character_stands_in_the_middle(character: str) -> None:
    ink = mask("DejaVuSerif", character) > 0
    for side in (ink.any(0), ink.any(1)):
        first, last = side.nonzero()[[0, -1], 0].tolist()
        assert first + last == pytest.approx(63, abs=2)


def test_jitter_halves_the_image_and_keeps_ink_within_its_range() -> None:
    moved = jittered(mask("cmr10", "M").expand(50, 64, 64), generator())
    assert moved.shape == (50, 1, 32, 32)
    assert moved.min() >= 0 and moved.max() <= 1


def test_jitter_moves_every_image_in_a_way_of_its_own() -> None:
    moved = jittered(mask("cmr10", "M").expand(50, 64, 64), generator())
    assert len(moved.flatten(1).unique(dim=0)) == 50


def test_jitter_scales_ink_by_at_most_a_quarter() -> None:
    dot = torch.zeros(64, 64)
    dot[24:40, 24:40] = 1  # far from the border, which would cut it
    area = jittered(dot.expand(500, 64, 64), generator()).sum((1, 2, 3)) / 64
    assert area.min() > 0.75**2 / 1.1  # turned and slanted at once, it grows by up to a tenth
    assert area.max() < 1.25**2 * 1.1


def test_each_channel_of_ink_differs_from_its_ground_by_a_fifth() -> None:
    ink = torch.zeros(200, 1, 32, 32)
    ink[..., 16:] = 1
    images = coloured(ink, generator()).double() / 255
    difference = (images[..., 16:].mean((2, 3)) - images[..., :16].mean((2, 3))).abs()
    assert difference.min() > 0.2 - 0.04  # four standard deviations of the means of 512 pixels


def test_ink_is_as_often_the_lighter_as_the_darker() -> None:
    ink = torch.zeros(1000, 1, 32, 32)
    ink[..., 16:] = 1
    images = coloured(ink, generator()).double()
    lighter = images[..., 16:].mean((1, 2, 3)) > images[..., :16].mean((1, 2, 3))
    assert int(lighter.sum()) == pytest.approx(500, abs=4 * 16)  # four standard deviations


# The cache


def some() -> Tensor:
    return torch.arange(24, dtype=torch.uint8).view(2, 3, 2, 2)


def never() -> Tensor:
    raise AssertionError("the cache should have had them")


def test_what_is_in_the_cache_is_not_made_again(empty_cache: Path) -> None:
    cached("some.npz", some)
    assert torch.equal(cached("some.npz", never), some())


def test_the_cache_is_one_folder_in_the_users_own(empty_cache: Path) -> None:
    cached("some.npz", some)
    assert [path.name for path in empty_cache.iterdir()] == ["some.npz"]


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-200] ^= 1
    path.write_bytes(content)


def flip_a_pixel(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(bytes(range(24))) + 5] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "a pixel flipped": flip_a_pixel,
    "a byte of the directory flipped": flip,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-40]),
    "empty": lambda path: path.write_bytes(b""),
    "a text": lambda path: path.write_text("nothing here"),
    "other arrays": lambda path: np.savez(path, pictures=np.zeros(3)),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_cache_changes_nothing(empty_cache: Path, damage: str) -> None:
    cached("some.npz", some)
    DAMAGES[damage](empty_cache / "some.npz")
    assert torch.equal(cached("some.npz", some), some())


@pytest.mark.parametrize("damage", [name for name in DAMAGES if name != "a folder"])
def test_a_damaged_cache_is_mended(empty_cache: Path, damage: str) -> None:
    cached("some.npz", some)
    DAMAGES[damage](empty_cache / "some.npz")
    cached("some.npz", some)
    assert torch.equal(cached("some.npz", never), some())


def test_a_cache_that_cannot_be_written_changes_nothing(empty_cache: Path) -> None:
    empty_cache.write_text("a file where the folder should be")
    assert torch.equal(cached("some.npz", some), some())


def test_several_at_once_leave_one_whole_file(empty_cache: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cached("some.npz", some), range(32)))
    assert all(torch.equal(images, some()) for images in found)
    assert [path.name for path in empty_cache.iterdir()] == ["some.npz"]


def test_glyphs_are_found_in_the_cache(
    parts: dict[str, Samples], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(glyphs, "render", never)
    assert torch.equal(glyph_samples("test").images(), parts["test"].images())


def test_another_matplotlib_draws_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    before = recipe()
    monkeypatch.setattr(matplotlib, "__version__", "0.0")
    assert recipe() != before


@pytest.mark.parametrize("place", ["", "relative/folder"])
def test_a_cache_without_an_absolute_place_is_in_the_home(
    place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    monkeypatch.setenv("HOME", "/home/somebody")
    assert cache_folder() == Path("/home/somebody/.cache/cilkit")
