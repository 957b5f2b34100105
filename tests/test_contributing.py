"""CONTRIBUTING.md: its examples run, and what it names is there."""

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import test_notebooks
import torch
import torch.nn.functional as F
import yaml
from conftest import MakeModel
from refresh import refresh

from cilkit.config import Config
from cilkit.data.datasets import DATASETS
from cilkit.data.scenario import Scenario
from cilkit.experiment import run
from cilkit.methods import METHODS
from cilkit.model import Seen
from cilkit.runs.records import Record, run_record, stage_records

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / ".github" / "CONTRIBUTING.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
SECTIONS = ["Add a method", "Add a data set", "Add a chapter"]


def examples(section: str) -> list[str]:
    """Return the code of a section of the guide, block after block."""
    text = GUIDE.split(f"## {section}\n")[1]  # the chapter's code has headings of its own
    text = re.split(r"^## (?:Add|Where) ", text, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^```python\n(.+?)^```$", text, re.MULTILINE | re.DOTALL)


def follow(section: str) -> dict[str, Any]:
    """Do what a section says; return the names that it defines."""
    names: dict[str, Any] = {"__name__": "example"}
    for block in examples(section):
        exec(compile(block, section, "exec", dont_inherit=True), names)
    return names


@pytest.fixture
def new_method(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """The guide's method is registered; its records."""
    monkeypatch.setitem(METHODS, "balanced", METHODS["replay"])  # taken out again afterwards
    return follow("Add a method")["records"]


def test_the_example_of_a_method_learns_two_stages(new_method: list[Record]) -> None:
    assert run_record(new_method).config["method"] == "balanced"
    assert [stage.n_seen for stage in stage_records(new_method)] == [5, 10]


def test_the_example_of_a_method_minimises_a_balanced_softmax(
    new_method: list[Record], make_model: MakeModel, tiny_config: Config, tiny_scenario: Scenario
) -> None:
    learner = METHODS["balanced"](make_model(), replace(tiny_config, method="balanced"))
    first, second, _ = tiny_scenario.stages
    learner.grow(first)
    learner.end(first)
    learner.grow(second)
    labels = learner.samples(second).labels  # 2 old classes of 6 exemplars, 2 new ones of 20 images
    logits = torch.randn(len(labels), 4, generator=torch.Generator().manual_seed(0))
    weighted = logits.exp() * torch.tensor([6, 6, 20, 20])
    chosen = weighted[torch.arange(len(labels)), labels] / weighted.sum(1)
    seen = Seen(torch.empty(0), logits, torch.empty(0))
    [loss] = learner.losses(seen, labels).values()
    torch.testing.assert_close(loss, -chosen.log().mean())
    assert loss != F.cross_entropy(logits, labels)


def test_the_example_of_a_method_goes_on_after_an_interruption(
    new_method: list[Record], tmp_path: Path
) -> None:
    config = Config(method="balanced", increment=5, epochs=1, budget=50)

    def interrupt(record: Record) -> None:
        if record.kind == "stage":
            raise InterruptedError

    with pytest.raises(InterruptedError):
        run(config, tmp_path, [interrupt])
    assert run(config, tmp_path, resume=True) == new_method


def test_the_example_of_a_data_set_is_learned_in_stages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DATASETS, "stripes", DATASETS["digits"])  # taken out again afterwards
    names = follow("Add a data set")
    assert run_record(names["records"]).class_names[:2] == ["0°", "22.5°"]
    assert [stage.n_seen for stage in stage_records(names["records"])] == [4, 8]
    dataset = DATASETS["stripes"](Config())
    assert dataset.train.labels.bincount().tolist() == [40] * 8
    assert dataset.test.labels.bincount().tolist() == [10] * 8


@pytest.fixture(scope="module")
def chapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide's chapter, run from top to bottom as its first step says."""
    folder = tmp_path_factory.mktemp("chapter")
    (folder / "book").mkdir()
    (folder / "book" / "01_setting.ipynb").write_bytes(test_notebooks.CHAPTERS[0].read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("CILKIT_STATIC", "1")
        patch.setenv("OMP_NUM_THREADS", "1")
        path = folder / follow("Add a chapter")["chapter"]
        refresh(path)
    return path


OF_CHAPTERS = [
    test_notebooks.test_a_chapter_has_all_its_parts_in_order,
    test_notebooks.test_a_chapter_says_what_it_gives_and_what_it_takes,
    test_notebooks.test_every_choice_of_the_two_questions_is_explained,
    test_notebooks.test_a_chapter_ends_with_three_sentences_to_remember,
    test_notebooks.test_claims_assert_and_solutions_are_checked,
    test_notebooks.test_a_chapter_shows_the_packages_own_code,
    test_notebooks.test_a_chapter_has_a_figure_that_recomputes_in_the_page_or_in_a_kernel,
    test_notebooks.test_a_notebook_is_committed_as_it_ran_from_top_to_bottom,
    test_notebooks.test_a_notebook_holds_no_error_and_no_stray_warning,
    test_notebooks.test_a_notebook_reads_well_where_only_plain_markdown_is_known,
    test_notebooks.test_a_notebook_needs_no_network_but_for_its_setup,
    test_notebooks.test_pictures_of_a_notebook_are_described,
]


@pytest.mark.parametrize("holds", OF_CHAPTERS, ids=lambda test: test.__name__)
def test_the_example_of_a_chapter_is_as_every_chapter(
    holds: Callable[[Path], None], chapter: Path
) -> None:
    holds(chapter)


@pytest.mark.parametrize("tag", ["setup", "claim", "exercise", "check", "solution"])
def test_the_example_of_a_chapter_has_the_cell_that_the_tag_names(tag: str, chapter: Path) -> None:
    assert test_notebooks.cells(chapter, "code", tag)


def test_the_example_of_a_chapter_does_not_give_its_solution_away(chapter: Path) -> None:
    [cell] = test_notebooks.cells(chapter, "code", "check")
    assert cell["outputs"][0]["data"]["text/plain"][0].startswith("Not yet")


@pytest.mark.parametrize("section", SECTIONS)
def test_the_example_of_a_file_has_the_packages_style(section: str) -> None:
    """The first block is a file of the package; a chapter's is a script, without docstrings."""
    loose = ["--extend-ignore", "D"] if section == "Add a chapter" else []
    words = ["ruff", "check", *loose, "--stdin-filename", str(ROOT / "cilkit" / "example.py"), "-"]
    done = subprocess.run(
        [sys.executable, "-m", *words],
        input=examples(section)[0],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stdout


def test_commands_that_the_guide_names_are_there() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"`make ([a-z]+)`", GUIDE))
    assert len(named) >= 5
    assert named - targets == set()


def test_files_that_the_guides_name_are_there() -> None:
    text = GUIDE + (ROOT / ".github" / "STYLE.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:book|cilkit|tests|\.ci|\.devcontainer)[\w./-]*)`", text))
    made = {"cilkit/methods/balanced.py", "cilkit/stripes.py"}
    assert len(named) >= 15
    assert [name for name in sorted(named - made) if not (ROOT / name).exists()] == []


def test_the_citation_names_the_version_and_the_address_of_the_package() -> None:
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cited["version"] == PROJECT["version"]
    assert cited["repository-code"] == PROJECT["urls"]["Source"]


def test_the_changelog_has_a_heading_for_the_version() -> None:
    text = (ROOT / "book" / "changelog.md").read_text(encoding="utf-8")
    assert f"\n## [{PROJECT['version']}]" in text


def test_the_devcontainer_sets_up_as_the_guide_does() -> None:
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert "make .venv/ready" in container["postCreateCommand"]
    assert "make .venv/ready" in GUIDE


@pytest.mark.parametrize("name", ["README.md", ".github/CONTRIBUTING.md", ".github/STYLE.md"])
def test_links_to_files_of_the_repository_lead_to_files(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    prose = "".join(re.split("^```", text, flags=re.MULTILINE)[::2])
    links = re.findall(r'\]\(([^)\s#]+)|src="([^"]+)"', prose)
    paths = [path for path in map("".join, links) if not path.startswith("http")]
    assert [path for path in paths if not (ROOT / name).parent.joinpath(path).exists()] == []


def test_the_top_holds_what_a_reader_looks_for_and_what_tools_look_for_there() -> None:
    tracked = subprocess.check_output(["git", "ls-files"], cwd=ROOT, text=True).splitlines()
    top = {path.split("/")[0] for path in tracked}
    seen = {name for name in top if not name.startswith(".")}
    assert seen - {"LICENSE", "CITATION.cff", "Makefile", "pyproject.toml"} == {
        *("README.md", "book", "cilkit", "tests", "_config.yml", "_toc.yml", "requirements.txt")
    }
