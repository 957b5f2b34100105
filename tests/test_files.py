"""Data sets in files: what is read, that paths are kept exactly, and that a run works on them."""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from drawn import draw, grow
from drawn import settings_for as config_for
from PIL import Image
from torch import Tensor

from cilkit import PRESETS, Config, InputError, Memory, Samples, build, learn, read_records, run
from cilkit.cli import main
from cilkit.data.datasets import build_dataset
from cilkit.data.images import open_image, square
from cilkit.data.loader import Loader
from cilkit.data.sources.folders import read_tree, skipped
from cilkit.data.sources.imagenet import wordnet_ids
from cilkit.data.store import Files, joined, kept
from cilkit.inference import predict
from cilkit.runs.records import EpochRecord, StageRecord, stage_records
from cilkit.show.survey import checksum, facts

CLASSES = ("cat", "dog", "eel", "fox")
CPU = torch.device("cpu")
few_cpus = pytest.mark.filterwarnings("ignore:This DataLoader will create")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return grow(tmp_path_factory.mktemp("tree"), CLASSES, {"train": 6, "val": 3})


def names(samples: Samples) -> list[str]:
    files = samples.store
    assert isinstance(files, Files)
    return [os.fsdecode(files.name(row)) for row in samples.rows.tolist()]


# Paths


WEIRD = ("a b.jpg", "猫/ß é.JPG", "x" * 120 + "/" + "y" * 120 + "/" + "z" * 120 + ".jpeg", "😀.png")


def test_spaces_other_scripts_and_deep_paths_are_kept_exactly(tmp_path: Path) -> None:
    for number, name in enumerate(WEIRD):
        draw(tmp_path / "train" / "c l a s s" / name, 0, number)
        draw(tmp_path / "val" / "c l a s s" / name, 0, number)
    train, _, classes = read_tree(config_for(tmp_path))
    assert classes == ("c l a s s",)
    assert sorted(names(train)) == sorted(f"train/c l a s s/{name}" for name in WEIRD)
    assert train.images().shape == (4, 3, 16, 16)


def test_names_that_are_no_text_are_kept_exactly(tmp_path: Path) -> None:
    for part in (b"train", b"val"):
        folder = os.path.join(os.fsencode(tmp_path), part, b"caf\xe9")
        os.makedirs(folder)
        draw(tmp_path / "draft.png", 0, 0)
        os.rename(tmp_path / "draft.png", os.path.join(folder, b"\xff.png"))
    train, _, (name,) = read_tree(config_for(tmp_path))
    assert name.encode()  # can be written into records
    assert train.images().shape == (1, 3, 16, 16)


def some_paths() -> list[bytes]:
    return [b"a", b"", b"long/path", b"\xff", "ü".encode()]


@pytest.mark.parametrize("rows", [[0, 1, 2, 3, 4], [4, 0, 0, 2], [3], []])
def test_a_part_of_a_store_holds_the_paths_asked_for_in_their_order(rows: list[int]) -> None:
    part = Files.of(Config(), some_paths()).take(torch.tensor(rows, dtype=torch.int64))
    assert [part.name(row) for row in range(len(part))] == [some_paths()[row] for row in rows]


def test_joined_stores_hold_all_paths_one_after_the_other() -> None:
    files = Files.of(Config(), some_paths())
    both = joined([files, kept(files, torch.tensor([2, 0]))])
    assert isinstance(both, Files)
    expected = [*some_paths(), b"long/path", b"a"]
    assert [both.name(row) for row in range(len(both))] == expected


def test_files_and_pixels_do_not_mix_unnoticed() -> None:
    with pytest.raises(TypeError, match="cannot be joined"):
        joined([Files.of(Config(), some_paths()), torch.zeros(1, 3, 16, 16)])


def test_the_order_of_files_does_not_depend_on_the_file_system(tree: Path) -> None:
    train, _, _ = read_tree(config_for(tree))
    assert names(train) == [f"train/{name}/train{i}.jpg" for name in CLASSES for i in range(6)]


# Layouts


def test_each_class_has_its_images_and_the_folders_name(tree: Path) -> None:
    dataset = build_dataset(config_for(tree))
    assert dataset.class_names == CLASSES
    assert dataset.train.labels.bincount().tolist() == [6] * 4
    assert dataset.test.labels.bincount().tolist() == [3] * 4


def test_test_does_for_val(tmp_path: Path) -> None:
    grow(tmp_path, CLASSES, {"train": 2, "test": 1})
    assert len(build_dataset(config_for(tmp_path)).test) == 4


@pytest.fixture
def one_tree(tmp_path: Path) -> Path:
    for name in ("a b", "c"):
        for number in range(3):
            draw(tmp_path / name / f"{number} x.jpg", 0, number)
    return tmp_path


def split_by(root: Path, lines: list[str]) -> Config:
    (root / "split.txt").write_text("\n".join(lines) + "\n")
    return config_for(root, split_file=Path("split.txt"))


GOOD = ["a b/0 x.jpg train", "a b/1 x.jpg 1", "a b/2 x.jpg test", "", "c/0 x.jpg 0"]
GOOD += ["c/1 x.jpg val", "./c/2 x.jpg 1"]


def test_a_split_file_parts_one_tree(one_tree: Path) -> None:
    train, test, classes = read_tree(split_by(one_tree, GOOD))
    assert names(train) == ["a b/0 x.jpg", "a b/1 x.jpg", "c/2 x.jpg"]
    assert names(test) == ["a b/2 x.jpg", "c/0 x.jpg", "c/1 x.jpg"]
    assert (train.labels.tolist(), classes) == ([0, 0, 1], ("a b", "c"))


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        (GOOD[1:], "does not say whether 'a b/0 x.jpg' is for training"),
        ([*GOOD, "c/9.jpg train"], "names images that are not there: c/9.jpg"),
        ([*GOOD, "c/9.jpg"], "line 8 of .* is 'c/9.jpg'; it must be a path, a space, and train"),
    ],
)
def test_a_split_file_that_does_not_fit_is_refused(
    lines: list[str], sentence: str, one_tree: Path
) -> None:
    with pytest.raises(InputError, match=sentence):
        read_tree(split_by(one_tree, lines))


# What no person has put there


LITTER = ["@eaDir", "@Recycle", "#recycle", "$RECYCLE.BIN", "$Recycle.Bin", "lost+found"]
LITTER += ["System Volume Information", "__MACOSX", "__pycache__", ".ipynb_checkpoints", ".Trash"]
LITTER_FILES = ["thumbs.db", "Thumbs.db", "THUMBS.DB", "ehthumbs.db", "Desktop.ini", "Icon\r"]
LITTER_FILES += [".DS_Store", "._train0.jpg"]


def look_at(root: Path, split_file: Path | None = None) -> tuple[object, ...]:
    """Return what must not change: classes, counts, checksums."""
    dataset = build_dataset(config_for(root, split_file=split_file))
    parts = dataset.train, dataset.test
    counts = [part.labels.bincount().tolist() for part in parts]
    return dataset.class_names, counts, [checksum(part) for part in parts]


def litter(folder: Path) -> list[Path]:
    """Leave litter in a folder; return its paths."""
    for name in LITTER:
        draw(folder / name / "cat" / "SYNOPHOTO_THUMB_M.jpg", 0, 0)
        draw(folder / name / "0.jpg", 0, 0)
    for name in LITTER_FILES:
        (folder / name).write_bytes(b"litter")
    return [folder / name for name in (*LITTER, *LITTER_FILES)]


PLACES = ["train", "val", "train/cat", "val/dog", "train/cat/nested"]


@pytest.mark.parametrize("place", PLACES)
def test_litter_changes_neither_classes_nor_images_and_is_named(place: str, tmp_path: Path) -> None:
    root = grow(tmp_path, ("cat", "dog"), {"train": 3, "val": 2})
    draw(root / "train" / "cat" / "nested" / "deep.jpg", 0, 9)
    clean = look_at(root)
    left = litter(root / place)
    assert look_at(root) == clean
    names = sorted(str(path.relative_to(root)) for path in left)
    assert sorted(skipped(config_for(root))) == names
    table = dict(facts(build_dataset(config_for(root))))
    assert table["skipped"].startswith(f"{len(left)}: '{place}/") and "\r" not in table["skipped"]


@pytest.mark.parametrize("place", ["", "a b", "a b/nested"])
def test_litter_in_a_tree_that_a_file_splits_is_overlooked(place: str, one_tree: Path) -> None:
    draw(one_tree / "a b" / "nested" / "deep.jpg", 0, 9)
    config = split_by(one_tree, [*GOOD, "a b/nested/deep.jpg 1"])
    clean = look_at(one_tree, config.split_file)
    left = litter(one_tree / place)
    assert look_at(one_tree, config.split_file) == clean
    assert len(skipped(config)) == len(left)


def test_litter_outside_of_the_parts_is_nobodys_business(tmp_path: Path) -> None:
    root = grow(tmp_path, ("cat", "dog"), {"train": 1, "val": 1})
    litter(root)
    assert skipped(config_for(root)) == []


def test_a_folder_that_a_person_has_named_belongs_to_its_class_and_is_named(
    tmp_path: Path,
) -> None:
    root = grow(tmp_path, ("cat", "dog"), {"train": 3, "val": 2})
    draw(root / "train" / "cat" / "thumbnails" / "0.jpg", 0, 9)
    dataset = build_dataset(config_for(root))
    assert dataset.train.labels.bincount().tolist() == [4, 3]
    assert dict(facts(dataset))["folders in classes"] == "1: 'train/cat/thumbnails'"


def test_images_beside_the_folders_of_classes_are_named(tmp_path: Path) -> None:
    root = grow(tmp_path, ("cat", "dog"), {"train": 1, "val": 1})
    draw(root / "train" / "stray.jpg", 0, 9)
    (root / "train" / "README.txt").write_text("notes")
    assert dict(facts(build_dataset(config_for(root))))["skipped"] == "1: 'train/stray.jpg'"


def test_a_clean_folder_has_nothing_to_name(tree: Path) -> None:
    assert (
        not {"skipped", "folders in classes"} & dict(facts(build_dataset(config_for(tree)))).keys()
    )


# Pixels


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    pixels = np.stack([x * 255 / (width - 1), y * 255 / (height - 1), 0 * x], axis=2)
    return Image.fromarray(pixels.round().astype(np.uint8))


@pytest.mark.parametrize("size", [(64, 32), (32, 64), (33, 97), (8, 8), (5, 300)])
def test_the_shorter_side_fits_and_the_middle_is_kept(size: tuple[int, int]) -> None:
    """An independent way: resize the whole with torch, then cut."""
    image = gradient(*size)
    found = square(image, 16, 1.0)
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float()
    width, height = (round(16 * length / min(size)) for length in size)
    whole = torch.nn.functional.interpolate(
        pixels, (height, width), mode="bicubic", antialias=True, align_corners=False
    )[0]
    top, left = (height - 16) // 2, (width - 16) // 2
    expected = whole[:, top : top + 16, left : left + 16]
    assert (found.float() - expected).abs().max() < 12  # the middle may lie half a pixel aside


def test_a_smaller_crop_shows_less_of_the_image() -> None:
    red = square(gradient(100, 100), 10, 0.5)[0].float()
    assert red.min() > 255 * 0.25 and red.max() < 255 * 0.75


def test_a_photograph_is_turned_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    gradient(40, 20).save(tmp_path / "turned.jpg", exif=exif)
    assert open_image(str(tmp_path / "turned.jpg")).size == (20, 40)


def test_a_large_photograph_is_read_in_a_smaller_size_that_looks_the_same(tmp_path: Path) -> None:
    gradient(1600, 1200).save(tmp_path / "large.jpg", quality=95)
    path = str(tmp_path / "large.jpg")
    small, whole = open_image(path, 32), open_image(path)
    assert small.size[0] < 1600
    difference = square(small, 32, 1.0).int() - square(whole, 32, 1.0).int()
    assert difference.abs().max() <= 3


# Loading


def batches(dataset_of: Path, **changes: object) -> Iterator[Tensor]:
    config = config_for(dataset_of, **changes)
    dataset = build_dataset(config)
    loader = Loader(dataset.train, dataset, config, CPU)
    return (images for epoch in (0, 1) for images, _, _ in loader.epoch(0, epoch))


@few_cpus
@pytest.mark.parametrize("augment", ["paper", "timm"])
def test_workers_change_nothing_in_the_batches(tree: Path, augment: str) -> None:
    alone, helped = (
        torch.cat(list(batches(tree, augment=augment, workers=workers))) for workers in (0, 2)
    )
    assert torch.equal(alone, helped)


@pytest.mark.parametrize("augment", ["none", "paper", "timm"])
def test_an_interrupted_epoch_goes_on_with_the_batches_that_are_left(
    tree: Path, augment: str
) -> None:
    config = config_for(tree, augment=augment)
    dataset = build_dataset(config)
    loader = Loader(dataset.train, dataset, config, CPU)
    whole = [images for images, _, _ in loader.epoch(1, 2)]
    rest = [images for images, _, _ in loader.epoch(1, 2, 3)]
    assert torch.equal(torch.cat(rest), torch.cat(whole[3:]))


def test_a_batch_shows_each_image_with_its_label(tree: Path) -> None:
    config = config_for(tree)
    dataset = build_dataset(config)
    pixels, labels = dataset.train.images(), dataset.train.labels
    for images, found, _ in Loader(dataset.train, dataset, config, CPU).epoch(0, 0):
        for image, label in zip(images, found, strict=True):
            same = (pixels == image).flatten(1).all(1).nonzero().flatten()
            assert label in labels[same]


def test_timm_crops_files_in_their_own_size(tree: Path) -> None:
    """A crop of 8 to 100 percent of the image, resized: its colours are those of the image."""
    images = torch.cat(list(batches(tree, augment="timm", auto_augment="")))
    assert images.shape[1:] == (3, 16, 16) and images.is_floating_point()


@few_cpus
def test_workers_change_nothing_in_the_predictions(tree: Path) -> None:
    learner, scenario = build(config_for(tree))
    learner.grow(scenario.stages[0])
    test = scenario.stages[0].test
    alone = predict(learner.model, test)
    files = test.store
    assert isinstance(files, Files)
    helped = Samples(
        Files(config_for(tree, workers=2), files.paths, files.ends), test.rows, test.labels
    )
    assert torch.equal(predict(learner.model, helped).confidence, alone.confidence)


# Memory


def test_exemplars_of_files_are_paths_of_their_own(tree: Path) -> None:
    config = config_for(tree)
    train = build_dataset(config).train
    memory = Memory(config)
    memory.add(train, torch.rand(len(train), 3), 4)
    (store,) = {type(samples.store) for samples in memory.by_class}
    assert store is Files
    assert [len(samples.store) for samples in memory.by_class] == [2] * 4
    assert set(names(memory.exemplars)) <= set(names(train))


def test_a_memory_of_files_can_be_restored_where_the_folder_has_moved(
    tree: Path, tmp_path: Path
) -> None:
    config = config_for(tree)
    memory, train = Memory(config), build_dataset(config).train
    memory.add(train, torch.rand(len(train), 3), 4)
    (tmp_path / "moved").symlink_to(tree)
    other = Memory(replace(config, data_path=tmp_path / "moved"))
    other.restore({name: tensor.clone() for name, tensor in memory.state().items()})
    assert torch.equal(other.exemplars.images(), memory.exemplars.images())
    assert torch.equal(other.exemplars.labels, memory.exemplars.labels)


# Runs


@pytest.mark.parametrize("augment", ["crop-flip", "timm"])
def test_a_resumed_run_on_files_equals_the_uninterrupted_one(
    tree: Path, tmp_path: Path, augment: str
) -> None:
    config = config_for(tree, augment=augment, backbone="resnet8", method="wa")
    whole = run(config)

    def interrupt(record: object) -> None:
        if isinstance(record, EpochRecord) and record.stage == 1:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(config, tmp_path, [interrupt])
    assert run(config, tmp_path, resume=True) == whole


def test_a_folder_may_be_given_as_a_text(tree: Path) -> None:
    assert config_for(tree, data_path=str(tree)) == config_for(tree)


def test_a_small_network_learns_the_colours_of_a_folder(tree: Path) -> None:
    config = config_for(tree, increment=4, epochs=30, backbone="resnet8", lr=0.05)
    last = stage_records(run(config))[-1]
    hits = sum(row[i] for i, row in enumerate(last.after.confusion))
    assert hits >= 10  # of 12


# ImageNet


@pytest.fixture(scope="module")
def imagenet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One image of each of the 1000 classes to learn from and to test with."""
    root = tmp_path_factory.mktemp("imagenet")
    return grow(root, wordnet_ids(), {"train": 1, "val": 1}, "JPEG")


def test_the_two_lists_of_imagenet100_are_those_of_the_field(imagenet: Path) -> None:
    def ids(class_list: str) -> list[str]:
        config = config_for(imagenet, dataset="imagenet100", class_list=class_list)
        return [name.split("/")[1] for name in names(build_dataset(config).train)]

    first, permuted = ids("first"), ids("seed-1993")
    assert first[:3] == ["n01440764", "n01443537", "n01484850"] and first == sorted(first)
    assert permuted[:5] == ["n01729322", "n01514668", "n04550184", "n03109150", "n01990800"]
    assert len(set(first)) == len(set(permuted)) == 100
    assert len(set(first) & set(permuted)) == 9


def test_imagenet_has_1000_classes_by_name(imagenet: Path) -> None:
    dataset = build_dataset(config_for(imagenet, dataset="imagenet1000"))
    assert len(dataset.class_names) == 1000 and dataset.class_names[0] == "tench"
    assert dataset.train.labels.tolist() == list(range(1000))


IMAGENET_PRESETS = [name for name in PRESETS if name.startswith("imagenet")]


@pytest.mark.parametrize("preset", IMAGENET_PRESETS)
@few_cpus
def test_a_preset_for_imagenet_runs_its_protocol_from_end_to_end(
    preset: str, imagenet: Path
) -> None:
    """ResNet-18 on images of 16 pixels, an epoch of each stage; one image of each class.

    Two stages of the hundred classes, and the first of the thousand.
    """
    config = replace(PRESETS[preset], data_path=imagenet, image_size=16, threads=1, workers=0)
    learner, scenario = build(replace(config, epochs=1, milestones=(1,)))
    protocols = {"b50-10": [50, *[10] * 5], "b0-10": [10] * 10, "b500-100": [500, *[100] * 5]}
    sizes = protocols[preset.partition("-")[2]]
    assert list(scenario.classes_per_stage) == sizes
    stages = 1 if sum(sizes) == 1000 else 2
    records = (record for record in learn(learner, scenario) if isinstance(record, StageRecord))
    seen = [record.n_seen for record in islice(records, stages)]
    assert seen == np.cumsum(sizes)[:stages].tolist()


# A share of each class for tests


@pytest.fixture
def flat(tmp_path: Path) -> Path:
    """One folder a class, ten images in each: the commonest case."""
    for label, name in enumerate(CLASSES):
        for number in range(10):
            draw(tmp_path / name / f"{number}.png", label, number)
    return tmp_path


def test_a_share_of_each_class_is_for_tests_and_no_image_for_both(flat: Path) -> None:
    train, test, classes = read_tree(config_for(flat, test_share=0.2))
    assert classes == tuple(sorted(CLASSES))
    assert test.labels.bincount().tolist() == [2] * len(CLASSES)
    assert train.labels.bincount().tolist() == [8] * len(CLASSES)
    assert {*names(train)}.isdisjoint(names(test))


def test_the_share_is_chosen_by_content_whatever_the_names(flat: Path) -> None:
    _, before, _ = read_tree(config_for(flat, test_share=0.2))
    chosen = {(flat / name).read_bytes() for name in names(before)}
    for path in [*flat.glob("*/*.png")]:
        path.rename(path.with_name(f"z{9 - int(path.stem)}.png"))
    _, after, _ = read_tree(config_for(flat, test_share=0.2))
    assert {(flat / name).read_bytes() for name in names(after)} == chosen


def test_a_file_that_is_damaged_does_not_shift_the_others(flat: Path) -> None:
    (flat / CLASSES[0] / "3.png").write_bytes(b"")
    train, test, _ = read_tree(config_for(flat, test_share=0.2))
    assert len(train) + len(test) == 10 * len(CLASSES)
    assert test.labels.bincount().tolist() == [2] * len(CLASSES)


def test_a_folder_that_is_split_already_is_not_split_again(tree: Path) -> None:
    with pytest.raises(InputError, match=r"holds train and val: it is split already"):
        read_tree(config_for(tree, test_share=0.2))


def test_a_share_that_leaves_nothing_to_train_on_is_refused(tmp_path: Path) -> None:
    for label, name in enumerate(CLASSES):
        draw(tmp_path / name / "1.png", label, 0)
    with pytest.raises(InputError, match=r"test_share would take all 1 training images"):
        read_tree(config_for(tmp_path, test_share=0.5))


def test_a_share_and_a_file_that_split_are_one_too_many(flat: Path) -> None:
    with pytest.raises(InputError, match=r"test_share and split_file both say"):
        config_for(flat, test_share=0.2, split_file="split.txt")


def test_a_folder_of_folders_runs_in_one_command(flat: Path, tmp_path: Path) -> None:
    words = [
        "--dataset",
        "folder",
        "--data-path",
        str(flat),
        "--test-share",
        "0.2",
        "--epochs",
        "1",
    ]
    words += ["--image-size", "16", "--batch-size", "8", "--budget", str(2 * len(CLASSES))]
    out = tmp_path.with_name("out")
    assert main(["run", *words, "--increment", "2", "--out", str(out)]) == 0
    assert len(stage_records(read_records(out))) > 1
