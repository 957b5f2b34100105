"""`cilkit data`: the table of what there is, the contact sheet, and what is refused."""

from pathlib import Path
from shutil import copyfile

import numpy as np
import pytest
from drawn import draw, grow
from PIL import Image

from cilkit import Config, DataSet
from cilkit.cli import Data, Run, main, parse
from cilkit.data.datasets import build_dataset
from cilkit.show.survey import checksum, contact_sheet, counted, facts

# On some machines; it is said once, by whichever test comes first.
pytestmark = pytest.mark.filterwarnings("ignore:no installed font has 猫")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return grow(tmp_path / "my photos", ("猫", "dog"), {"train": 3, "val": 2})


def table_of(words: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    assert main(["data", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    return {name: value for name, _, value in (line.partition("  ") for line in lines)}


def test_the_table_says_what_a_folder_holds(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["folder", "--data-path", str(tree), "--image-size", "32", "--out", str(tmp_path)]
    table = {name: value.strip() for name, value in table_of(words, capsys).items()}
    assert table["classes"] == "2: dog, 猫"
    assert table["training images"] == "6, 3 of each class"
    assert table["test images"] == "4, 2 of each class"
    assert table["images as read"].startswith("3 × 32 × 32")
    assert table["sizes of 6 files"].startswith("40 × 30 to 54 × 41")
    with Image.open(tmp_path / "contact-sheet.png") as sheet:
        assert sheet.size[0] == 1000


@pytest.mark.parametrize("name_first", [True, False])
def test_images_are_looked_at_in_the_size_that_a_run_would_read_them_in(
    name_first: bool, tree: Path, tmp_path: Path
) -> None:
    words = ["--data-path", str(tree), "--out", str(tmp_path)]
    looking = parse(["data", "folder", *words] if name_first else ["data", *words, "folder"])
    running = parse(["run", "--dataset", "folder", *words])
    assert isinstance(looking, Data) and isinstance(running, Run)
    assert looking.config.image_size == running.config.image_size == 64


def test_every_file_that_cannot_be_used_is_named(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [tree / "train" / "dog" / "train1.jpg", tree / "val" / "猫" / "val0.jpg"]
    for path in bad:
        path.write_bytes(b"")
    assert main(["data", "folder", "--data-path", str(tree), "--out", str(tmp_path / "no")]) == 2
    sentence = capsys.readouterr().err
    assert "2 of 10 files cannot be used" in sentence
    assert all(str(path) in sentence for path in bad)
    assert not (tmp_path / "no").exists()


def test_an_unknown_data_set_is_refused_with_the_known_ones(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["data", "imagenet"]) == 2
    assert "unknown data set 'imagenet'; known: digits, cifar100" in capsys.readouterr().err


def test_a_count_is_compared_with_the_published_one() -> None:
    samples = build_dataset(Config(dataset="digits")).train
    assert counted(samples, 1347).endswith("(as published)")
    assert counted(samples, 1348).endswith("(1,348 are published)")
    assert counted(samples, None) == "1,347, 131 to 137 of each class"


def test_a_checksum_changes_with_a_pixel_a_label_and_a_path(tree: Path) -> None:
    images, labels = np.zeros((4, 8, 8), np.uint8), [0, 1, 0, 1]
    other = images.copy()
    other[3, 7, 7] = 1
    arrays = [(images, labels), (images, labels[::-1]), (other, labels)]
    found = [checksum(DataSet.of(*one, *one).train) for one in arrays]
    config = Config(dataset="folder", data_path=tree, image_size=16)
    found.append(checksum(build_dataset(config).train))
    (tree / "train" / "dog" / "train0.jpg").rename(tree / "train" / "dog" / "trainA.jpg")
    found.append(checksum(build_dataset(config).train))
    draw(tree / "train" / "dog" / "trainA.jpg", 0, 7, (90, 90))
    found.append(checksum(build_dataset(config).train))
    assert len(set(found)) == 6


@pytest.mark.parametrize("planted", [0, 1, 3])
def test_test_images_that_are_training_images_are_counted(
    planted: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 8, 8, 3)).astype(np.uint8)
    train, test = pixels[:8], pixels[8:].copy()
    test[:planted] = train[[5, 5, 2][:planted]]  # one may be there twice, under another label
    parts = {"train_images": train, "train_labels": np.arange(8) % 2}
    parts |= {"test_images": test, "test_labels": np.arange(4) % 2}
    # mypy takes one of the names to be `allow_pickle`.
    np.savez(tmp_path / "mine.npz", **parts)  # type: ignore[arg-type]
    words = ["npz", "--data-path", str(tmp_path / "mine.npz"), "--out", str(tmp_path / "out")]
    said = table_of(words, capsys)["in both parts"].strip()
    assert said == f"{planted} of 4 test images are also training images"


def test_a_picture_is_the_same_in_a_file_of_another_name_or_format(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train, test = tree / "train" / "dog", tree / "val" / "猫"
    copyfile(train / "train0.jpg", test / "a copy.jpg")
    with Image.open(train / "train1.jpg") as image:
        image.save(test / "as it is seen.png")
        image.rotate(180).save(test / "turned.png")  # the same pixels in other places
        image.resize((image.height, image.width)).save(test / "other sides.png")
    words = ["folder", "--data-path", str(tree), "--image-size", "8", "--out", str(tmp_path / "o")]
    said = table_of(words, capsys)["in both parts"].strip()
    assert said == "2 of 8 test images are also training images"


def test_the_statistics_of_a_folder_are_those_of_its_images(tree: Path) -> None:
    """Of all six, since a sample would be larger; as they are read."""
    dataset = build_dataset(Config(dataset="folder", data_path=tree, image_size=16))
    pixels = dataset.train.images().numpy() / 255
    assert dataset.mean == pytest.approx(pixels.mean((0, 2, 3)).tolist(), abs=1e-9)
    assert dataset.std == pytest.approx(pixels.std((0, 2, 3)).tolist(), abs=1e-9)


@pytest.mark.parametrize(("classes", "tiles"), [(2, 20), (30, 90), (250, 100)])
def test_a_contact_sheet_shows_up_to_a_hundred_images(classes: int, tiles: int) -> None:
    labels = list(range(classes)) * 12
    images = np.zeros((len(labels), 4, 4), np.uint8)
    dataset = DataSet.of(images, labels, images, labels)
    figure = contact_sheet(dataset)
    assert sum(bool(ax.images) for ax in figure.axes) == tiles


def test_facts_need_no_files() -> None:
    names = [name for name, _ in facts(build_dataset(Config(dataset="digits")))]
    assert names[:2] == ["data set", "classes"] and "checksum" in names
