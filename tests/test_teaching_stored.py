"""The stored results travel with the package: in Colab there is nothing else."""

import tomllib
from pathlib import Path

import pytest

import cilkit
from cilkit import InputError
from cilkit.teaching import stored
from cilkit.teaching.stored import RESULTS

PACKAGE = Path(cilkit.__file__).parent


def test_an_installed_package_holds_every_stored_record_and_feature() -> None:
    project = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text())
    globs = project["tool"]["setuptools"]["package-data"]["cilkit"]
    installed = {path for glob in globs for path in PACKAGE.glob(glob)}
    records = set(RESULTS.rglob("records.jsonl"))
    assert records
    assert records | set(RESULTS.rglob("*.npz")) <= installed


def test_an_unknown_result_is_answered_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="digits"):
        stored("digit")
