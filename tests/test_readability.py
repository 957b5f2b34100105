"""The promises that the code makes to its readers."""

import ast
import io
import re
import subprocess
import sys
import tokenize
import tomllib
from pathlib import Path

import pytest

import cilkit
from cilkit import METHODS, Config
from cilkit.config import names_of

PACKAGE = Path(cilkit.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# What one reads to understand WA: the method and what it is made of, the loop, the formulas.
CORE = ["methods/replay.py", "methods/distilling.py", "methods/replay_kd.py"]
CORE += ["methods/wa.py", "loop.py", "functional.py"]


# From what a user calls down to what knows nothing else: rooms import from those behind them alone.
ROOMS = "cli teaching presets comparison trained features experiment methods loop inference state"
ROOMS += (
    " show metrics learner memory runs data model heads backbones progress machine config plan"
    " functional errors"
)


def rooms_of(path: Path) -> set[str]:
    """Return the rooms, wings or files at the top, that a module imports from."""
    nodes = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
    names = [f"{node.module}.{alias.name}".split(".") for node in nodes for alias in node.names]
    return {name[1] for name in names if name[0] == "cilkit"}


def test_every_room_imports_only_from_rooms_below_it() -> None:
    order = ROOMS.split()
    for path in FILES:
        room = path.relative_to(PACKAGE).with_suffix("").parts[0]
        if room not in ("__init__", "__main__"):
            above = {*order[: order.index(room)]}
            assert not rooms_of(path) & above, f"{path} imports from above"


def test_the_top_of_the_package_is_twenty_files() -> None:
    assert len(list(PACKAGE.glob("*.py"))) <= 20


def docstring_lines(tree: ast.AST) -> set[int]:
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(
            node
        ):
            first = node.body[0]
            lines |= set(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    return lines


def code_lines(path: Path) -> int:
    """Count the lines that hold code: no blanks, comments, docstrings, imports or settings."""
    source = path.read_text()
    tree = ast.parse(source)
    skipped = docstring_lines(tree)
    for node in ast.walk(tree):
        settings = isinstance(node, ast.ClassDef) and node.name == "Settings"
        if settings:
            skipped.add(node.lineno - 1)  # its decorator
        if settings or isinstance(node, ast.Import | ast.ImportFrom):
            skipped |= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    layout = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    layout |= {tokenize.ENDMARKER}
    counted: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in layout:
            counted |= set(range(token.start[0], token.end[0] + 1))
    return len(counted - skipped)


def test_the_core_reads_in_a_hundred_lines() -> None:
    assert sum(code_lines(PACKAGE / name) for name in CORE) <= 100


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_function_is_longer_than_25_lines(path: Path) -> None:
    tree = ast.parse(path.read_text())
    documented = docstring_lines(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            body = set(range(node.body[0].lineno, (node.end_lineno or 0) + 1)) - documented
            assert len(body) <= 25, f"{node.name} has {len(body)} lines"


def test_every_public_name_says_what_it_is() -> None:
    undocumented = [
        name
        for name in cilkit.__all__
        if callable(getattr(cilkit, name)) and not getattr(cilkit, name).__doc__
    ]
    assert undocumented == []


def test_the_method_option_names_every_method() -> None:
    above = (PACKAGE / "config.py").read_text().split("    method: str")[0]
    named = re.findall(r"[\w-]+", above.split('"""')[-1])
    assert {*METHODS} - {*named} == set()


def test_a_method_knows_no_optimizer_no_processes_and_no_output() -> None:
    for path in (PACKAGE / "methods").glob("*.py"):
        names = {
            node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)
        }
        assert not names & {"print", "open", "optimizer", "rank", "world_size", "distributed"}, path


def test_importing_cilkit_imports_nothing_slow() -> None:
    """continuum alone takes six seconds; timm, torchvision, scikit-learn, matplotlib one or two."""
    slow = ["continuum", "timm", "torchvision", "sklearn", "matplotlib", "tyro"]
    code = f"import sys, cilkit; print([name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_command_lines_help_needs_nothing_that_trains_or_draws() -> None:
    slow = ["continuum", "timm", "torchvision", "sklearn", "matplotlib", "torch._dynamo"]
    code = (
        "import sys; from cilkit.cli import parse\ntry: parse(['--help'])\nexcept SystemExit: pass"
    )
    code += f"\nprint('slow:', [name for name in {slow} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "slow: []"


def test_importing_cilkit_leaves_the_number_of_threads_alone() -> None:
    code = "import torch; before = torch.get_num_threads(); import cilkit"
    code += "; print(before == torch.get_num_threads())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "True"


def test_every_setting_is_read_somewhere() -> None:
    """A setting that nothing reads is a promise that nobody keeps; the tutorial had such ones."""
    read = set()
    for path in FILES:
        tree = ast.parse(path.read_text())
        read |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    settings = [Config, *(method.Settings for method in METHODS.values())]
    assert {name for each in settings for name in names_of(each)} - read == set()


def test_every_import_is_declared() -> None:
    """The tutorial's list of what it needs was incomplete."""
    declared = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())["project"]
    extras = declared["optional-dependencies"]
    names = [*declared["dependencies"], *extras["book"], *extras["onnx"]]
    known = {re.split(r"[<>=!]", name)[0].replace("-", "_") for name in names}
    known |= {"sklearn", "PIL", "cilkit", "IPython"}  # scikit-learn's, pillow's, ipywidgets'
    known |= set(sys.stdlib_module_names)
    imported = set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name.split(".")[0] for alias in node.names}
            if isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
    assert imported - known == set()


def test_the_config_is_frozen() -> None:
    with pytest.raises(AttributeError):
        # What mypy refuses is what the test wants refused at run time.
        Config().seed = 1  # type: ignore[misc]
