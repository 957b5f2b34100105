r"""A training of hours, by name: started, paused, resumed, told of; each of its epochs is saved.

    PYTHONPATH=tests python -m benchmarks.longrun start wa-seed0 --folder ~/long -- \
        --preset cifar100-b50-10 --method wa --seed 0 --precision bf16 --threads 2
    PYTHONPATH=tests python -m benchmarks.longrun pause wa-seed0 --folder ~/long

`pause` halts it where it is, so that something can be timed; `resume` lets it go on, also after the
machine was started again. The folder is all there is: keep it outside the work tree. What is lost
with it is the whole way so far; what is lost with the process is one epoch.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from cilkit import read_records
from cilkit.config import as_path
from cilkit.runs.records import EpochRecord, StageRecord
from cilkit.show.console import describe

LOWEST = "19"  # of priorities: it takes what others leave


def start(home: Path, options: list[str]) -> None:
    """Write down what to run, and run it."""
    home.mkdir(parents=True)
    (home / "options.json").write_text(json.dumps(options))
    go(home)


def resume(home: Path) -> None:
    """Let a paused run go on; begin a dead one where its last epoch ended."""
    if is_alive(home):
        os.killpg(pid_of(home), signal.SIGCONT)
    else:
        go(home)


def go(home: Path) -> None:
    """Run the command, in a session of its own: a terminal that closes does not take it along."""
    options = json.loads((home / "options.json").read_text())
    command = ["nice", "-n", LOWEST, sys.executable, "-m", "cilkit", "run", *options]
    with (home / "log").open("a") as log:
        process = subprocess.Popen(
            [*command, "--out", str(home / "run"), "--resume"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    (home / "pid").write_text(str(process.pid))


def pause(home: Path) -> None:
    """Halt it where it is."""
    os.killpg(pid_of(home), signal.SIGSTOP)


def stop(home: Path) -> None:
    """End it after the step it is at; `resume` goes on from there."""
    os.killpg(pid_of(home), signal.SIGCONT)
    os.killpg(pid_of(home), signal.SIGTERM)


def report(home: Path) -> None:
    """Print where it is, what it found so far, and how long an epoch takes."""
    records = read_records(home / "run")
    epochs = [record for record in records if isinstance(record, EpochRecord)]
    for record in records:
        if isinstance(record, StageRecord):
            print(describe(record))
    if epochs:
        last = epochs[-1]
        print(
            f"stage {last.stage}, epoch {last.epoch} of {last.epochs}, {last.seconds:.1f} s each; "
            f"{'alive' if is_alive(home) else 'not running'}"
        )


def pid_of(home: Path) -> int:
    """Return the process that was started last, and leads its group."""
    return int((home / "pid").read_text())


def is_alive(home: Path) -> bool:
    """Tell whether that process is still there, and no mere entry that nobody asked for (Z)."""
    command = ["ps", "-o", "stat=", "-p", str(pid_of(home))]
    state = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.startswith("Z")


ACTIONS = {"resume": resume, "pause": pause, "stop": stop, "report": report}


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.longrun",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("action", choices=["start", *ACTIONS])
    parser.add_argument("name", help="of the run")
    parser.add_argument("--folder", type=as_path, default=Path("runs/long"), help="of all runs")
    ours, options = sys.argv[1:], []
    if "--" in ours:
        ours, options = ours[: ours.index("--")], ours[ours.index("--") + 1 :]
    arguments = parser.parse_args(ours)
    home = arguments.folder / arguments.name
    if (arguments.action == "start") == home.exists():
        parser.error(f"{home} is {'taken' if home.exists() else 'not there'}")
    if arguments.action == "start":
        start(home, options)
    else:
        ACTIONS[arguments.action](home)


if __name__ == "__main__":
    main()
