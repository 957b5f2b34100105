"""The command line: `cilkit run`, `cilkit compare`, `cilkit plot`.

`python -m cilkit` is the same, and so is `torchrun ... -m cilkit`. Settings are `Config`'s fields;
a preset gives them values, options change them.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from cilkit import distributed
from cilkit.config import Config
from cilkit.errors import InputError, lookup
from cilkit.observers import Console, Csv, TensorBoard
from cilkit.presets import PRESETS
from cilkit.run import Observer

Preset = Annotated[
    str, arg(help=f"the settings to start from: {', '.join(PRESETS)}", metavar="NAME")
]
DEFAULT_PRESET = "digits"
DESCRIPTION = f"""Learn classes one stage after another, and see what remains of the first ones.

Presets: {", ".join(PRESETS)}. Start with `cilkit compare --out runs/digits`."""


@dataclass
class Run:
    """Train one method through all stages; leave records, a checkpoint and figures in a folder."""

    config: OmitArgPrefixes[Config]
    out: Path  # the folder for the results
    preset: Preset = DEFAULT_PRESET
    resume: bool = False  # go on with the run that is in the folder
    csv: bool = False  # write tables too: epochs.csv and stages.csv
    tensorboard: bool = False  # write scalars for TensorBoard too

    def __call__(self) -> None:
        """Run, and draw."""
        from cilkit.run import check_out, run

        check_out(self.out, self.resume)
        observers: list[Observer] = [Console()]
        if distributed.is_main():
            observers += [Csv(self.out)] if self.csv else []
            observers += [TensorBoard(self.out)] if self.tensorboard else []
        run(self.config, self.out, observers, resume=self.resume)
        draw([self.out], self.out)


@dataclass
class Compare:
    """Train several methods on several seeds; leave summary.json, runs and figures in a folder."""

    config: OmitArgPrefixes[Config]
    out: Path  # the folder for the results
    methods: tuple[str, ...] = ("finetune", "replay", "replay-kd", "wa")  # what to compare
    seeds: tuple[int, ...] = (0, 1, 2)  # each method runs once with each
    preset: Preset = DEFAULT_PRESET
    resume: bool = False  # keep finished runs, go on with unfinished ones

    def __call__(self) -> None:
        """Compare, print the table, and draw."""
        from cilkit.compare import compare, table

        runs = compare(
            self.config, self.methods, self.seeds, self.out, [Console()], resume=self.resume
        )
        if distributed.is_main():
            print(table(runs))
        draw([self.out], self.out)


@dataclass
class Plot:
    """Draw the figures of finished or unfinished runs from their records."""

    folders: Positional[tuple[Path, ...]]  # runs, or folders of runs
    out: Path | None = None  # where the figures go; by default the first folder

    def __call__(self) -> None:
        """Draw."""
        draw(self.folders, self.out)


def draw(folders: Sequence[Path], out: Path | None) -> None:
    """Draw all figures in the main process, and say where they are."""
    if distributed.is_main():
        from cilkit.plot import plot

        for path in plot(folders, out):
            print(f"drew {path}")


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status, 2 for what the user must mend."""
    words = list(sys.argv[1:] if argv is None else argv)
    with distributed.processes():
        try:
            parse(words)()
        except InputError as error:
            if distributed.is_main():
                print(f"cilkit: error: {error}", file=sys.stderr)
            return 2
    return 0


def parse(words: list[str]) -> Run | Compare | Plot:
    """Return the command, with the preset's settings where no option changes them."""
    preset = preset_in(words)
    config: Any = lookup("preset", preset, PRESETS)
    run = Run(config, tyro.MISSING, preset)
    compare = Compare(config, tyro.MISSING, preset=preset)
    commands: Any = (
        Annotated[Run, subcommand("run", default=run)]
        | Annotated[Compare, subcommand("compare", default=compare)]
        | Annotated[Plot, subcommand("plot")]
    )
    command: Run | Compare | Plot = tyro.cli(
        commands,
        prog="cilkit",
        args=words,
        description=DESCRIPTION,
        console_outputs=distributed.is_main(),
    )
    return command


def preset_in(words: Sequence[str]) -> str:
    """Return the preset that the words ask for: it must be known before the rest is read."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        if word == "--preset":
            return after
        if word.startswith("--preset="):
            return word.removeprefix("--preset=")
    return DEFAULT_PRESET
