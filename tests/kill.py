"""Kill runs at random moments, resume them, and see that nothing differs in the end.

    python tests/kill.py --times 100 --processes 1 2 --seed 0

The exit status is 1 if a run that was killed ends in any way unlike one that was left alone.
"""

import sys
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import wait
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter, sleep

import torch
from quick import QUICK
from trouble import Process, finish, start, warm_up

from cilkit import read_records, run
from cilkit.machine.processes import processes
from cilkit.machine.stopping import stoppable
from cilkit.runs.checkpoint import NEWEST, Checkpoint, load

PLACES = ("before the first checkpoint", "in an epoch", "while saving", "after the end")
AGAIN = 0.4  # the chance that a run is killed once more before it may end


def work(out: Path, method: str) -> None:
    """Do what `cilkit run --resume` does, in one of the processes."""
    with processes(), stoppable():
        run(replace(QUICK, method=method), out, resume=True)


@dataclass
class Killer:
    """Kills runs of `size` processes, and compares how they end with one that was left alone."""

    size: int
    folder: Path
    chance: Random
    method: str = QUICK.method
    places: Counter[str] = field(default_factory=Counter)  # where runs were killed

    def __post_init__(self) -> None:
        """Leave one run alone."""
        warm_up()
        self.alone = self.folder / "alone"
        began = perf_counter()
        if any(finish(self.start(self.alone))):
            raise SystemExit(log_of(self.alone).read_text())
        self.length = records_in(self.alone)
        self.pace = (perf_counter() - began) / self.length

    def start(self, out: Path) -> list[Process]:
        """Start, or resume, the run in `out`."""
        return start(work, out, self.method, size=self.size, log=log_of(out))

    def difference(self, number: int) -> str:
        """Kill a run once or more, let it end; say how it differs from the one left alone."""
        out = self.folder / f"run{number}"
        place = self.kill(out)
        while place != PLACES[-1] and self.chance.random() < AGAIN:
            place = self.kill(out)
        statuses = finish(self.start(out))
        if any(statuses):
            return f"{out} ended with {statuses}: {log_of(out).read_text()}"
        return compare(out, self.alone)

    def kill(self, out: Path) -> str:
        """Start the run in `out`, kill it at a random moment; return where that was."""
        left_over = unfinished(out)
        ranks = self.start(out)
        self.let_run(out, ranks)
        victim = self.chance.choice(ranks)
        victim.kill()
        statuses = end_others(ranks, victim)
        place = place_of(out, left_over, ended=not any(statuses))
        self.places[place] += 1
        return place

    def let_run(self, out: Path, ranks: Sequence[Process]) -> None:
        """Wait until a random moment: for some record, and then for a part of the next ones.

        A clock alone would be late more often than not on a machine that is busy now and then.
        """
        record = self.chance.randint(records_in(out), self.length)
        while records_in(out) < record and all(process.is_alive() for process in ranks):
            sleep(0.01)
        wait([process.sentinel for process in ranks], self.chance.uniform(0, 2 * self.pace))


def end_others(ranks: Sequence[Process], victim: Process) -> list[int | None]:
    """End the processes that are left as torchrun does; return all exit statuses."""
    victim.join()
    for process in ranks:
        if victim.exitcode:
            process.terminate()
    return finish(ranks, patience=30)


def place_of(out: Path, left_over: int | None, ended: bool) -> str:
    """Tell from what a killed run left behind where it was."""
    before, inside, saving, after = PLACES
    if ended:
        return after
    if unfinished(out) not in (None, left_over):
        return saving
    return inside if (out / NEWEST).exists() else before


def records_in(out: Path) -> int:
    """Return how many records a run has left so far."""
    file = out / "records.jsonl"
    return file.read_bytes().count(b"\n") if file.exists() else 0


def unfinished(out: Path) -> int | None:
    """Return when an unfinished checkpoint was last written to, None where there is none."""
    path = out / "checkpoint.unfinished"
    return path.stat().st_mtime_ns if path.exists() else None


def compare(out: Path, alone: Path) -> str:
    """Say how two runs' results differ; '' if they do not, to the last bit."""
    if read_records(out) != read_records(alone):
        return f"{out} has other records than {alone}"
    mine, theirs = load(out / NEWEST), load(alone / NEWEST)
    return "" if same(mine, theirs) else f"{out} ends in another state than {alone}"


def same(a: Checkpoint, b: Checkpoint) -> bool:
    """Tell whether two checkpoints hold the same."""
    return (a.numbers, a.records, a.tensors.keys()) == (
        b.numbers,
        b.records,
        b.tensors.keys(),
    ) and all(torch.equal(tensor, b.tensors[name]) for name, tensor in a.tensors.items())


def log_of(out: Path) -> Path:
    """Return the file that holds what the processes of a run printed."""
    return out.with_suffix(".log")


def check(
    times: int, size: int, folder: Path, seed: int = 0, method: str = QUICK.method
) -> list[str]:
    """Kill and resume so many runs of `size` processes; print a summary, return what differs."""
    killer = Killer(size, folder, Random(seed), method)
    differences = [text for number in range(times) if (text := killer.difference(number))]
    places = ", ".join(f"{killer.places[place]} {place}" for place in PLACES)
    print(
        f"{size} process(es): {times} runs, {killer.places.total()} kills ({places}): "
        f"{len(differences)} ended unlike the run left alone",
        flush=True,
    )
    return differences


def main() -> int:
    """Do what the command line says."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=100, help="runs to kill, of each size")
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2], help="sizes of a run")
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    differences = []
    for size in words.processes:
        with TemporaryDirectory() as folder:
            differences += check(words.times, size, Path(folder), words.seed)
    print(*differences, sep="\n")
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
