"""The stored results: records of whole experiments, with their command, versions and machine."""

from pathlib import Path

from cilkit.errors import lookup
from cilkit.runs.records import read_records
from cilkit.show.layout import Runs

RESULTS = Path(__file__).parents[1] / "results"  # in the package: Colab has no more


def stored(name: str) -> Runs:
    """Return the runs of a stored experiment by method: `stored("digits")["wa"]` has ten runs.

    Raises `InputError` for an unknown name, with the names there are.
    """
    folders = {path.name: path for path in RESULTS.iterdir() if path.is_dir()}
    return by_method(lookup("stored result", name, folders))


def by_method(folder: Path) -> Runs:
    """Return the records of `cilkit compare`'s folder, by method, in the order of seeds."""
    runs: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*-seed*")):
        runs.setdefault(path.name.rsplit("-seed", 1)[0], []).append(path)
    return {method: [read_records(path) for path in paths] for method, paths in runs.items()}
