"""The notebooks: their parts, and their run in an environment that knows nothing of the package."""

import ast
import json
import os
import re
import site
import subprocess
import sys
import venv
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import pytest
from claims import BOOK, COUNTS, SHOWN, Counted, claims_of
from packaging.requirements import Requirement

from cilkit import PRESETS

ROOT = Path(__file__).parent.parent
CHAPTERS = sorted((ROOT / "book").glob("[01]*.ipynb"))
HOW_TO = sorted((ROOT / "book" / "howto").glob("*.ipynb"))
NOTEBOOKS = [*sorted((ROOT / "book").glob("*.ipynb")), *HOW_TO]
PARTS = ["See it", "The idea", "The mathematics", "The code", "Questions", "Exercise", "Remember"]
names = [path.stem for path in NOTEBOOKS]
chapter_names = [path.stem for path in CHAPTERS]


def cells(path: Path, kind: str, tag: str | None = None) -> list[dict[str, Any]]:
    """Return a notebook's cells of a kind, perhaps only those with a tag."""
    all_cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [
        cell
        for cell in all_cells
        if cell["cell_type"] == kind and (tag is None or tag in cell["metadata"].get("tags", []))
    ]


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def prose(path: Path) -> str:
    return "\n\n".join(source(cell) for cell in cells(path, "markdown"))


def test_there_are_ten_chapters() -> None:
    assert [path.name[:2] for path in CHAPTERS] == [f"{number:02}" for number in range(1, 11)]


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_a_chapter_has_all_its_parts_in_order(path: Path) -> None:
    headings = re.findall(r"^## (.+)$", prose(path), re.MULTILINE)
    assert [heading for heading in headings if heading in PARTS] == PARTS


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_a_chapter_says_what_it_gives_and_what_it_takes(path: Path) -> None:
    first = source(cells(path, "markdown")[0])
    for promise in ("**You will be able to**", "**Time**", "**You need**"):
        assert promise in first


def minutes(path: Path) -> float:
    """Return how long a chapter takes: 238 words a minute (Brysbaert, 2019), and our own rates."""
    text = re.sub(r'<div class="asked">.*?</div>|\$\$.*?\$\$', "", prose(path), flags=re.DOTALL)
    text = re.sub(r"\]\([^)]*\)|</?[a-z][^>]*>", " ", text)  # where links lead, and tags
    read = len(re.findall(r"[^\W\d_][\w'’-]*", text)) / 238
    shown = [c for c in cells(path, "code") if "hide-input" not in c["metadata"].get("tags", [])]
    read += sum(bool(line.strip()) for c in shown for line in c["source"]) / 30
    outputs = json.dumps([c["outputs"] for c in cells(path, "code")])
    looked = outputs.count("<figure ") + 0.5 * outputs.count('"image/')
    done = 5 * len(cells(path, "code", "exercise"))
    return read + looked + done + 1 + 1.5  # two questions, one exercise on paper


def stated(path: Path) -> int:
    return int(re.findall(r"\*\*Time\*\*: (\d+) minutes", prose(path))[0])


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_a_chapter_takes_no_longer_than_it_says(path: Path) -> None:
    assert minutes(path) <= stated(path) + 2.5


def test_the_first_five_chapters_take_two_hours() -> None:
    assert sum(map(minutes, CHAPTERS[:5])) <= 120
    assert sum(map(stated, CHAPTERS[:5])) <= 120


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_every_choice_of_the_two_questions_is_explained(path: Path) -> None:
    questions = prose(path).split("## Questions")[1].split("## Exercise")[0]
    choices = re.findall(r"<details><summary>[A-D]\. .+?</summary>\s*(\S+)", questions, re.DOTALL)
    assert len(re.findall(r"^\*\*\d\.", questions, re.MULTILINE)) == 2
    assert len(choices) >= 6
    assert {choice.rstrip(".,:;") for choice in choices} == {"Right", "No"}


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_a_chapter_leads_to_words_of_the_glossary_and_to_the_references(path: Path) -> None:
    assert prose(path).count("](glossary.md#term-") >= 2
    assert "](references.md)" in prose(path)


def right_letters(path: Path) -> str:
    """Return the letters of a chapter's right choices, in order."""
    return "".join(re.findall(r"<summary>([A-D])\. .+</summary>\nRight\b", prose(path)))


def test_no_letter_is_the_right_one_in_more_than_half_of_the_questions() -> None:
    letters = "".join(right_letters(path) for path in CHAPTERS)
    assert len(letters) == 2 * len(CHAPTERS)
    assert max(letters.count(letter) for letter in letters) <= len(letters) / 2


def test_no_two_letters_in_a_row_are_right_in_most_chapters() -> None:
    patterns = [right_letters(path) for path in CHAPTERS]
    assert max(patterns.count(pattern) for pattern in patterns) <= 3


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_a_chapter_ends_with_three_sentences_to_remember(path: Path) -> None:
    remember = prose(path).split("## Remember")[1]
    assert re.findall(r"^(\d)\. ", remember, re.MULTILINE) == ["1", "2", "3"]


@pytest.mark.parametrize("tag", ["setup", "claim", "exercise", "check", "solution"])
@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_a_chapter_has_the_cell_that_the_tag_names(path: Path, tag: str) -> None:
    assert cells(path, "code", tag)


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_claims_assert_and_solutions_are_checked(path: Path) -> None:
    assert all("assert" in source(cell) for cell in cells(path, "code", "claim"))
    assert all("check(" in source(cell) for cell in cells(path, "code", "solution"))


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_a_chapter_shows_the_packages_own_code(path: Path) -> None:
    assert any(re.search(r"^source\(", source(cell), re.MULTILINE) for cell in cells(path, "code"))


@pytest.mark.parametrize("path", CHAPTERS, ids=chapter_names)
def test_a_chapter_has_a_figure_that_recomputes_in_the_page_or_in_a_kernel(path: Path) -> None:
    outputs = "".join(json.dumps(cell["outputs"]) for cell in cells(path, "code"))
    assert "cil-figure" in outputs
    explored = any("explore(" in source(cell) for cell in cells(path, "code"))
    assert explored or "cil-alive" in outputs


def test_the_setup_cells_are_one_and_the_same() -> None:
    setups = {source(cell) for path in NOTEBOOKS for cell in cells(path, "code", "setup")}
    assert len(setups) == 1


def run_setup(before: str = "", after: str = "") -> str:
    """Run the setup cell by itself, between two lines of ours; return what is said."""
    code = "\n".join([before, source(cells(NOTEBOOKS[0], "code", "setup")[0]), after])
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return done.stdout + done.stderr


def test_the_setup_says_nothing_where_the_package_is_there() -> None:
    assert run_setup() == ""


@pytest.mark.parametrize(("gpu", "found"), [(False, "No GPU is here"), (True, "A GPU is here")])
def test_in_colab_the_setup_says_in_one_line_what_a_gpu_changes(gpu: bool, found: str) -> None:
    colab = (
        "import importlib.util, os.path, subprocess\n"
        "importlib.util.find_spec = lambda name: None\n"
        "subprocess.check_call = lambda words: None\n"
        f"os.path.exists = lambda path: {gpu}\n"
    )
    rest = "which changes nothing: the experiments are small and run on the CPU.\n"
    assert run_setup(before=colab) == f"{found}, {rest}"


def test_after_the_setup_no_notebook_sees_a_gpu() -> None:
    """Some cells mix the network's tensors with their own, which are on the CPU."""
    before = "import os; os.environ['CUDA_VISIBLE_DEVICES'] = '0'"
    assert run_setup(before, "print(repr(os.environ['CUDA_VISIBLE_DEVICES']))") == "''\n"


def test_nothing_that_the_package_needs_moves_a_torch_that_is_there() -> None:
    """All that cilkit and its dependencies ask of torch is to be new enough."""
    bounds, known, todo = {}, set(), ["cilkit"]
    while todo:
        name = todo.pop()
        known.add(name)
        for text in requires(name) or []:
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                if needed.name in ("torch", "torchvision"):
                    bounds[name, needed.name] = {each.operator for each in needed.specifier}
                elif needed.name.lower() not in known:
                    todo.append(needed.name.lower())
    assert {("cilkit", "torch"), ("timm", "torchvision"), ("continuum", "torch")} <= set(bounds)
    assert {who: how for who, how in bounds.items() if not how <= {">=", ">"}} == {}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_a_notebook_is_committed_as_it_ran_from_top_to_bottom(path: Path) -> None:
    counts = [cell["execution_count"] for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_a_notebook_holds_no_error_and_no_stray_warning(path: Path) -> None:
    outputs = [output for cell in cells(path, "code") for output in cell["outputs"]]
    assert [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_a_notebook_holds_no_widget_for_which_a_page_would_ask_another_server(path: Path) -> None:
    assert "widgets" not in json.loads(path.read_text(encoding="utf-8"))["metadata"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_a_notebook_reads_well_where_only_plain_markdown_is_known(path: Path) -> None:
    assert re.findall(r"\{[a-z:]+\}`|^```\{|^:::", prose(path), re.MULTILINE) == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_a_notebook_needs_no_network_but_for_its_setup(path: Path) -> None:
    rest = [c for c in cells(path, "code") if "setup" not in c["metadata"].get("tags", [])]
    assert [source(cell) for cell in rest if "http" in source(cell)] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_pictures_of_a_notebook_are_described(path: Path) -> None:
    for cell in cells(path, "code"):
        if any("image/png" in output.get("data", {}) for output in cell["outputs"]):
            assert len(cell["metadata"]["mystnb"]["image"]["alt"]) > 20


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_a_run_of_the_digits_names_the_seed_of_all_pages_or_none(path: Path) -> None:
    code = "\n".join(source(cell) for cell in cells(path, "code"))
    assert set(re.findall(r'PRESETS\["digits"\].*\bseed=(\d+)', code)) <= {"30"}


def test_chapter_5_says_how_strong_the_weight_decay_is_before_the_first_run() -> None:
    assert PRESETS["digits"].weight_decay == pytest.approx(20 * 5e-4)
    see_it = prose(ROOT / "book" / "05_alignment.ipynb").split("## The idea")[0]
    assert "twenty times the usual" in see_it


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_adds_the_distillation_as_chapter_6_says(name: str) -> None:
    preset = PRESETS[name]
    assert preset.kd_mix == "additive"
    if "tuned" not in name:
        factor = preset.temperature**2 if preset.kd_t_squared else 1
        assert preset.kd_weight == 2 / factor


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the Python of a fresh environment that has torch and the rest, as Colab, but not us.

    A `.pth` line shows it our packages without running the hook that finds cilkit itself; torch's
    own program lies beside it.
    """
    home = tmp_path_factory.mktemp("stranger")
    venv.create(home, with_pip=True)
    [packages] = home.glob("lib/python*/site-packages")
    (packages / "colab.pth").write_text("\n".join(site.getsitepackages()))
    python, torchrun = home / "bin" / "python", home / "bin" / "torchrun"
    torchrun.write_text(f"#!{python}\nfrom torch.distributed.run import main\nmain()\n")
    torchrun.chmod(0o755)
    return python


SOME = [path for path in NOTEBOOKS if path.stem in ("index", "05_alignment")]


@pytest.mark.slow
@pytest.mark.parametrize(
    "notebooks", [SOME, pytest.param(NOTEBOOKS, marks=pytest.mark.weekly)], ids=["some", "all"]
)
def test_notebooks_run_alone_in_an_environment_without_the_package(
    notebooks: list[Path], stranger: Path, tmp_path: Path
) -> None:
    """As in Colab: each in an empty folder, installed by its own setup cell from git; by nbval."""
    for path in notebooks:
        (tmp_path / path.stem).mkdir()
        (tmp_path / path.stem / path.name).write_bytes(path.read_bytes())
    shallow = ["git", "rev-parse", "--is-shallow-repository"]
    if subprocess.check_output(shallow, cwd=ROOT, text=True).strip() == "true":
        pytest.fail("pip cannot clone a shallow checkout; run: git fetch --unshallow")
    commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=ROOT, text=True).strip()
    environment = os.environ | {
        "CILKIT_SOURCE": f"git+{ROOT.as_uri()}@{commit}",
        "CILKIT_STATIC": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": "",
    }
    setup = source(cells(NOTEBOOKS[1], "code", "setup")[0])
    subprocess.run([stranger, "-c", setup], env=environment, cwd=tmp_path, check=True, timeout=300)
    words = "-m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=300 -q -n 2"
    done = subprocess.run(
        [stranger, *words.split(), "--dist", "loadscope", "-p", "no:cacheprovider", "."],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=2400,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    where = "import cilkit; print(cilkit.__file__)"
    found = subprocess.check_output([stranger, "-c", where], cwd=tmp_path, text=True)
    assert str(ROOT) not in found, "it was our own checkout that was tested"
    assert sys.executable != str(stranger)


COUNTED = json.loads(COUNTS.read_text())


def test_all_claims_of_notebooks_with_a_seed_are_counted() -> None:
    with_seeds = {p.stem for p in NOTEBOOKS if claims_of(p) and SHOWN in p.read_text("utf-8")}
    assert with_seeds <= set(COUNTED), "count them: make claims"


@pytest.mark.parametrize("path", [BOOK / f"{name}.ipynb" for name in COUNTED], ids=list(COUNTED))
def test_each_claim_was_counted_as_it_stands_and_held_on_19_of_20_seeds(path: Path) -> None:
    counted = COUNTED[path.stem]["claims"]
    assert set(counted) == set(claims_of(path)), "count again: python book/tools/claims.py"
    tried = 20 if SHOWN in path.read_text("utf-8") else 1
    for text, seeds in counted.items():
        assert len(seeds["held"]) + len(seeds["failed"]) == tried
        assert len(seeds["held"]) >= 0.95 * tried, text


def test_a_claim_that_fails_once_in_a_loop_is_counted_as_failed() -> None:
    heard = []
    tree = Counted().visit(ast.parse("for n in (1, 2, 3):\n    assert n != 2, 'never two'"))
    code = compile(ast.fix_missing_locations(tree), "cell", "exec")
    exec(code, {"claim": lambda text, test: heard.append((text, test))})
    text = "assert n != 2, 'never two'"
    assert heard == [(text, True), (text, False), (text, True)]
