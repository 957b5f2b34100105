"""What a split file may look like, and what of it is refused: nothing said is lost in silence."""

import unicodedata
import warnings
from pathlib import Path
from typing import Any

import pytest
from drawn import draw

from cilkit import Config, InputError
from cilkit.data.sources.folders import read_tree

COMPOSED = unicodedata.normalize("NFC", "café")  # é is a letter
DECOMPOSED = unicodedata.normalize("NFD", "café")  # é is a letter and an accent
LINES = ["a/0.png train", "a/1.png test", "b/0.png train", "b/1.png test"]


def config_for(root: Path, **changes: Any) -> Config:
    return Config(dataset="folder", data_path=root, image_size=16, increment=1, **changes)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for label, name in enumerate("ab"):
        for number in range(2):
            draw(tmp_path / name / f"{number}.png", label, number)
    return tmp_path


def counts(root: Path, content: str | bytes, name: str = "split.txt") -> list[list[int]]:
    """Return how many images of each class a split file of this content gives to both parts."""
    (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    train, test, _ = read_tree(config_for(root, split_file=Path(name)))
    return [part.labels.bincount().tolist() for part in (train, test)]


def refusal(root: Path, *lines: str) -> str:
    with pytest.raises(InputError) as refused:
        counts(root, "\n".join(lines))
    return str(refused.value)


SPELLINGS = ["a/0.png", "./a/0.png", "a//0.png", "a/./0.png", "b/../a/0.png", r"a\0.png"]
SPELLINGS += [r".\a\0.png"]


@pytest.mark.parametrize("path", SPELLINGS)
def test_a_path_is_the_same_however_it_is_spelt(path: str, tree: Path) -> None:
    assert counts(tree, "\n".join([f"{path} train", *LINES[1:]])) == [[1, 1], [1, 1]]


@pytest.mark.parametrize("path", SPELLINGS)
def test_two_lines_that_contradict_each_other_are_both_named(path: str, tree: Path) -> None:
    sentence = refusal(tree, *LINES, "", f"{path} test")
    assert sentence.startswith("lines 1 and 6 of ")
    assert f"contradict each other: {path!r} is for training in one, for tests" in sentence


@pytest.mark.parametrize("path", SPELLINGS)
def test_a_path_said_twice_with_one_word_is_named_in_a_warning(path: str, tree: Path) -> None:
    with pytest.warns(UserWarning) as warned:
        assert counts(tree, "\n".join([*LINES, f"{path} 1"])) == [[1, 1], [1, 1]]
    (sentence,) = (str(each.message) for each in warned)
    assert sentence.endswith(f"says more than once where to put {path}")


FILES = [
    "\n".join(LINES).encode(),
    "\r\n".join(LINES).encode(),
    "\r".join(LINES).encode(),
    "\n".join(LINES).encode("utf-8-sig"),
    "\r\n".join(LINES).encode("utf-16"),
    b"\xfe\xff" + "\n".join(LINES).encode("utf-16-be"),
    "\n".join(f"{line}  \t" for line in LINES).encode(),
    "\n".join(line.replace(" ", "\t") for line in LINES).encode(),
    "\n".join(line.replace(" ", "   ") for line in LINES).encode(),
    "\n\n".join(line.replace("train", "Train") for line in LINES).encode(),
]


@pytest.mark.parametrize("content", FILES)
def test_a_split_file_may_come_from_any_editor(content: bytes, tree: Path) -> None:
    assert counts(tree, content) == [[1, 1], [1, 1]]


def test_a_file_of_utf_16_that_does_not_say_so_is_refused_at_its_first_line(tree: Path) -> None:
    with pytest.raises(InputError, match=r"line 1 of .* must be a path, a space, and train"):
        counts(tree, "\n".join(LINES).encode("utf-16-le"))


@pytest.mark.parametrize(("there", "said"), [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_an_accent_may_be_spelt_in_both_ways_of_unicode(
    there: str, said: str, tmp_path: Path
) -> None:
    for number in range(2):
        draw(tmp_path / there / f"{there}{number}.png", 0, number)
    lines = [f"{said}/{said}0.png train", f"{said}/{said}1.png test"]
    assert counts(tmp_path, "\n".join(lines)) == [[1], [1]]


def test_a_name_with_a_backslash_of_its_own_is_found(tmp_path: Path) -> None:
    for number in range(2):
        draw(tmp_path / "a" / f"x\\{number}.png", 0, number)
    assert counts(tmp_path, "a/x\\0.png 1\na/x\\1.png 0") == [[1], [1]]


def test_two_images_that_a_line_cannot_tell_apart_are_refused(tree: Path) -> None:
    for name in (COMPOSED, DECOMPOSED):
        draw(tree / "a" / f"{name}.png", 0, 2)
    sentence = refusal(tree, *LINES, f"a/{COMPOSED}.png train")
    assert "are one path to a split file; rename one" in sentence


@pytest.mark.parametrize(("words", "part"), [("01", "training"), ("10", "tests")])
def test_a_class_of_which_one_part_gets_nothing_is_named(words: str, part: str, tree: Path) -> None:
    lines = [f"b/{number}.png {words[0]}" for number in (0, 1)]
    sentence = refusal(tree, *LINES[:2], *lines)
    assert sentence.endswith(f"gives to {part} no image of b; each class needs images in both")


def test_a_split_file_that_is_not_there_is_named(tree: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.txt' cannot be read: No such file"):
        read_tree(config_for(tree, split_file=Path("absent.txt")))


# The classes' folders


def grow(root: Path, train: list[str], val: list[str]) -> Path:
    for part, names in (("train", train), ("val", val)):
        for label, name in enumerate(names):
            draw(root / part / name / "0.png", label, 0)
    return root


@pytest.mark.parametrize("spellings", [(COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)])
def test_a_class_is_the_same_in_both_ways_of_unicode(
    spellings: tuple[str, str], tmp_path: Path
) -> None:
    """Sorted by their letters the two ways come before and after "cafz"."""
    one, other = spellings
    train, test, names = read_tree(config_for(grow(tmp_path, [one, "cafz"], [other, "cafz"])))
    assert sorted(names) == sorted([one, "cafz"])
    for part, spelt in ((train, one), (test, other)):
        # A folder's store holds paths; others hold pixels.
        paths = [part.store.name(row).decode() for row in part.rows.tolist()]  # type: ignore[union-attr]
        folders = [path.split("/")[1] for path in paths]
        assert folders == [spelt if name == one else name for name in names]


def test_two_folders_of_one_name_in_both_ways_are_refused(tmp_path: Path) -> None:
    root = grow(tmp_path, [COMPOSED, DECOMPOSED], [COMPOSED])
    with pytest.raises(InputError, match="train' has two folders 'café': in one, an accent is"):
        read_tree(config_for(root))


def test_names_that_differ_in_their_case_are_two_classes(tmp_path: Path) -> None:
    """As letters are: a, A."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_tree(config_for(grow(tmp_path, ["a", "A"], ["A", "a"])))[2] == ("A", "a")
