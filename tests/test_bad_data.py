"""Bad data: each kind gets one sentence that names what is wrong, or is converted as it should."""

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from multiprocessing import active_children
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from drawn import draw, grow
from numpy.typing import NDArray
from PIL import Image
from trouble import PATIENCE

from cilkit import Config, DataSet, InputError, build, learn, run
from cilkit.data.damage import find_damage, without_damage
from cilkit.data.datasets import build_dataset
from cilkit.data.images import BadImage, check_image, open_image
from cilkit.data.sources.npz import ARRAYS
from cilkit.data.store import Files
from cilkit.runs.records import run_record, stage_records


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return grow(tmp_path, ("cat", "dog"), {"train": 3, "val": 2})


def config_for(root: Path, **changes: Any) -> Config:
    settings: dict[str, Any] = {"dataset": "folder", "data_path": root, "image_size": 16}
    settings |= {"increment": 1, "budget": 4, "epochs": 1, "batch_size": 4, "augment": "none"}
    return Config(**(settings | changes))


def refusal(root: Path, **changes: object) -> str:
    """Return the sentence that a folder is refused with, before any training."""
    with pytest.raises(InputError) as refused:
        build(config_for(root, **changes))
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


# Damaged files


def truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def write_text(path: Path) -> None:
    path.write_text("This is no image.\n")


def animate(path: Path) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "blue", "green")]
    frames[0].save(path, format="GIF", save_all=True, append_images=frames[1:])


def make_float(path: Path) -> None:
    Image.fromarray(np.random.default_rng(0).random((20, 20)).astype(np.float32)).save(
        path, format="TIFF"
    )


def cut_the_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:20])


DAMAGES = [
    (truncate, "is damaged"),
    (empty, "is empty (0 bytes)"),
    (write_text, "is no image of a known format"),
    (animate, "holds more than one image"),
    (make_float, "has pixels of kind 'F'"),
    (cut_the_header, "is "),
]


@pytest.mark.parametrize(("damage", "words"), DAMAGES)
def test_a_file_that_cannot_be_used_stops_before_training(
    damage: Callable[[Path], None], words: str, tree: Path
) -> None:
    path = tree / "train" / "dog" / "train1.jpg"
    damage(path)
    sentence = refusal(tree)
    assert f"{str(path)!r} {words}" in sentence
    assert "--damaged skip" in sentence


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "gif", "tif", "webp", "ppm"])
def test_a_truncated_file_of_each_format_is_found(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"image.{suffix}"
    draw(path, 0, 0, (60, 50))
    check_image(str(path))
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    with pytest.raises(BadImage, match="is damaged"):
        check_image(str(path))


def test_what_follows_a_whole_image_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "image.jpg"
    draw(path, 0, 0)
    path.write_bytes(path.read_bytes() + b"\0\0 left by a camera")
    check_image(str(path))


def damage_in_the_middle(path: Path) -> Path:
    """Draw an image whose header and end are whole."""
    draw(path, 0, 0, (90, 80))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    return path


def test_damage_in_the_middle_is_found_where_every_image_is_decoded(tree: Path) -> None:
    path = damage_in_the_middle(tree / "val" / "cat" / "val0.png")
    test = build_dataset(config_for(tree)).test
    assert find_damage(test) == {}
    (error,) = find_damage(test, thorough=True).values()
    assert str(path) in str(error)


def test_a_file_without_permission_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Root, who runs tests in containers, may read all files: the refusal is made up."""

    def refuse(path: str, **options: object) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("cilkit.data.images.Image.open", refuse)
    assert "train0.jpg' cannot be read: Permission denied" in refusal(tree)


def test_a_folder_without_permission_is_named(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def refuse(path: bytes) -> object:
        if os.fsencode(path).endswith(b"dog"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    assert f"{str(tree / 'train' / 'dog')!r} cannot be read: Permission denied" in refusal(tree)


def test_all_damaged_files_are_counted(tree: Path) -> None:
    for number in range(3):
        empty(tree / "train" / "cat" / f"train{number}.jpg")
    assert "(and 2 more files like it)" in refusal(tree)


def test_damaged_files_are_left_out_where_that_is_asked_for(tree: Path) -> None:
    empty(tree / "train" / "cat" / "train1.jpg")
    truncate(tree / "val" / "dog" / "val0.jpg")
    with pytest.warns(UserWarning, match="left out: .* is "):
        _, scenario = build(config_for(tree, damaged="skip"))
    assert [len(stage.train) for stage in scenario.stages] == [2, 3]
    assert [len(stage.test) for stage in scenario.stages] == [2, 3]


def test_a_file_that_is_damaged_in_the_middle_is_left_out_too(tree: Path) -> None:
    damage_in_the_middle(tree / "train" / "cat" / "train1.png")
    with pytest.warns(UserWarning, match=r"left out: .*train1\.png"):
        build(config_for(tree, damaged="skip"))


def test_a_class_of_which_nothing_is_left_is_refused(tree: Path) -> None:
    for path in (tree / "train" / "dog").iterdir():
        empty(path)
    sentence = refusal(tree, damaged="skip")
    folder = str(tree / "train" / "dog")
    assert f"nothing would be left of class 'dog': all 3 files in {folder!r} are bad" in sentence


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_goes_bad_during_training_is_named_in_one_sentence(
    workers: int, tree: Path
) -> None:
    learner, scenario = build(config_for(tree, workers=workers))
    empty(tree / "train" / "cat" / "train1.jpg")
    with pytest.raises(BadImage, match=r"^'.*train1\.jpg' is empty \(0 bytes\)$"):
        list(learn(learner, scenario))
    assert active_children() == []


# torch's iterator is part of a circle, as in the traceback of an error that somebody keeps.
LOSE_A_WORKER = """
import gc
from cilkit.data.workers import in_workers
circle = [iter(in_workers(range(9), 1, sampler=range(9), batch_size=None))]
next(circle[0])
circle.append(circle)
del circle
gc.collect()
"""


def test_a_program_ends_though_torch_loses_touch_with_a_worker() -> None:
    program = [sys.executable, "-W", "ignore", "-c", LOSE_A_WORKER]
    assert subprocess.run(program, timeout=PATIENCE).returncode == 0


@pytest.mark.filterwarnings("ignore:This DataLoader will create")
def test_many_files_are_looked_at_by_several_processes(tmp_path: Path) -> None:
    draw(tmp_path / "good.png", 0, 0, (8, 8))
    (tmp_path / "bad.png").touch()
    names = [b"good.png"] * 4999 + [b"bad.png"]
    files = Files.of(config_for(tmp_path), names)
    dataset = DataSet.of([[[0]]], [0], [[[0]]], [0])
    samples = type(dataset.train).of(files, torch.zeros(5000))
    assert list(find_damage(samples)) == [4999]


# Folders that are not what they should be


def test_a_class_folder_without_an_image_is_named(tree: Path) -> None:
    (tree / "train" / "eel").mkdir()
    assert f"the class folder {str(tree / 'train' / 'eel')!r} holds no image" in refusal(tree)


def test_a_text_file_among_the_images_is_named(tree: Path) -> None:
    (tree / "val" / "dog" / "notes.txt").write_text("to do")
    assert f"{str(tree / 'val' / 'dog' / 'notes.txt')!r} lies among the images" in refusal(tree)


def test_what_file_managers_leave_is_overlooked(tree: Path) -> None:
    for name in (".DS_Store", "Thumbs.db"):
        (tree / "train" / "dog" / name).write_bytes(b"litter")
    assert len(build_dataset(config_for(tree)).train) == 6


@pytest.mark.parametrize(("part", "other"), [("val", "train"), ("train", "val")])
def test_a_class_that_one_part_lacks_is_named(part: str, other: str, tree: Path) -> None:
    draw(tree / part / "eel" / "1.jpg", 3, 0)
    sentence = f"{str(tree / part)!r} has classes that {str(tree / other)!r} lacks: eel"
    assert sentence in refusal(tree)


def test_a_folder_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    assert f"no folder {str(tmp_path / 'absent')!r}" in refusal(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()


def test_a_folder_without_parts_says_what_it_needs(tree: Path) -> None:
    assert "holds no folders train and val (or test)" in refusal(tree / "train")


def test_images_without_class_folders_are_refused(tree: Path, tmp_path: Path) -> None:
    flat = tmp_path / "flat"
    for part in ("train", "val"):
        draw(flat / part / "1.jpg", 0, 0)
    assert "holds no folders, one for each class" in refusal(flat)


def test_imagenet_lists_what_it_lacks(tree: Path) -> None:
    sentence = refusal(tree, dataset="imagenet100")
    assert "lacks 100 of 100 classes: n01440764, n01443537" in sentence and "95 more" in sentence


# What can be converted


def saved(image: Image.Image, path: Path, **options: object) -> NDArray[np.uint8]:
    # Pillow types its options one by one; here they come from many formats.
    image.save(path, **options)  # type: ignore[arg-type]
    check_image(str(path))
    found = open_image(str(path))
    assert found.mode == "RGB"
    return np.asarray(found)


def test_sixteen_bits_are_scaled_not_clipped(tmp_path: Path) -> None:
    values = np.array([[0, 257, 32768, 65535]], dtype=np.uint16)
    found = saved(Image.fromarray(values), tmp_path / "deep.png")
    assert found[0, :, 0].tolist() == [0, 1, 128, 255]


def test_sixteen_bits_of_a_tiff_are_scaled_too(tmp_path: Path) -> None:
    values = np.array([[0, 65535]], dtype=np.uint16)
    assert saved(Image.fromarray(values), tmp_path / "deep.tif")[0, :, 0].tolist() == [0, 255]


@pytest.mark.parametrize("mode", ["P", "L", "1", "RGB"])
def test_other_kinds_of_pixels_become_the_colours_they_mean(mode: str, tmp_path: Path) -> None:
    colours = Image.new("RGB", (4, 4), (255, 0, 0))
    colours.paste((255, 255, 255), (0, 0, 2, 4))
    image = colours.convert(mode)
    expected = np.asarray(image.convert("RGB"))
    assert np.array_equal(saved(image, tmp_path / "image.png"), expected)


def test_cmyk_becomes_the_colours_it_means(tmp_path: Path) -> None:
    image = Image.new("RGB", (16, 16), (200, 30, 60)).convert("CMYK")
    found = saved(image, tmp_path / "print.jpg", quality=100)
    assert np.abs(found.astype(int) - (200, 30, 60)).max() <= 4


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_transparent_pixels_are_laid_on_white(suffix: str, tmp_path: Path) -> None:
    image = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    image.paste((0, 0, 255, 255), (0, 0, 2, 4))
    found = saved(image, tmp_path / f"icon.{suffix}", lossless=True)
    assert found[0].tolist() == [[0, 0, 255]] * 2 + [[255, 255, 255]] * 2


def test_a_palette_with_a_transparent_colour_is_laid_on_white(tmp_path: Path) -> None:
    image = Image.new("P", (2, 1), 0)
    image.putpalette([9, 9, 9, 0, 255, 0])
    image.putpixel((1, 0), 1)
    found = saved(image, tmp_path / "icon.gif", transparency=0)
    assert found[0].tolist() == [[255, 255, 255], [0, 255, 0]]


def test_a_cameras_file_of_several_pictures_gives_its_first(tmp_path: Path) -> None:
    photo, preview = Image.new("RGB", (16, 16), "red"), Image.new("RGB", (8, 8), "blue")
    path = tmp_path / "photo.jpg"
    photo.save(path, format="MPO", save_all=True, append_images=[preview])
    check_image(str(path))
    # Pillow's type allows a number alone; this image has three channels.
    assert open_image(str(path)).getpixel((3, 3))[0] > 200  # type: ignore[index]


def test_a_tree_of_mixed_kinds_can_be_learnt(tree: Path) -> None:
    folder = tree / "train" / "cat"
    Image.new("L", (9, 50)).save(folder / "grey.png")
    Image.new("CMYK", (50, 9)).save(folder / "print.jpeg")
    Image.new("P", (1, 1)).save(folder / "tiny.gif")
    Image.new("RGB", (3000, 5)).save(folder / "long.webp")
    assert len(stage_records(run(config_for(tree, backbone="resnet8")))) == 2


# Arrays


def arrays(
    images: object = None, labels: object = None, **others: object
) -> tuple[object, object, NDArray[np.uint8], NDArray[np.int64]]:
    """Train images and labels, as given or good; test images and labels, good."""
    good = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    numbers = np.arange(6) % 3
    return (
        good if images is None else images,
        numbers if labels is None else labels,
        good,
        numbers,
    )


def test_arrays_become_a_data_set_in_one_line() -> None:
    images, labels, *_ = arrays()
    dataset = DataSet.of(*arrays())
    assert dataset.class_names == ("0", "1", "2")
    assert torch.equal(dataset.train.images().permute(0, 2, 3, 1), torch.as_tensor(images))
    # An array, of which NumPy's type does not say that it can be run through.
    assert dataset.train.labels.tolist() == list(labels)  # type: ignore[call-overload]


def test_float_images_from_0_to_1_are_not_turned_black() -> None:
    images = np.linspace(0, 1, 6 * 8 * 8 * 3).reshape(6, 8, 8, 3)
    found = DataSet.of(*arrays(images)).train.images().permute(0, 2, 3, 1).numpy()
    assert np.abs(found / 255 - images).max() <= 0.5 / 255 + 1e-9


@pytest.mark.parametrize("kind", [np.int64, np.float32, np.uint16])
def test_whole_numbers_up_to_255_are_pixels_in_any_type(kind: type) -> None:
    images = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3))
    found = DataSet.of(*arrays(images.astype(kind))).train.images().permute(0, 2, 3, 1).numpy()
    assert np.array_equal(found, images)


def test_tensors_with_colours_first_are_taken_as_they_are() -> None:
    images = torch.rand(6, 3, 8, 8)
    found = DataSet.of(*arrays(images)).train.images()
    assert torch.equal(found, (images * 255).round().byte())


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (np.full((6, 8, 8, 3), np.nan), "train_images holds NaN"),
        (np.full((6, 8, 8, 3), -0.5), "has pixels from -0.5 to -0.5"),
        (np.full((6, 8, 8, 3), 65535, np.uint16), "has pixels from 65535 to 65535"),
        (np.zeros((6, 8, 8, 5), np.uint8), r"has the shape \(6, 8, 8, 5\)"),
        (np.zeros((6, 3, 8, 3), np.uint8), r"has the shape \(6, 3, 8, 3\)"),
        (np.zeros((6, 64), np.uint8), r"has the shape \(6, 64\)"),
        (np.zeros((0, 8, 8), np.uint8), "is empty"),
        (np.array(["a.jpg"] * 6), "holds <U5 .*, not numbers"),
        (np.zeros((6, 9, 9, 3), np.uint8), r"are \(3, 9, 9\), to test with \(3, 8, 8\)"),
    ],
)
def test_images_that_are_no_pixels_are_refused(images: object, sentence: str) -> None:
    with pytest.raises(InputError, match=sentence):
        DataSet.of(*arrays(images))


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ([0, 1, 3, 0, 1, 3], "test_labels holds 2; the classes are 0, 1, 3"),
        ([1, 2, 3, 1, 2, 3], "test_labels holds 0; the classes are 1, 2, 3"),
        (["cat", "dog", "eel"] * 2, "test_labels holds 0; the classes are cat, dog, eel"),
        ([0, 1, 2], r"has the shape \(3,\); 6 images need \(6,\)"),
        (np.eye(3)[[0, 1, 2, 0, 1, 2]], r"has the shape \(6, 3\)"),
        ([0, 1, 2, 0, 1, 1.5], "must be whole numbers, or texts; one is 1.5"),
    ],
)
def test_labels_that_name_no_classes_or_others_than_the_tests_are_refused(
    labels: object, sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        DataSet.of(*arrays(labels=labels))


def test_a_run_takes_a_data_set_of_arrays(tmp_path: Path) -> None:
    dataset = DataSet.of(*arrays(), name="mine")
    config = config_for(Path("unused"), backbone="resnet8", dataset="digits")
    whole = run(config, tmp_path, dataset=dataset)
    assert len(stage_records(whole)) == 3
    assert run(config, tmp_path, dataset=dataset, resume=True) == whole
    assert run_record(whole).config["dataset"] == "mine"


# .npz


def test_an_npz_file_is_a_data_set(tmp_path: Path) -> None:
    content = dict(zip(ARRAYS, arrays(), strict=True)) | {"class_names": np.array(["a", "b", "ç"])}
    # mypy takes one of the names to be `allow_pickle`.
    np.savez(tmp_path / "mine.npz", **content)  # type: ignore[arg-type]
    dataset = build_dataset(config_for(tmp_path / "mine.npz", dataset="npz"))
    assert (dataset.name, dataset.class_names) == ("mine", ("a", "b", "ç"))
    assert torch.equal(dataset.train.images(), DataSet.of(*arrays()).train.images())


def test_an_npz_file_may_hold_texts_for_labels_and_a_scale(tmp_path: Path) -> None:
    images, _, *_ = arrays()
    words = np.array(["cat", "dog", "eel"] * 2)
    # mypy takes one of the names to be `allow_pickle`.
    content: dict[str, Any] = dict(zip(ARRAYS, (images, words, images, words), strict=True))
    np.savez(tmp_path / "mine.npz", **content | {"scale": (0, 510)})
    dataset = build_dataset(config_for(tmp_path / "mine.npz", dataset="npz"))
    assert dataset.class_names == ("cat", "dog", "eel")
    assert int(dataset.train.images().max()) == 128


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"train_labels": ["cat", "dog", "eel"] * 2}, "test_labels holds 0; the classes are cat"),
        ({"scale": (0, 5)}, "train_images has pixels from 0 to 255, beyond scale=(0, 5)"),
        ({"test_labels": [0, 1, 3, 0, 1, 3]}, "test_labels holds 3"),
        ({"train_images": np.full((6, 8, 8, 3), np.nan)}, "train_images holds NaN"),
        ({"class_names": "one name for all"}, "train_labels holds 1; labels run from 0 to 0"),
    ],
)
def test_an_npz_file_with_bad_arrays_is_named(
    content: dict[str, Any], words: str, tmp_path: Path
) -> None:
    path = tmp_path / "mine.npz"
    # mypy takes one of the names to be `allow_pickle`.
    np.savez(path, **dict(zip(ARRAYS, arrays(), strict=True)) | content)  # type: ignore[arg-type]
    assert npz_refusal(path).startswith(f"in {str(path)!r}, {words}")


def npz_refusal(path: Path) -> str:
    return refusal(path, dataset="npz")


def test_an_npz_file_that_lacks_an_array_says_which(tmp_path: Path) -> None:
    np.savez(tmp_path / "half.npz", train_images=np.zeros(3), x=np.zeros(3))
    sentence = npz_refusal(tmp_path / "half.npz")
    assert "lacks train_labels, test_images, test_labels; it holds train_images, x" in sentence


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\3\4 half an archive"])
def test_a_broken_npz_file_is_named(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "broken.npz").write_bytes(content)
    assert "broken.npz' is no whole .npz file" in npz_refusal(tmp_path / "broken.npz")


def test_a_compressed_npz_file_with_a_wrong_byte_is_named(tmp_path: Path) -> None:
    path = tmp_path / "wrong.npz"
    np.savez_compressed(path, train_images=np.random.default_rng(0).integers(0, 256, 5000))
    content = bytearray(path.read_bytes())
    for position in range(100, len(content) - 200, 37):
        damaged = content.copy()
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        assert "wrong.npz' " in npz_refusal(path)


def test_a_single_array_is_no_npz_file(tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", np.zeros(3))
    assert "one.npy' is no whole .npz file" in npz_refusal(tmp_path / "one.npy")


def test_an_npz_file_of_objects_is_not_run(tmp_path: Path) -> None:
    np.savez(tmp_path / "objects.npz", train_images=np.array([{}], dtype=object))
    assert "is no whole .npz file of arrays of numbers" in npz_refusal(tmp_path / "objects.npz")


def test_an_npz_file_that_is_not_there_is_asked_for(tmp_path: Path) -> None:
    assert "absent.npz' is no whole .npz file" in npz_refusal(tmp_path / "absent.npz")


def test_whole_files_are_not_changed_by_the_check(tree: Path) -> None:
    config = config_for(tree, damaged="skip")
    dataset = build_dataset(config)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        checked = without_damage(dataset, config)
    assert checked.train is dataset.train and checked.test is dataset.test
