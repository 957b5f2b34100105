"""What chapters 2 to 5 teach holds where the reader trains: ten seeds in a browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import needs_browser
from numpy.typing import NDArray

from cilkit.teaching import laboratory
from cilkit.teaching.lab.laboratory import ladder

pytestmark = [pytest.mark.slow, needs_browser]
SEEDS = range(10)
Runs = dict[str, NDArray[np.float64]]
ASKED: dict[str, dict[str, Any]] = {
    "finetune": {"method": "finetune"},
    "lwf": {"method": "lwf"},
    "replay": {"method": "replay"},
    "replay-kd": {"method": "replay-kd"},
    "wa": {},
    "replay-kd, usual weight decay": {"method": "replay-kd", "wd": 5e-4},
    "wa, usual weight decay": {"wd": 5e-4},
    "wa, 10 exemplars": {"budget": 10},
    "wa, 200 exemplars": {"budget": 200},
}
# Seeds side by side: what the last stage ends with, and what its alignment found.
WHOLE = """async (options) => {
    const run = await cilkitLab.run(options);
    return [run.accuracy.at(-1), run.before.at(-1)];
}"""


@pytest.fixture(scope="module")
def runs(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """Return accuracy after and before the last alignment, (seeds, 2), of each kind of run."""
    path: Path = tmp_path_factory.mktemp("lab") / "lab.html"
    html = f"<!DOCTYPE html><meta charset='utf-8'><body>{laboratory()._repr_html_()}</body>"
    path.write_text(html, encoding="utf-8")
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.set_default_timeout(600_000)
    page.goto(path.as_uri())
    yield {
        name: np.array([page.evaluate(WHOLE, options | {"seed": seed}) for seed in SEEDS])
        for name, options in ASKED.items()
    }
    context.close()


def last(runs: Runs, name: str) -> NDArray[np.float64]:
    return runs[name][:, 0]


def test_fine_tuning_keeps_the_last_digits_alone(runs: Runs) -> None:
    assert last(runs, "finetune").max() < 25


def test_exemplars_come_before_a_teacher(runs: Runs) -> None:
    assert (last(runs, "replay") > last(runs, "lwf") + 10).all()
    assert (last(runs, "lwf") > last(runs, "finetune")).sum() >= 9


def test_each_step_of_the_ladder_helps(runs: Runs) -> None:
    assert (last(runs, "wa") > last(runs, "replay")).sum() >= 9
    means = [last(runs, name).mean() for name in ("finetune", "replay", "replay-kd", "wa")]
    assert (np.diff(means) > 1).all()


def test_alignment_helps_at_the_pages_own_weight_decay(runs: Runs) -> None:
    gains = runs["wa"][:, 0] - runs["wa"][:, 1]
    assert gains.mean() > 2
    assert (gains > 2).sum() >= 9


def test_alignment_harms_at_the_usual_weight_decay(runs: Runs) -> None:
    harm = last(runs, "replay-kd, usual weight decay") - last(runs, "wa, usual weight decay")
    assert harm.mean() > 10
    assert (harm > 0).sum() >= 8


def test_more_exemplars_are_better(runs: Runs) -> None:
    few, some, many = (last(runs, n) for n in ("wa, 10 exemplars", "wa", "wa, 200 exemplars"))
    assert (some > few + 10).all()
    assert (many > some).sum() >= 9


@pytest.mark.parametrize("method", ["lwf", "replay-kd", "wa"])
def test_ten_seeds_in_a_browser_and_in_python_agree(method: str) -> None:
    """The means of both differ by no more than chance would have it: three standard errors."""
    here, there = (np.array(ladder()[method][where]) for where in ("browser", "python"))
    error = np.sqrt((here.var(ddof=1) + there.var(ddof=1)) / len(here))
    assert abs(here.mean() - there.mean()) < 3 * error


@pytest.mark.parametrize("method", list(ladder()))
def test_the_stored_table_is_what_the_browser_gives(method: str, runs: Runs) -> None:
    np.testing.assert_allclose(
        last(runs, method).mean(), np.mean(ladder()[method]["browser"]), atol=1
    )
