"""Damage a checkpoint in every way, and see that it is refused in a sentence and nothing is lost.

    python tests/damage.py --times 1000 --seed 0

Where the checkpoint before it is there, the run must go on from that one. The exit status is 1 if a
damaged checkpoint is taken for a whole one, or is met in any other way than these.
"""

import os
import pickle
import shutil
import signal
import sys
import warnings
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from traceback import extract_tb
from typing import Any

import torch
from quick import QUICK
from safetensors.torch import save_file

from cilkit import InputError, Learner, Record, Scenario, build, run
from cilkit.experiment import first_records, take_up
from cilkit.machine.stopping import Stopped, stoppable
from cilkit.runs.checkpoint import NEWEST, PREVIOUS, Checkpoint, load
from cilkit.runs.folder import find_run
from cilkit.runs.records import run_record

STOP_AFTER = 5  # records: in the second stage, so that there is a bit of everything
EXPLODED = "exploded"
Damage = Callable[[Path, Random], None]


def flip_a_bit(path: Path, chance: Random) -> None:
    content = bytearray(path.read_bytes())
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def flip_a_bit_of_the_header(path: Path, chance: Random) -> None:
    content = bytearray(path.read_bytes())
    header = 8 + int.from_bytes(content[:8], "little")
    content[chance.randrange(header)] ^= 1 << chance.randrange(8)
    path.write_bytes(content)


def cut_off(path: Path, chance: Random) -> None:
    os.truncate(path, chance.randrange(path.stat().st_size))


def empty(path: Path, chance: Random) -> None:
    os.truncate(path, 0)


def zero_a_stretch(path: Path, chance: Random) -> None:
    before = after = path.read_bytes()
    while after == before:  # what was zero is not damaged
        start, length = chance.randrange(len(before)), chance.randrange(1, 4096)
        gap = before[start : start + length]
        after = before[:start] + bytes(len(gap)) + before[start + length :]
    path.write_bytes(after)


def append_garbage(path: Path, chance: Random) -> None:
    with path.open("ab") as file:
        file.write(chance.randbytes(chance.randrange(1, 4096)))


def put_a_bomb(path: Path, chance: Random) -> None:
    bomb = Bomb(path.parent / EXPLODED)
    if chance.random() < 0.5:
        torch.save(bomb, path)
    else:
        path.write_bytes(pickle.dumps(bomb, protocol=chance.randrange(6)))


def put_other_tensors(path: Path, chance: Random) -> None:
    kind = chance.choice([torch.float32, torch.bfloat16, torch.int8, torch.bool])
    about = chance.choice([None, {"format": "pt"}, {"cilkit": "{}"}, {"sha256": ""}])
    save_file({"weight": torch.ones(chance.randrange(9), 3).to(kind)}, path, about)


def put_a_folder(path: Path, chance: Random) -> None:
    path.unlink()
    path.mkdir()


def forbid(path: Path, chance: Random) -> None:
    path.chmod(0)


DAMAGES: list[Damage] = [flip_a_bit, flip_a_bit_of_the_header, cut_off, empty, zero_a_stretch]
DAMAGES += [append_garbage, put_a_bomb, put_other_tensors, put_a_folder]
DAMAGES += [forbid] if os.geteuid() else []  # root may read everything


class Bomb:
    """Creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@dataclass
class Victim:
    """A run that was stopped in the middle of an epoch, and what becomes of it undisturbed."""

    folder: Path
    learner: Learner
    scenario: Scenario
    records: list[Record]

    def alone(self, damage: Damage, chance: Random, folder: Path) -> str:
        """Damage the only checkpoint; return what is wrong with the answer."""
        path = self.damaged(damage, chance, folder)
        before = picture(path)
        try:
            self.resume(folder)
        except InputError as error:
            problem = "" if one_sentence(error) else f"is refused with {str(error)!r}"
        except Exception as error:  # whatever is raised is the finding
            problem = f"raises {described(error)}"
        else:
            problem = "is taken for a whole one"
        if not problem and (picture(path) != before or (folder / EXPLODED).exists()):
            problem = "is touched"
        return problem

    def beside(self, damage: Damage, chance: Random, folder: Path) -> str:
        """Damage the newest of two checkpoints; return what is wrong with the answer."""
        shutil.copy(self.folder / PREVIOUS, prepared(folder) / PREVIOUS)
        self.damaged(damage, chance, folder)
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            try:
                found = self.resume(folder)
            except Exception as error:  # whatever is raised is the finding
                return f"beside a whole one raises {described(error)}"
        if found.numbers != load(self.folder / PREVIOUS).numbers:
            return "is preferred to the whole one before it"
        return "" if "damaged" in str([w.message for w in warned]) else "is skipped without a word"

    def to_the_end(self, damage: Damage, chance: Random, folder: Path) -> str:
        """Damage the newest of two checkpoints, let the run end; return what is wrong with it."""
        shutil.copy(self.folder / PREVIOUS, prepared(folder) / PREVIOUS)
        self.damaged(damage, chance, folder)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                records = run(QUICK, folder, resume=True)
            except Exception as error:  # whatever is raised is the finding
                return f"beside a whole one breaks the run off with {described(error)}"
        return "" if records == self.records else "changes the result of the run"

    def damaged(self, damage: Damage, chance: Random, folder: Path) -> Path:
        """Put a damaged copy of the newest checkpoint into `folder`."""
        path = prepared(folder) / NEWEST
        shutil.copy(self.folder / NEWEST, path)
        damage(path, chance)
        return path

    def resume(self, folder: Path) -> Checkpoint:
        """Do what `run` does before it starts to learn."""
        found = find_run(folder, QUICK, resume=True)
        assert found is not None
        first_records(run_record(self.records), found, None)
        take_up(deepcopy(self.learner), self.scenario, found)
        return found


def prepare(folder: Path, records: list[Record]) -> Victim:
    """Run until somebody stops it; `records` are those of a run to the end."""
    seen: list[Record] = []

    def stop(record: Record) -> None:
        seen.append(record)
        if len(seen) == STOP_AFTER:
            signal.raise_signal(signal.SIGTERM)

    try:
        with stoppable():
            run(QUICK, folder, [stop])
    except Stopped:
        return Victim(folder, *build(QUICK), records)
    raise AssertionError("the run took no notice of SIGTERM")


def prepared(folder: Path) -> Path:
    """Return the folder, which exists now."""
    folder.mkdir(exist_ok=True)
    return folder


def picture(path: Path) -> tuple[int, ...]:
    """Return what changes if anybody touches a file or folder."""
    state = path.stat()
    return state.st_ino, state.st_mode, state.st_size, state.st_mtime_ns


def one_sentence(error: Exception) -> bool:
    """Tell whether an error's message is one line that ends in words."""
    return "\n" not in str(error) and str(error)[-1:] not in ("", ":")


def described(error: Exception) -> str:
    """Return an error in a line, with the last place in cilkit that it came through."""
    places = [f"{Path(f.filename).name}:{f.lineno}" for f in extract_tb(error.__traceback__)]
    files = [place for place in places if (Path("cilkit") / place.split(":")[0]).exists()]
    reason = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__} ({reason[:90]}) at {(files or places)[-1]}"


def check(victim: Victim, times: int, runs: int, folder: Path, seed: int = 0) -> Counter[str]:
    """Damage a checkpoint so many times, `runs` of them with a whole run; count what went wrong."""
    chance, problems = Random(seed), Counter[str]()
    damages = [DAMAGES[number % len(DAMAGES)] for number in range(times)]
    tries = [(attempt, damage) for damage in damages for attempt in (victim.alone, victim.beside)]
    tries += [(victim.to_the_end, chance.choice(DAMAGES)) for _ in range(runs)]
    for number, (attempt, damage) in enumerate(tries):
        place = folder / str(number)
        if problem := attempt(damage, chance, place):
            problems[f"{damage.__name__}: {problem}"] += 1
        shutil.rmtree(place)
    return problems


def main() -> int:
    """Do what the command line says."""
    parser = ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--times", type=int, default=1000, help="damages")
    parser.add_argument("--runs", type=int, default=5, help="damages with a whole run after them")
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    with TemporaryDirectory() as folder:
        victim = prepare(Path(folder) / "victim", run(QUICK))
        problems = check(victim, words.times, words.runs, Path(folder), words.seed)
    for problem, count in problems.most_common():
        print(f"{count:5d} x {problem}")
    print(
        f"{words.times} damages of {len(DAMAGES)} kinds, each alone and beside the checkpoint "
        f"before it, and {words.runs} whole runs: {problems.total()} not met as they should be"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
