"""A run that the package began when it was younger goes on: nothing that was saved is lost."""

import shutil
from pathlib import Path

import pytest
from torch import Tensor, nn

from cilkit import Config, InputError, read_records, run
from cilkit.backbones import BACKBONES
from cilkit.runs.records import stage_records

# WA on the digits with a network of one layer, stopped in the second stage's second epoch by
# commit c7e409c, before the package had wings and methods had settings of their own.
OLD = Path(__file__).parent / "data" / "run-of-c7e409c"
CONFIG = Config(
    method="wa",
    backbone="one-layer",
    budget=10,
    increment=5,
    epochs=2,
    batch_size=64,
    lr=0.1,
    augment="none",
    threads=1,
)


class OneLayer(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(64 * channels, 8)

    def forward(self, images: Tensor) -> Tensor:
        return self.linear(images.flatten(1)).relu()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(BACKBONES, "one-layer", OneLayer)
    shutil.copytree(OLD, tmp_path / "run")
    return tmp_path / "run"


def test_a_checkpoint_of_an_earlier_version_goes_on_to_the_end(folder: Path) -> None:
    before = read_records(folder)
    records = run(CONFIG, folder, resume=True)
    assert records[: len(before)] == before
    assert [record.n_seen for record in stage_records(records)] == [5, 10]
    assert stage_records(records)[-1].facts["gamma"] > 0


def test_the_settings_of_an_earlier_version_are_compared_by_name(folder: Path) -> None:
    with pytest.raises(InputError, match=r"temperature is 2\.0 there, 3\.0 here"):
        run(Config(**{**vars(CONFIG), "temperature": 3.0}), folder, resume=True)
