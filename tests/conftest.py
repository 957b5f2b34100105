"""What the tests share: a tiny data set, a backbone of one layer, one thread."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import settings
from quick import QUICK
from torch import Tensor, nn

from cilkit.backbones import BACKBONES
from cilkit.config import Config
from cilkit.data.samples import DataSet, Samples, image_set
from cilkit.data.scenario import Scenario, build_scenario
from cilkit.experiment import run
from cilkit.heads import CilClassifier
from cilkit.learner import Learner
from cilkit.machine.seeds import seed_all
from cilkit.methods import METHODS
from cilkit.model import CilModel, Normalise
from cilkit.runs.records import Record

settings.register_profile("cilkit", deadline=None, derandomize=True, max_examples=60)
settings.load_profile("cilkit")

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), ""
)
needs_browser = pytest.mark.skipif(
    not BROWSER and not os.environ.get("CI"), reason="no Chromium to look with"
)
MakeModel = Callable[..., CilModel]
MakeLearner = Callable[..., Learner]
Finished = tuple[Path, list[Record]]
Herding = Callable[[Tensor, int], list[int]]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Tiny tensors leave nothing to share among threads, here and in what a test starts."""
    torch.set_num_threads(1)
    os.environ["OMP_NUM_THREADS"] = "1"  # as torchrun has it: several threads that wait use a core


class TinyBackbone(nn.Module):
    """Images (B, 3, 8, 8) -> features (B, 16), with the options that a method may ask for."""

    width = 16

    def __init__(self, last_relu: bool = True, shows_maps: bool = False) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * 8 * 8, self.width)
        self.last_relu, self.shows_maps = last_relu, shows_maps
        self.maps: tuple[Tensor, ...] = ()

    def forward(self, images: Tensor) -> Tensor:
        features = self.linear(images.flatten(1))
        features = features.relu() if self.last_relu else features
        if self.shows_maps:
            self.maps = (features.unflatten(1, (4, 2, 2)),)
        return features


def tiny() -> DataSet:
    """6 classes of 20 + 10 images, 3x8x8: noise around a prototype of each class."""
    generator = torch.Generator().manual_seed(0)
    prototypes = torch.randint(40, 216, (6, 3, 8, 8), generator=generator)

    def split(count: int) -> Samples:
        labels = torch.arange(6).repeat(count)
        noise = torch.randint(-40, 41, (len(labels), 3, 8, 8), generator=generator)
        return Samples.of((prototypes[labels] + noise).byte(), labels)

    return image_set("tiny", split(20), split(10), tuple("abcdef"))


def tiny_model(
    classifier: CilClassifier, dataset: DataSet, backbone: nn.Module | None = None
) -> CilModel:
    """Return a model of no classes yet; by default with a backbone of one layer."""
    seed_all(0)
    normalise = Normalise(dataset.mean, dataset.std)
    return CilModel(backbone or TinyBackbone(), classifier, normalise)


def tiny_learner(method: type[Learner], config: Config) -> Learner:
    """Return a new learner, with the classifier that its method has, and a tiny backbone."""
    seed_all(0)
    backbone = TinyBackbone(**method.backbone)
    classifier = method.classifier(TinyBackbone.width, config.head_bias)
    return method(tiny_model(classifier, tiny(), backbone), config)


# Three stages of two classes, two epochs each, and one of a second training, 12 exemplars.
SETTINGS: dict[str, Any] = {"augment": "none", "budget": 12, "tuning_epochs": 1}
TINY = Config(increment=2, epochs=2, batch_size=16, lr=0.02, **SETTINGS)


def same(some: Samples, others: Samples) -> bool:
    """Tell whether both hold the same images and labels in the same order."""
    return torch.equal(some.images(), others.images()) and torch.equal(some.labels, others.labels)


@pytest.fixture(scope="session")
def tiny_dataset() -> DataSet:
    """Return it."""
    return tiny()


@pytest.fixture
def tiny_config() -> Config:
    """Return the settings of the tiny runs."""
    return TINY


@pytest.fixture
def tiny_scenario(tiny_dataset: DataSet, tiny_config: Config) -> Scenario:
    """The tiny data set in three stages."""
    return build_scenario(tiny_dataset, tiny_config)


@pytest.fixture
def make_model(tiny_dataset: DataSet) -> MakeModel:
    """Return a function that builds a model; by default a tiny one of no classes yet."""

    def make(backbone: nn.Module | None = None, features: int = 16, bias: bool = False) -> CilModel:
        return tiny_model(CilClassifier(features, bias), tiny_dataset, backbone)

    return make


@pytest.fixture
def make_learner(tiny_config: Config) -> MakeLearner:
    """Return a function that builds the learner of a method, with settings of its own."""

    def make(method: str, **changes: Any) -> Learner:
        config = replace(tiny_config, method=method, **changes)
        return tiny_learner(METHODS[method], config)

    return make


@pytest.fixture
def all_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a run's settings name the tests' own methods, and the tiny backbone."""
    from doors import DOORS  # which imports this file

    monkeypatch.setitem(BACKBONES, "tiny", lambda channels: TinyBackbone())
    for name, door in DOORS.items():
        monkeypatch.setitem(METHODS, name, door)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """The quick run that nobody interrupted: its folder, to be read only, and its records."""
    out = tmp_path_factory.mktemp("finished")
    return out, run(QUICK, out)


@pytest.fixture(scope="session")
def algorithm_4() -> Herding:
    """Return iCaRL's Algorithm 4, read literally, in float64, each row at most once."""

    def choose(features: Tensor, m: int) -> list[int]:
        rows = features.double().numpy()
        chosen: list[int] = []
        for k in range(1, min(m, len(rows)) + 1):
            already = rows[chosen].sum(axis=0)
            distances = np.linalg.norm(rows.mean(axis=0) - (rows + already) / k, axis=1)
            distances[chosen] = np.inf
            chosen.append(int(distances.argmin()))
        return chosen

    return choose


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Return a Chromium, for the tests that look at pages."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        flags = ["--no-sandbox", "--disable-gpu"]
        chromium = playwright.chromium.launch(executable_path=BROWSER, args=flags)
        yield chromium
        chromium.close()


@pytest.fixture
def show(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page that holds some HTML, with a style and a script of ours."""
    pages = []

    def open_page(html: str, *, style: str = "", script: str = "", **options: Any) -> Any:
        pages.append(page := browser.new_page(**options))
        page.set_content(html)
        if style:
            page.add_style_tag(content=style)
        if script:
            page.add_script_tag(content=script)
        return page

    yield open_page
    for page in pages:
        page.close()
