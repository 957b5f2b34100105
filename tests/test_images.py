"""Which image files are let in, which are left out, and whose fault it is."""

import errno
import os
import warnings
from builtins import open as open_file
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from drawn import draw, grow
from PIL import Image, PngImagePlugin

from cilkit import Config, InputError, build, learn
from cilkit.data.damage import without_damage
from cilkit.data.datasets import build_dataset
from cilkit.data.images import BadImage, Unreadable, check_image, open_image, smaller

LOOKS = [check_image, open_image]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return grow(tmp_path, ("cat", "dog"), {"train": 3, "val": 2})


def config_for(root: Path, **changes: Any) -> Config:
    settings: dict[str, Any] = {"dataset": "folder", "data_path": root, "image_size": 16}
    settings |= {"increment": 1, "budget": 4, "epochs": 1, "batch_size": 4, "augment": "none"}
    return Config(**(settings | changes))


def refusal(root: Path, **changes: object) -> str:
    with pytest.raises(InputError) as refused:
        build(config_for(root, **changes))
    return str(refused.value)


# Large images


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("limit", [1000, 2500])  # where Pillow refuses 3000 pixels, and warns
def test_pillows_limits_are_not_ours(
    look: Any, limit: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "large.png", 0, 0, (60, 50))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    look(str(tmp_path / "large.png"))
    assert limit == Image.MAX_IMAGE_PIXELS


def test_pillows_limits_are_back_after_a_damaged_file(tmp_path: Path) -> None:
    before = Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK
    (tmp_path / "bad.png").write_bytes(b"bad")
    with pytest.raises(BadImage):
        open_image(str(tmp_path / "bad.png"))
    assert before == (Image.MAX_IMAGE_PIXELS, PngImagePlugin.MAX_TEXT_CHUNK)


@pytest.mark.parametrize("kind", ["profile", "text"])
def test_a_png_may_bring_a_long_colour_profile_or_text(kind: str, tmp_path: Path) -> None:
    path, image = tmp_path / "rich.png", Image.new("RGB", (4, 4), "red")
    if kind == "profile":
        image.save(path, icc_profile=bytes(2 << 20))
    else:
        info = PngImagePlugin.PngInfo()
        info.add_text("about", "x" * (2 << 20), zip=True)
        image.save(path, pnginfo=info)
    with pytest.raises(ValueError, match="too large"), Image.open(path) as opened:
        opened.load()  # as Pillow is set
    assert np.asarray(open_image(str(path)))[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("look", LOOKS)
def test_an_image_too_large_for_memory_is_not_called_damaged(
    look: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path / "huge.png", 0, 0, (60, 50))
    monkeypatch.setattr("cilkit.data.images.LARGEST", 2999)
    with pytest.raises(BadImage) as refused:
        look(str(tmp_path / "huge.png"))
    assert "huge.png' is too large (0 megapixels; up to 0 can be read); save it" in str(
        refused.value
    )
    assert "damaged" not in str(refused.value)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
@pytest.mark.parametrize("factor", [2, 3])
def test_a_large_image_is_the_mean_of_its_pixels_whatever_its_kind(mode: str, factor: int) -> None:
    """Against NumPy's means of the whole image, at once, in float64."""
    chance = np.random.default_rng(0)
    height, width = 520 * factor, 6 * factor  # three strips, the last one not full
    grey = chance.integers(0, 256, (height, width)).astype(np.uint8)
    image = Image.fromarray(grey)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = image.convert("RGB").convert(mode) if mode != "1" else image.convert("1")
    rgb = np.asarray(
        image.convert("RGB") if mode != "I;16" else Image.fromarray(grey).convert("RGB")
    )
    cells = rgb.reshape(height // factor, factor, width // factor, factor, 3).astype(np.float64)
    found = np.asarray(smaller(image, factor), dtype=np.float64)
    assert np.abs(found - cells.mean((1, 3))).max() <= 1


def test_a_large_image_is_read_smaller_upright_and_at_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    image = Image.new("RGB", (40, 20), "red")
    image.paste("blue", (0, 0, 20, 20))
    image.save(tmp_path / "large.png", exif=exif)
    monkeypatch.setattr("cilkit.data.images.ENOUGH", 300)  # pixels: 800 become 200
    found = open_image(str(tmp_path / "large.png"))
    assert found.size == (10, 20)
    assert [found.getpixel((5, y)) for y in (2, 17)] == [(0, 0, 255), (255, 0, 0)]


# Whose fault it is


def withhold(path: Path, number: int, patch: pytest.MonkeyPatch) -> None:
    """Let the system not hand over a file."""

    def refuse(file: Any, *arguments: Any, **options: Any) -> Any:
        if os.fspath(file) == str(path):
            raise OSError(number, os.strerror(number), str(path))
        return open_file(file, *arguments, **options)

    patch.setattr("builtins.open", refuse)


TROUBLES = [errno.EIO, errno.EMFILE, errno.EACCES, errno.ESTALE]


@pytest.mark.parametrize("number", TROUBLES)
@pytest.mark.parametrize("damaged", ["stop", "skip"])
def test_what_the_system_withholds_is_neither_damaged_nor_left_out(
    number: int, damaged: str, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tree / "train" / "cat" / "train1.jpg"
    withhold(path, number, monkeypatch)
    sentence = refusal(tree, damaged=damaged)
    assert sentence.startswith(f"{str(path)!r} cannot be read: {os.strerror(number)}; ")
    assert "the file may be whole, so it is not left out" in sentence


def test_a_damaged_file_does_not_hide_one_that_is_withheld(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tree / "train" / "cat" / "train0.jpg").write_bytes(b"")
    path = tree / "train" / "dog" / "train2.jpg"
    withhold(path, errno.EIO, monkeypatch)
    assert refusal(tree, damaged="skip").startswith(f"{str(path)!r} cannot be read")


def test_a_disk_that_fails_within_a_file_is_not_the_files_damage(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow's decoders in C say "truncated" where the system did not let them read on."""
    path = tree / "train" / "cat" / "train1.jpg"
    path.write_bytes(path.read_bytes()[:-100])

    def fail(path: str) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO), path)

    monkeypatch.setattr("cilkit.data.images.read_through", fail)
    with pytest.raises(Unreadable, match=r"train1\.jpg' cannot be read: Input/output error$"):
        open_image(str(path))


def test_a_link_that_leads_nowhere_is_not_left_out(tree: Path) -> None:
    path = tree / "train" / "cat" / "link.jpg"
    path.symlink_to(tree / "absent.jpg")
    assert refusal(tree, damaged="skip").startswith(f"{str(path)!r} cannot be read: No such file")


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_goes_away_during_training_is_named_in_one_sentence(
    workers: int, tree: Path
) -> None:
    learner, scenario = build(config_for(tree, workers=workers))
    (tree / "train" / "cat" / "train1.jpg").unlink()
    with pytest.raises(Unreadable, match=r"^'.*train1\.jpg' cannot be read: No such file or dir"):
        list(learn(learner, scenario))


# What is left out


def test_the_class_that_would_lose_all_its_images_is_named_with_its_folder(tree: Path) -> None:
    folder = tree / "val" / "dog"
    for path in folder.iterdir():
        path.write_bytes(b"no image")
    sentence = refusal(tree, damaged="skip")
    assert sentence.startswith(
        f"nothing would be left of class 'dog': all 2 files in {str(folder)!r} are bad; "
    )
    assert "val0.jpg' is no image of a known format" in sentence


def test_the_folder_of_a_class_of_one_bad_image_is_its_folder(tmp_path: Path) -> None:
    grow(tmp_path, ("cat", "dog"), {"train": 1, "val": 1})
    (tmp_path / "train" / "cat" / "train0.jpg").write_bytes(b"")
    assert f"all 1 files in {str(tmp_path / 'train' / 'cat')!r}" in refusal(
        tmp_path, damaged="skip"
    )


def test_a_class_may_lose_all_images_but_one(tree: Path) -> None:
    for number in (0, 2):
        (tree / "train" / "dog" / f"train{number}.jpg").write_bytes(b"")
    dataset = build_dataset(config_for(tree))
    with pytest.warns(UserWarning, match="left out: .* is empty .*and 1 more files like it"):
        found = without_damage(dataset, config_for(tree, damaged="skip"))
    assert found.train.labels.tolist() == [0, 0, 0, 1]


def test_statistics_are_measured_on_whole_images_however_many_damaged_come_first(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All images but one are damaged, so the sample of two meets none, or one."""
    for path in sorted((tree / "train").rglob("*.jpg"))[1:]:
        path.write_bytes(b"")
    monkeypatch.setattr("cilkit.data.sources.folders.SAMPLE", 1)
    whole = open_image(str(tree / "train" / "cat" / "train0.jpg"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        mean = build_dataset(config_for(tree)).mean
    assert mean == pytest.approx(np.asarray(whole).mean((0, 1)) / 255, abs=0.02)
