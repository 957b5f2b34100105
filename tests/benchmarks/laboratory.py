"""The laboratory in a browser: how fast it trains, and what ten seeds give there and in Python.

`make bench NAMES=laboratory` times a whole WA run (980 steps) in Chromium, on the page's own
thread so that its CPU time can be told from what else the machine does, and how long after *Train*
the first bar moves. `PYTHONPATH=tests python -m benchmarks.laboratory` makes the record that the
page's table shows, `cilkit/teaching/lab/ladder.json`: five methods, ten seeds, in both.
"""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness import Row, seconds
from cilkit import PRESETS, Config, StageRecord, run
from cilkit.metrics import accuracy
from cilkit.runs.provenance import versions
from cilkit.teaching import laboratory

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
METHODS = ("finetune", "lwf", "replay", "replay-kd", "wa")
SEEDS = range(10)
# The page's own settings; those of the preset are the chapters'.
LABORATORY = replace(
    PRESETS["digits"],
    backbone="mlp",
    augment="none",
    budget=50,
    epochs=20,
    lr=0.1,
    weight_decay=1e-2,
)
RECORD = Path(__file__).parents[2] / "cilkit" / "teaching" / "lab" / "ladder.json"
WHOLE_RUN = "(seed) => { cilkitLab.engine.run(cilkitLab.data, { seed }); }"
FIRST_BAR = """() => new Promise((done) => {
    const start = performance.now(), picture = document.querySelector(".lab-panel svg");
    new MutationObserver(() => {
        if (picture.querySelector("rect")) done(performance.now() - start);
    }).observe(picture, { childList: true });
    document.querySelector(".lab-train").click();
})"""


@contextmanager
def opened() -> Iterator[Any]:
    """Open the laboratory from the disk, with no network."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        path = Path(folder) / "lab.html"
        html = f"<!DOCTYPE html><meta charset='utf-8'><body>{laboratory()._repr_html_()}</body>"
        path.write_text(html, encoding="utf-8")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        page = browser.new_context(offline=True).new_page()
        page.set_default_timeout(600_000)
        page.goto(path.as_uri())
        yield page
        browser.close()


def main(rounds: int = 5) -> list[Row]:
    """Time whole runs by CPU and by the clock, and the wait for the first bar."""
    with opened() as page:
        tools = page.context.new_cdp_session(page)
        tools.send("Performance.enable", {"timeDomain": "threadTicks"})
        cpu, wall = [], []
        for seed in range(rounds + 1):  # the first one compiles, and is not counted
            before, start = cpu_seconds(tools), page.evaluate("performance.now()")
            page.evaluate(WHOLE_RUN, seed)
            cpu.append(cpu_seconds(tools) - before)
            wall.append((page.evaluate("performance.now()") - start) / 1000)
        first = page.evaluate(FIRST_BAR) / 1000
    ours, by_clock = median(cpu[1:]), median(wall[1:])
    return [
        Row("laboratory: a WA run", seconds(ours), "2 s", ours / 2, 1, "<=", by_clock / 2),
        Row("laboratory: Train to the first bar", seconds(first), "100 ms", first / 0.1, 1, "<="),
    ]


def cpu_seconds(tools: Any) -> float:
    """Return the CPU time that the page's thread has spent on tasks."""
    metrics = tools.send("Performance.getMetrics")["metrics"]
    return float(next(m["value"] for m in metrics if m["name"] == "TaskDuration"))


def in_browser(page: Any, method: str) -> list[float]:
    """Return the accuracy after the last stage, for each seed."""
    call = "(options) => cilkitLab.run(options).then((run) => run.accuracy.at(-1))"
    return [round(page.evaluate(call, {"method": method, "seed": seed}), 3) for seed in SEEDS]


def in_python(config: Config) -> list[float]:
    """Return the same by the package."""
    found = []
    for seed in SEEDS:
        stages = [r for r in run(replace(config, seed=seed)) if isinstance(r, StageRecord)]
        found.append(round(accuracy(stages[-1].after.confusion), 3))
    return found


def record() -> None:
    """Write what ten seeds give."""
    with opened() as page:
        browser = {method: in_browser(page, method) for method in METHODS}
        name = page.context.browser.version
    python = {method: in_python(replace(LABORATORY, method=method)) for method in METHODS}
    last = {method: {"browser": browser[method], "python": python[method]} for method in METHODS}
    content = {"made_with": versions() | {"chromium": name}, "last": last}
    RECORD.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    record()
