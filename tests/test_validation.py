"""Training images that are held out and tested in place of the test images."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from shutil import copytree

import pytest
import torch
from conftest import TINY, tiny
from drawn import grow
from torch import Tensor

from cilkit import Config, DataSet, InputError, Samples, build, learn, read_records, run
from cilkit.cli import main
from cilkit.data.validation import with_validation
from cilkit.metrics import table
from cilkit.runs.records import run_record
from cilkit.show.console import Console
from cilkit.show.save import drawn

TENTH = replace(TINY, validation=0.1)


def pictures(samples: Samples) -> Counter[bytes]:
    """Return the images, however they are ordered."""
    return Counter(image.numpy().tobytes() for image in samples.images())


def of_class(samples: Samples, label: int) -> Counter[bytes]:
    return pictures(samples.take((samples.labels == label).nonzero().flatten()))


def test_the_share_of_each_class_is_held_out_and_nothing_is_lost() -> None:
    whole = tiny()
    parts = with_validation(whole, TENTH)
    assert parts.test.labels.bincount().tolist() == [2] * 6  # of 20 images each
    for label in range(6):
        train, test = of_class(parts.train, label), of_class(parts.test, label)
        assert train + test == of_class(whole.train, label)
    assert (parts.mean, parts.std) == (whole.mean, whole.std)


def test_the_same_images_are_held_out_in_whatever_order_they_come() -> None:
    whole = tiny()
    order = torch.randperm(len(whole.train), generator=torch.Generator().manual_seed(1))
    shuffled = replace(whole, train=whole.train.take(order))
    one, other = (with_validation(each, TENTH).test for each in (whole, shuffled))
    assert pictures(one) == pictures(other)


def test_without_a_share_nothing_changes() -> None:
    whole = tiny()
    assert with_validation(whole, TINY) is whole


def arrays(images: Tensor, labels: Iterable[int]) -> DataSet:
    return DataSet.of(images, [*labels], images, [*labels])


def test_equal_images_stay_together() -> None:
    images = torch.arange(10, dtype=torch.uint8).repeat_interleave(4).view(-1, 1, 1, 1) * 20
    parts = with_validation(arrays(images.expand(-1, 1, 8, 8), [0] * 40), TENTH)
    assert len(parts.test) == 4
    assert not pictures(parts.train).keys() & pictures(parts.test).keys()


def test_a_class_of_which_nothing_would_be_left_is_named() -> None:
    images = torch.zeros(5, 1, 8, 8, dtype=torch.uint8)
    with pytest.raises(InputError, match="all 1 training images of class '1'"):
        with_validation(arrays(images + torch.arange(5).view(-1, 1, 1, 1), [0] * 4 + [1]), TENTH)


def test_files_are_chosen_by_what_is_in_them(tmp_path: Path) -> None:
    tree = grow(tmp_path / "tree", ("cat", "dog"), {"train": 10, "val": 3})
    moved = copytree(tree, tmp_path / "moved")
    for number, path in enumerate(sorted(moved.glob("train/*/*"), reverse=True)):
        path.rename(path.with_name(f"{number:03d}.jpg"))
    found = []
    for root in (tree, moved):
        settings = {"dataset": "folder", "data_path": root, "image_size": 16, "increment": 2}
        config = Config(method="finetune", validation=0.2, **settings)
        found.append(pictures(build(config)[1].dataset.test))
    assert found[0] == found[1]
    assert found[0].total() == 4


def test_exemplars_never_come_from_what_is_held_out() -> None:
    learner, scenario = build(replace(TENTH, backbone="mlp", budget=600), tiny())
    list(learn(learner, scenario))
    exemplars = pictures(learner.memory.exemplars)
    assert exemplars.total() == 6 * 18
    assert not exemplars & pictures(scenario.dataset.test)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on held-out images."""
    out = tmp_path_factory.mktemp("validation") / "run"
    run(replace(TENTH, backbone="mlp"), out, dataset=tiny())
    return out


def test_records_tables_figures_and_console_say_so(
    out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records, title = read_records(out), "tested on 10 % of the training images (validation)"
    assert run_record(records).config["validation"] == 0.1
    assert run_record(records).data["test images"] == 12
    assert table({"wa": [records]}).startswith(f"{title}\n")
    accuracy, norms, *_ = drawn({"wa": [records]})
    assert (accuracy.get_suptitle(), norms.get_suptitle()) == (title, f"wa, {title}")
    Console()(records[0])
    assert capsys.readouterr().out == f"wa on tiny, seed 0, {title}\n"


def test_a_run_on_held_out_images_does_not_go_on_as_another(out: Path, tmp_path: Path) -> None:
    copytree(out, tmp_path / "run")
    with pytest.raises(InputError, match=r"validation is 0\.1 there, 0\.0 here"):
        run(replace(TINY, backbone="mlp"), tmp_path / "run", dataset=tiny(), resume=True)


def test_too_large_a_share_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--validation", "1", "--out", str(tmp_path / "run")]) == 2
    assert "validation is 1.0; it must lie between 0 and 0.9" in capsys.readouterr().err
