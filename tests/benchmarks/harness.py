"""Measuring side by side: interleaved rounds, medians, wall time beside CPU time, one table."""

import resource
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from cilkit.runs.provenance import machine, versions

Clock = Callable[[], float]


def cpu_time() -> float:
    """Return the CPU seconds of this process, all its threads, and its children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@dataclass(frozen=True)
class Timing:
    """Seconds that one call takes: the median over the rounds."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Row:
    """One line of the table: two figures of the same run, and what their ratio should be.

    `ratio` is the figure that the goal speaks of, by CPU time where there is one; `by_wall` is the
    same by wall time. `better` says which side of `goal` is wanted: ">=" or "<=". Without a goal
    the row informs.
    """

    name: str
    ours: str
    peer: str
    ratio: float
    goal: float | None = None
    better: str = ">="
    by_wall: float | None = None

    @property
    def reached(self) -> str:
        """Return "yes", "no", or nothing where there is no goal."""
        if self.goal is None:
            return ""
        met = self.ratio >= self.goal if self.better == ">=" else self.ratio <= self.goal
        return "yes" if met else "no"


def interleaved(
    contenders: Mapping[str, Callable[[], object]],
    rounds: int = 5,
    warm_up: int = 1,
    wall_clock: Clock = time.perf_counter,
    cpu_clock: Clock = cpu_time,
) -> dict[str, Timing]:
    """Call every contender once per round, and return the medians over the rounds.

    What else the machine does meets all of them alike; `warm_up` first rounds are not counted.
    """
    samples: dict[str, list[Timing]] = {name: [] for name in contenders}
    for _ in range(warm_up + rounds):
        for name, contender in contenders.items():
            samples[name].append(_timed(contender, wall_clock, cpu_clock))
    return {name: _median(timings[warm_up:]) for name, timings in samples.items()}


def _timed(contender: Callable[[], object], wall_clock: Clock, cpu_clock: Clock) -> Timing:
    wall, cpu = wall_clock(), cpu_clock()
    contender()
    return Timing(wall_clock() - wall, cpu_clock() - cpu)


def _median(timings: list[Timing]) -> Timing:
    return Timing(median(t.wall for t in timings), median(t.cpu for t in timings))


def per(time: Timing, count: float) -> Timing:
    """Return the time of one of `count` equal parts; a count below 1 makes a longer whole."""
    return Timing(time.wall / count, time.cpu / count)


def less_time(
    name: str, ours: Timing, peer: Timing, goal: float | None = None, unit: float = 1.0
) -> Row:
    """Return the row that says how many times less time `ours` takes than `peer`.

    `unit` is how many things one call does: times are given for one of them.
    """
    return Row(
        name,
        seconds(ours.cpu / unit),
        seconds(peer.cpu / unit),
        peer.cpu / ours.cpu,
        goal,
        by_wall=peer.wall / ours.wall,
    )


def seconds(value: float) -> str:
    """Return a time to read: 12 µs, 3.4 ms, 5.6 s."""
    for scale, name in ((1.0, "s"), (1e-3, "ms")):
        if value >= scale:
            return f"{value / scale:.3g} {name}"
    return f"{value / 1e-6:.3g} µs"


def print_table(rows: Iterable[Row]) -> None:
    """Print the rows under each other, and what they were measured with."""
    heads = ("", "ours", "peer", "ratio", "by wall", "goal", "reached")
    lines = [heads, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    for line in lines:
        cells = [cell.rjust(width) for cell, width in zip(line, widths, strict=True)]
        print("  ".join([line[0].ljust(widths[0]), *cells[1:]]).rstrip())
    print("\n" + provenance())


def _cells(row: Row) -> tuple[str, ...]:
    by_wall = "" if row.by_wall is None else f"{row.by_wall:.3g}"
    goal = "" if row.goal is None else f"{row.better} {row.goal:g}"
    return (row.name, row.ours, row.peer, f"{row.ratio:.3g}", by_wall, goal, row.reached)


def provenance() -> str:
    """Return the machine, the threads, the versions and the commit, in words."""
    here, made_with = machine(), versions()
    commit = made_with.pop("commit")
    return (
        f"{here['platform']}, {here['cpus']} CPUs, {here['threads']} torch threads unless a row "
        f"says otherwise, GPU: {here['gpu'] or 'none'}\n"
        f"{', '.join(f'{name} {version}' for name, version in made_with.items())}\n"
        f"commit {commit}\n"
        "Medians of interleaved rounds, in CPU time unless a row says otherwise."
    )
