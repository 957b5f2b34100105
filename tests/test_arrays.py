"""`DataSet.of`: one scale for all parts, numbers of any library, and a sentence for all else."""

import subprocess
import sys
import warnings
from array import array
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset, IterableDataset, TensorDataset

from cilkit import Config, DataSet, InputError, build, learn, run
from cilkit.data.arrays import OVERSHOOT, ROUNDING, as_bytes, scale_of, statistics
from cilkit.data.datasets import build_dataset
from cilkit.runs.records import stage_records

LABELS = [0, 1, 0, 1]


def of(
    images: Any, test: Any = None, labels: Any = LABELS, names: Any = None, test_labels: Any = None
) -> DataSet:
    """A data set of these arrays; what is not given for tests is what is given for training."""
    return DataSet.of(
        images,
        labels,
        images if test is None else test,
        labels if test_labels is None else test_labels,
        names,
    )


def refusal(*given: Any, **named: Any) -> str:
    with pytest.raises(InputError) as refused:
        of(*given, **named)
    sentence = str(refused.value)
    assert "\n" not in sentence
    return sentence


# One scale

# One picture in all the ways in which people have it: black and white, or with a grey pixel too.
PICTURE = np.random.default_rng(0).integers(0, 2, (4, 5, 5))
GREY = PICTURE.astype(np.float64)
GREY[0, 0, 0] = 0.5
KINDS: dict[str, NDArray[Any]] = {
    "truth values": PICTURE.astype(bool),
    "bytes 0 and 1": PICTURE.astype(np.uint8),
    "int64 0 and 1": PICTURE,
    "floats 0 and 1": PICTURE.astype(np.float32),
    "floats between": GREY,
    "bytes to 255": np.rint(GREY * 255).astype(np.uint8),
}
# Kinds that go together, for what is white is sure in both, or guessed alike.
SURE = {"truth values", "floats between", "bytes to 255"}
TOGETHER = [SURE, {"truth values", "floats 0 and 1", "floats between"}]
TOGETHER += [{"bytes 0 and 1", "int64 0 and 1"}]


@pytest.mark.parametrize("test", KINDS)
@pytest.mark.parametrize("train", KINDS)
def test_equal_pixels_of_both_parts_come_out_equal_or_are_refused(train: str, test: str) -> None:
    first, second = KINDS[train], KINDS[test]
    if any({train, test} <= kinds for kinds in TOGETHER):
        dataset = of(first, second)
        plain = torch.from_numpy(GREY != 0.5).unsqueeze(1)
        one, other = dataset.train.images()[plain], dataset.test.images()[plain]
        assert torch.equal(one, other) and len(one.unique()) == 2
    else:
        ranges = [f"from 0 to {array.max():g}" for array in (first, second)]
        sentence = refusal(first, second)
        assert f"train_images has pixels {ranges[0]}, test_images {ranges[1]}" in sentence


def test_pixels_up_to_16_are_no_bytes_beside_floats_up_to_1() -> None:
    pixels = np.arange(4 * 5 * 5).reshape(4, 5, 5) % 17
    assert "from 0 to 16, test_images from 0 to 1" in refusal(pixels, pixels / 16)


@pytest.mark.parametrize("kind", KINDS)
def test_black_images_go_with_any_scale(kind: str) -> None:
    assert int(of(KINDS[kind], np.zeros((4, 5, 5), np.uint8)).test.images().max()) == 0


# Float images, a little beside their range


@pytest.mark.parametrize("beyond", [1e-7, ROUNDING])
def test_what_rounding_adds_to_black_and_white_is_cut_off(beyond: float) -> None:
    images = np.array([-beyond, 0.25, 1 + beyond, 1]).reshape(4, 1, 1)
    assert of(images).train.images().flatten().tolist() == [0, 64, 255, 255]


def test_what_rounding_does_to_whole_floats_is_undone() -> None:
    images = np.arange(256, dtype=np.float32).reshape(4, 8, 8)
    off = images + np.float32(ROUNDING / 2)
    assert of(off).train.images().flatten().tolist() == list(range(256))


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.longdouble])
def test_floats_of_every_width_hold_each_byte(kind: type) -> None:
    values = np.arange(256)
    floats = (values / 255).astype(kind).reshape(4, 8, 8)
    assert as_bytes(floats, scale_of(floats, "images").white).flatten().tolist() == values.tolist()


@pytest.mark.parametrize("beyond", np.geomspace(1.01 * ROUNDING, OVERSHOOT, 9))
def test_a_refused_range_does_not_read_like_the_range_asked_for(beyond: float) -> None:
    images = np.array([0, 0.25, 1 + beyond, 1], np.float32).reshape(4, 1, 1)
    sentence = refusal(images)
    assert "from 0 to 1;" not in sentence and "from 0 to 1 (" not in sentence
    assert "numpy.clip(images, 0, 1)" in sentence


def test_fractions_among_bytes_are_named() -> None:
    images = np.array([0, 127.25, 255, 255]).reshape(4, 1, 1)
    assert "pixels from 0 to 255, 127.25 among them; they must be whole" in refusal(images)


# What floats are, they do not say themselves


def scaled(images: Any, scale: Any, test: Any = None) -> DataSet:
    return DataSet.of(images, LABELS, images if test is None else test, LABELS, scale=scale)


@pytest.mark.parametrize("highest", [2, 16, 100, 127])
def test_whole_floats_of_which_none_is_bright_are_refused_with_what_says_it(highest: int) -> None:
    images = np.linspace(0, highest, 100).round().reshape(4, 5, 5)
    sentence = refusal(images)
    assert f"floats from 0 to {highest}, all of them whole: what is white?" in sentence
    assert f"scale=(0, 255), or scale=(0, {highest})" in sentence
    assert int(scaled(images, (0, highest)).train.images().max()) == 255
    assert int(scaled(images, (0, 255)).train.images().max()) == highest


def test_dark_whole_floats_are_bytes_beside_bright_ones() -> None:
    dark = np.arange(100.0).reshape(4, 5, 5)
    assert int(of(dark, dark + 150).train.images().max()) == 99


@pytest.mark.parametrize(
    ("scale", "black", "white"),
    [
        ((-1, 1), -1, 1),
        ([0, 1000], 0, 1000),
        (np.array([1, 0]), 1, 0),
        (torch.tensor([0, 4]), 0, 4),
    ],
)
def test_the_scale_says_what_is_black_and_what_is_white(
    scale: Any, black: float, white: float
) -> None:
    grey = np.arange(256).reshape(4, 8, 8)
    images = black + (white - black) * grey / 255
    assert torch.equal(scaled(images, scale).test.images()[:, 0], torch.from_numpy(grey).byte())


def test_a_scale_may_be_wider_than_the_numbers_of_half_precision() -> None:
    images = np.linspace(-60000, 60000, 64).reshape(4, 4, 4)
    found, true = (scaled(images.astype(kind), (-65000, 65000)) for kind in ("f2", "f8"))
    assert (found.train.images().int() - true.train.images().int()).abs().max() <= 1


def test_a_scale_is_for_bytes_and_whole_numbers_too() -> None:
    images = np.array([0, 1, 1, 0], np.uint8).reshape(4, 1, 1)
    assert scaled(images, (0, 1)).train.images().flatten().tolist() == [0, 255, 255, 0]


@pytest.mark.parametrize(
    ("scale", "words"),
    [
        ((0, 1), "train_images has pixels from -2 to 2, beyond scale=(0, 1)"),
        ((-2, 1.9), "beyond scale=(-2, 1.9)"),
        ((0, 0), "scale is (0, 0); give two different numbers"),
        ((0, np.inf), "give two different numbers"),
        (255, "scale is 255; give two numbers, black and white, such as (0, 255)"),
        ("normalised", "scale is 'normalised'; give two numbers"),
        ((0, 1, 2), "give two numbers"),
    ],
)
def test_a_scale_that_is_none_or_does_not_fit_is_refused(scale: Any, words: str) -> None:
    with pytest.raises(InputError) as refused:
        scaled(np.linspace(-2, 2, 100).reshape(4, 5, 5), scale)
    assert words in str(refused.value)


def test_who_gives_normalised_images_is_told_how_to_say_what_they_are() -> None:
    images = np.linspace(-2, 2, 100).reshape(4, 5, 5)
    assert "not normalised yet; or say by scale=(black, white)" in refusal(images)


# A channel that never changes


def test_a_channel_that_never_changes_can_be_divided_by_its_deviation() -> None:
    images = torch.randint(256, (4, 3, 5, 5), dtype=torch.uint8)
    images[:, 1] = 7
    mean, deviation = statistics(images)
    assert mean[1] == pytest.approx(7 / 255, abs=1e-12) and deviation[1] == 1


@pytest.mark.parametrize("augment", ["none", "timm"])
def test_images_without_blue_can_be_learnt(augment: str) -> None:
    images = torch.randint(256, (4, 3, 8, 8), dtype=torch.uint8)
    images[:, 2] = 0
    config = Config(increment=1, epochs=1, batch_size=2, budget=2, augment=augment)
    assert len(stage_records(list(learn(*build(config, of(images)))))) == 2


# Labels

IDS = 20_190_101_000 + 300_000 * np.arange(4).repeat(10)
UNDER_A_LIMIT = """
import resource, sys
import numpy as np
from cilkit import DataSet, InputError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, used + 2**28))
images = np.zeros((40, 8, 8), np.uint8)
for highest in (2**31, 2**40, 2**62):
    labels = highest - np.arange(4).repeat(10)
    for names in (None, list("abcd")):
        try:
            DataSet.of(images, labels, images, labels, names)
            print("accepted")
        except InputError as error:
            print(error)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux tells its memory")
def test_labels_take_no_memory_in_proportion_to_their_value() -> None:
    command = [sys.executable, "-c", UNDER_A_LIMIT]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert said[::2] == ["accepted"] * 3
    assert all("labels run from 0 to 3" in sentence for sentence in said[1::2])


NAMED: dict[str, tuple[Any, list[str]]] = {
    "texts": (["dog", "cat", "dog", "eel"], ["cat", "dog", "eel"]),
    "bytes": ([b"dog", b"cat", b"dog", b"eel"], ["cat", "dog", "eel"]),
    "an array of texts": (np.array(["ñ", "o", "ñ", "a"]), ["a", "o", "ñ"]),
    "objects": (np.array(["dog", "cat", "dog", "eel"], object), ["cat", "dog", "eel"]),
    "gaps": ([7, 3, 7, 1000], ["3", "7", "1000"]),
    "not from 0": (torch.tensor([2, 1, 2, 3]), ["1", "2", "3"]),
    "below 0": ([-1, 4, -1, 0], ["-1", "0", "4"]),
    "identities": (IDS[[10, 0, 10, 20]], [str(number) for number in IDS[[0, 10, 20]]]),
    "the highest": (np.array([2**64 - 1, 1, 2**64 - 1, 2], np.uint64), ["1", "2", str(2**64 - 1)]),
    "whole floats": ([3.0, 0.5 + 0.5, 3.0, 7.0], ["1", "3", "7"]),
    "texts of numbers": (["10", "9", "10", "x"], ["10", "9", "x"]),
}


@pytest.mark.parametrize("kind", NAMED)
def test_labels_without_names_are_their_classes_names_in_their_order(kind: str) -> None:
    labels, names = NAMED[kind]
    dataset = of(np.zeros((4, 8, 8), np.uint8), labels=labels)
    assert dataset.class_names == tuple(names)
    texts = [label.decode() if isinstance(label, bytes) else label for label in list(labels)]
    expected = [str(text if isinstance(text, str) else int(text)) for text in texts]
    assert [dataset.class_names[number] for number in dataset.train.labels] == expected


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["eel", "dog", "cat"], ("eel", "dog", "cat")),
        ({"eel": "an eel", "dog": "a dog", "cat": "a cat"}, ("an eel", "a dog", "a cat")),
        ({"a cat": "cat", "an eel": "eel", "a dog": "dog"}, ("a cat", "an eel", "a dog")),
    ],
    ids=["list", "to names", "from names"],
)
def test_names_of_texts_give_them_their_order(names: Any, found: tuple[str, ...]) -> None:
    dataset = of(np.zeros((4, 8, 8), np.uint8), labels=["dog", "cat", "dog", "eel"], names=names)
    assert dataset.class_names == found
    said = [dataset.class_names[number].split(" ")[-1] for number in dataset.train.labels]
    assert said == ["dog", "cat", "dog", "eel"]


@pytest.mark.parametrize(
    "names", [{"cat": 3, "eel": 1000, "dog": 7}, {1000: "eel", 3: "cat", 7: "dog"}]
)
def test_numbers_with_gaps_get_names_by_a_dict(names: Any) -> None:
    dataset = of(np.zeros((4, 8, 8), np.uint8), labels=[7, 3, 7, 1000], names=names)
    assert dataset.class_names == ("cat", "dog", "eel")
    assert dataset.train.labels.tolist() == [1, 0, 1, 2]


def test_labels_of_tests_that_nothing_was_learnt_of_are_named() -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    sentence = refusal(images, labels=["cat", "dog"] * 2, test_labels=["cat", "dog", "cow", "cat"])
    assert sentence == "test_labels holds 'cow'; the classes are cat, dog"
    sentence = refusal(images, labels=[3, 7, 3, 7], test_labels=[3, 7, 5, 7])
    assert sentence == "test_labels holds 5; the classes are 3, 7"


def test_a_run_on_labels_that_are_texts_says_their_names() -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8), dtype=np.uint8)
    config = Config(increment=1, epochs=1, batch_size=2, budget=2, class_order=1)
    _, scenario = build(config, of(images, labels=["cat", "dog"] * 2))
    assert sorted(scenario.class_names) == ["cat", "dog"]


def test_test_labels_that_lack_a_class_are_not_to_be_counted_anew() -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    sentence = refusal(images, images, test_labels=[0, 0, 0, 0])
    assert sentence == "test_labels lacks 1; each of the 2 classes needs an image"


@pytest.mark.parametrize(
    "labels",
    [
        np.array(LABELS, dtype=object),
        np.array(LABELS, dtype=np.uint64),
        np.array(LABELS, dtype=">i2"),
        np.array(LABELS, dtype=bool),
        np.array(LABELS, dtype=np.float16),
        [np.int64(label) for label in LABELS],
        [torch.tensor(label) for label in LABELS],
        torch.tensor(LABELS, dtype=torch.bfloat16),
        torch.tensor([0.0, 1, 0, 1], requires_grad=True),
        array("b", LABELS),
        [Decimal(label) for label in LABELS],
        tuple(LABELS),
    ],
    ids=repr,
)
def test_whole_numbers_are_labels_in_any_form(labels: Any) -> None:
    dataset = of(np.zeros((4, 8, 8), np.uint8), labels=labels)
    assert dataset.train.labels.tolist() == LABELS and dataset.train.labels.dtype == torch.int64


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1, 0, None], "holds objects (NoneType: None), not numbers"),
        (np.array([0, 1, 0, "b"], dtype=object), "holds texts and 0; give texts, or numbers"),
        (["a", "b", "a", 7], "holds texts and 7"),
        ([0, 1, 0, 1j], "holds complex128"),
        ([0, 1, 0, np.inf], "must be whole numbers, or texts; one is inf"),
        ([0, 1, 0, np.nan], "must be whole numbers, or texts; one is nan"),
        (np.array(["2019-01-01"] * 4, "M8[D]"), "holds datetime64[D] ('2019-01-01'), not numbers"),
        ([[0], [1], [0, 1], [1]], "differ in shape, first (1,) and (2,)"),
        ([-5, -5, -5, -5], "test_labels holds 0; the classes are -5"),
        ([0, 1, 0, 2**70], "holds 1.180591621e+21, a float too large to be told from the next"),
        ([0, 1, 0, Decimal("0.5")], "must be whole numbers, or texts; one is 0.5"),
        (iter(LABELS), "is a list_iterator; give an array, a tensor or a list"),
        (5, "has the shape (); 4 images need (4,)"),
    ],
)
def test_labels_that_are_none_are_named_as_what_they_are(labels: Any, words: str) -> None:
    assert words in refusal(np.zeros((4, 8, 8), np.uint8), labels=labels, test_labels=LABELS)


# Names


@pytest.mark.parametrize(
    "names",
    [
        {"dog": 1, "cat": 0},
        {"cat": np.int64(0), "dog": np.int64(1)},
        {1: "dog", 0: "cat"},
        [b"cat", b"dog"],
        np.array([b"cat", b"dog"]),
        np.array(["cat", "dog"], dtype=object),
        (name for name in ("cat", "dog")),
    ],
    ids=lambda names: f"{type(names).__name__} {names!r}".split(" at ")[0],  # no address
)
def test_names_belong_to_their_labels_in_any_form(names: Any) -> None:
    assert of(np.zeros((4, 8, 8), np.uint8), names=names).class_names == ("cat", "dog")


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (5, "class_names is 5; give a list of names"),
        (["cat", "cat"], "class_names has 'cat' twice; give each class a name of its own"),
        ({0: "cat", 1: "cat"}, "class_names has 'cat' twice"),
        ({"cat": 0, "dog": 2}, "it must give each label once, as class_to_idx does"),
        ({"cat": "a", "dog": None}, "each label once"),
        ({"cat": [0], "dog": [1]}, "each label once"),
        ({"cat": 0, "dog": 1, "eel": 1}, "each label once"),
        (["cat"], "train_labels holds 1; labels run from 0 to 0"),
        (["cat", "dog", "eel"], "train_labels lacks 2; each of the 3 classes needs an image"),
    ],
)
def test_names_that_fit_no_labels_are_refused(names: Any, words: str) -> None:
    assert words in refusal(np.zeros((4, 8, 8), np.uint8), names=names)


@pytest.mark.parametrize("names", [np.array([b"a", b"b"]), np.array(["a", "b"])])
def test_names_in_an_npz_file_may_be_bytes(names: NDArray[Any], tmp_path: Path) -> None:
    images = np.zeros((4, 8, 8), np.uint8)
    parts: dict[str, Any] = {"train_images": images, "train_labels": LABELS, "test_images": images}
    np.savez(tmp_path / "x.npz", **parts, test_labels=LABELS, class_names=names)
    dataset = build_dataset(Config(dataset="npz", data_path=tmp_path / "x.npz"))
    assert dataset.class_names == ("a", "b")


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (2**30, "is no whole .npz file"),
        (2**62, "holds more than fits into memory"),
        (2**70, "is no whole .npz file"),
    ],
)
def test_an_npz_file_that_announces_more_than_it_holds_is_refused(
    count: int, words: str, tmp_path: Path
) -> None:
    header = {"descr": "|u1", "fortran_order": False, "shape": (count,)}
    with ZipFile(tmp_path / "x.npz", "w") as file, file.open("train_images.npy", "w") as stream:
        np.lib.format.write_array_header_1_0(stream, header)
        stream.write(bytes(100))
    with pytest.raises(InputError, match=words):
        build_dataset(Config(dataset="npz", data_path=tmp_path / "x.npz"))


# Whatever else people have


class Pairs(Dataset[Any]):
    """As torchvision's data sets are."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, position: int) -> tuple[torch.Tensor, int]:
        return torch.zeros(1, 8, 8), position % 2


class Stream(IterableDataset[Any]):
    def __iter__(self) -> Iterator[Any]:
        yield torch.zeros(1, 8, 8), 0


class Hostile:
    """Raises whatever is asked of it."""

    def __array__(self, *arguments: Any, **named: Any) -> Any:
        raise ZeroDivisionError("no array")


class Endless:
    def __len__(self) -> int:
        raise OverflowError("too many")

    def __getitem__(self, position: int) -> int:
        return position


GOOD = np.zeros((4, 8, 8), np.uint8)
SIZES = [(8, 8), (8, 9), (8, 8), (8, 8)]
ODD: dict[str, Callable[[], Any]] = {
    "a data set of torch": Pairs,
    "a stream of torch": Stream,
    "tensors as a data set": lambda: TensorDataset(torch.zeros(4, 1, 8, 8), torch.zeros(4)),
    "a loader of torch": lambda: DataLoader(Pairs()),
    "arrays of several sizes": lambda: [np.zeros(size) for size in SIZES],
    "tensors of several sizes": lambda: [torch.zeros(size) for size in SIZES],
    "pictures of several sizes": lambda: [Image.new("L", size) for size in SIZES],
    "pictures": lambda: [Image.new("RGB", (8, 8))] * 4,
    "tensors in a list": lambda: [torch.zeros(1, 8, 8)] * 4,
    "gradients in a list": lambda: [torch.zeros(1, 8, 8, requires_grad=True)] * 4,
    "an array of objects": lambda: np.array([*GOOD, None], dtype=object)[:4],
    "bfloat16": lambda: torch.zeros(4, 1, 8, 8, dtype=torch.bfloat16),
    "float8": lambda: torch.zeros(4, 1, 8, 8).to(torch.float8_e5m2),
    "gradients": lambda: torch.zeros(4, 1, 8, 8, requires_grad=True),
    "no content": lambda: torch.empty(4, 1, 8, 8, device="meta"),
    "sparse": lambda: torch.zeros(4, 64).to_sparse(),
    "compressed": lambda: torch.zeros(4, 64).to_sparse_csr(),
    "quantised": lambda: torch.quantize_per_tensor(torch.zeros(4, 1, 8, 8), 0.1, 0, torch.quint8),
    "nested": lambda: torch.nested.nested_tensor([torch.zeros(size) for size in SIZES]),
    "negated": lambda: torch._neg_view(torch.zeros(4, 1, 8, 8)),
    "complex": lambda: torch.zeros(4, 1, 8, 8, dtype=torch.complex64),
    "backwards": lambda: GOOD[::-1, ::-1],
    "not to be written": lambda: np.broadcast_to(np.uint8(0), (4, 8, 8)),
    "times": lambda: np.zeros((4, 8, 8), "M8[s]"),
    "differences of times": lambda: np.zeros((4, 8, 8), "m8[s]"),
    "records": lambda: np.zeros(4, [("image", np.uint8), ("label", np.int64)]),
    "masked": lambda: np.ma.masked_equal(np.arange(256).reshape(4, 8, 8), 3),
    "not masked": lambda: np.ma.masked_equal(GOOD, 3),
    "a matrix": lambda: np.matrix([[0, 1, 0, 1]]),
    "text": lambda: ["a", "b", "a", "b"],
    "one text": lambda: "a",
    "bytes": lambda: b"abcd",
    "bytes that change": lambda: bytearray(4),
    "a view of memory": lambda: memoryview(GOOD),
    "None": lambda: None,
    "a list of None": lambda: [None] * 4,
    "a generator": lambda: (image for image in GOOD),
    "a map": lambda: map(float, GOOD.flat),
    "a dict": lambda: dict(enumerate(GOOD)),
    "a set": lambda: {0, 1},
    "a number": lambda: 3,
    "a number of torch": lambda: torch.tensor(3),
    "nothing": lambda: [],
    "nothing four times": lambda: [[], [], [], []],
    "no rows": lambda: np.zeros((0, 8, 8), np.uint8),
    "no columns": lambda: np.zeros((4, 8, 0), np.uint8),
    "NaN": lambda: np.full((4, 8, 8), np.nan),
    "numbers without end": lambda: np.full((4, 8, 8), -np.inf),
    "great numbers": lambda: np.full((4, 8, 8), 2**64 - 1, np.uint64),
    "greater numbers": lambda: [2**80, 0, 1, 1],
    "the greatest floats": lambda: np.full((4, 8, 8), np.finfo(np.float64).max),
    "ragged": lambda: [[0, 1], [0], [1, 1], [0, 0]],
    "deep": lambda: [[[[[[0]]]]]] * 4,
    "a class": lambda: DataSet,
    "hostile": Hostile,
    "hostile in a list": lambda: [Hostile()] * 4,
    "endless": Endless,
}


@pytest.mark.parametrize("place", range(4), ids=["train", "its labels", "test", "their labels"])
@pytest.mark.parametrize("kind", ODD)
def test_whatever_is_given_for_an_array_is_accepted_or_refused_in_a_sentence(
    kind: str, place: int
) -> None:
    given: list[Any] = [GOOD, LABELS, GOOD, LABELS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of torch and NumPy, of what is odd indeed
        given[place] = ODD[kind]()
    try:
        dataset = DataSet.of(*given)
    except InputError as error:
        assert str(error).startswith(("train_", "test_", "images to train with"))
        assert "\n" not in str(error)
    else:
        assert dataset.train.images().shape == (4, *dataset.train.images().shape[1:])
        assert dataset.train.labels.tolist() == dataset.test.labels.tolist() == LABELS


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("a data set of torch", "is a Pairs of torch; give images and labels, or the whole"),
        ("a loader of torch", "is a DataLoader of torch; give images and labels, or the whole"),
        ("arrays of several sizes", "its entries differ in shape, first (8, 8) and (8, 9)"),
        ("tensors of several sizes", "its entries differ in shape, first (8, 8) and (8, 9)"),
        ("pictures of several sizes", "its entries differ in shape, first (8, 8) and (9, 8)"),
        ("masked", "has masked values"),
        ("no content", "no data"),
        ("a generator", "is a generator; give an array"),
        ("None", "is a NoneType; give an array"),
        ("a list of None", "holds objects (NoneType: None), not numbers"),
    ],
)
def test_a_refusal_says_what_it_is_that_was_given(kind: str, words: str) -> None:
    assert words in refusal(ODD[kind](), GOOD)


# Data sets of torch

PIXELS = np.random.default_rng(1).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)


class Given(Dataset[Any]):
    """A list of pairs, and torchvision's list of names, if there is one."""

    def __init__(self, pairs: list[Any], classes: list[str] | None = None) -> None:
        self.pairs = pairs
        if classes is not None:
            self.classes = classes

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, position: int) -> Any:
        return self.pairs[position]


IMAGES: dict[str, Callable[[NDArray[np.uint8]], Any]] = {
    "Pillow's": Image.fromarray,
    "tensors of bytes": lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1),
    "tensors of floats": lambda pixels: torch.from_numpy(pixels).permute(2, 0, 1) / 255,
    "arrays": lambda pixels: pixels,
}


@pytest.mark.parametrize("kind", IMAGES)
def test_a_data_set_of_torch_is_the_data_set_of_its_arrays(kind: str) -> None:
    pairs = [(IMAGES[kind](pixels), label) for pixels, label in zip(PIXELS, LABELS, strict=True)]
    found, expected = DataSet.from_torch(Given(pairs), Given(pairs)), of(PIXELS)
    for part in ("train", "test"):
        one, other = getattr(found, part), getattr(expected, part)
        assert torch.equal(one.images(), other.images())
        assert torch.equal(one.labels, other.labels)
    assert (found.mean, found.class_names) == (expected.mean, ("0", "1"))


def test_grey_pictures_stay_grey_and_palettes_become_colours() -> None:
    for mode, channels in (("L", 1), ("1", 1), ("P", 3), ("RGBA", 3)):
        data = Given([(Image.new(mode, (8, 8)), label) for label in LABELS])
        assert DataSet.from_torch(data, data).train.images().shape == (4, channels, 8, 8)


@pytest.mark.parametrize(
    ("labels", "classes", "names"),
    [
        (LABELS, ["cat", "dog"], ("cat", "dog")),
        ([torch.tensor(label) for label in LABELS], None, ("0", "1")),
        (["dog", "cat", "dog", "cat"], None, ("cat", "dog")),
        ([7, 1000, 7, 1000], None, ("7", "1000")),
    ],
)
def test_classes_are_named_as_torchvision_names_them_or_by_their_labels(
    labels: list[Any], classes: list[str] | None, names: tuple[str, ...]
) -> None:
    data = Given([*zip(PIXELS, labels, strict=True)], classes)
    assert DataSet.from_torch(data, data).class_names == names


def test_a_label_means_the_same_class_in_both_data_sets_of_torch() -> None:
    pairs = [*zip(PIXELS, LABELS, strict=True)]
    train, test = Given(pairs, ["cat", "dog"]), Given(pairs, ["dog", "fox"])
    with pytest.raises(InputError, match=r"of train are \['cat', 'dog'\], those of test \['dog'"):
        DataSet.from_torch(train, test)
    assert DataSet.from_torch(train, test, ["x", "y"]).class_names == ("x", "y")


def test_tensors_as_a_data_set_of_torch_may_have_another_scale() -> None:
    images = torch.from_numpy(PIXELS).permute(0, 3, 1, 2)
    data = TensorDataset(images / 127.5 - 1, torch.tensor(LABELS))
    found = DataSet.from_torch(data, data, ["x", "y"], "mine", scale=(-1, 1))
    assert torch.equal(found.train.images(), images)
    assert (found.name, found.class_names) == ("mine", ("x", "y"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (DataLoader(Pairs()), "train is a DataLoader; give a data set of torch that has a length"),
        (Stream(), "train is a Stream; give a data set of torch that has a length and a pair"),
        (7, "train is a int; give a data set of torch"),
        (Given([{"image": 0}]), "train[0] is {'image': 0}; a pair of an image and its label is"),
        (Given([(PIXELS[0], 0), (PIXELS[1], 0, 1)]), "train[1] is (array("),
        (Given([]), "train_images"),
        (Given([(PIXELS[0], 0), (PIXELS[1, 2:], 1)]), "entries differ in shape, first (8, 8, 3)"),
        (TensorDataset(torch.randn(4, 1, 8, 8), torch.tensor(LABELS)), "not normalised yet"),
    ],
)
def test_a_data_set_of_torch_that_cannot_be_used_is_refused(data: Any, words: str) -> None:
    with pytest.raises(InputError) as refused:
        DataSet.from_torch(data, Pairs())
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_nothing_but_a_data_set_is_run() -> None:
    given: Any = Pairs()
    for start in (build, run):
        with pytest.raises(InputError, match="dataset is a Pairs; make a DataSet of arrays"):
            # Of the two functions, mypy sees what both are: an object.
            start(Config(), dataset=given)  # type: ignore[operator]
