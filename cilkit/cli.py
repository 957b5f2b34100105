"""The command line: `cilkit run`, `compare`, `extend`, `predict`, `export`, `plot`, ...

`python -m cilkit` is the same, and so is `torchrun ... -m cilkit`. Settings are `Config`'s fields;
a preset gives them values, options change them.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import reduce
from itertools import chain, pairwise, product
from operator import or_
from pathlib import Path
from typing import Annotated, Any, cast, get_args

import tyro
from tyro.conf import OmitArgPrefixes, Positional, arg, subcommand

from cilkit.config import Config, Precision, as_path, names_of
from cilkit.data.datasets import DATASETS, OF_ONE_SIZE
from cilkit.data.images import BadImage
from cilkit.data.workers import lost_worker
from cilkit.errors import InputError, hint, lookup, some, unknown
from cilkit.experiment import Observer
from cilkit.machine.devices import lacks_memory
from cilkit.machine.processes import (
    ProcessesDiffer,
    from_main,
    is_main,
    is_restarted,
    local_rank,
    lost_process,
    processes,
    told_rank,
)
from cilkit.machine.stopping import Stopped, stoppable
from cilkit.memory import MemorySettings
from cilkit.methods import METHODS
from cilkit.methods.outside import add_installed, without_code
from cilkit.presets import PRESETS, WHY_OWN
from cilkit.runs.folder import check_method
from cilkit.runs.outputs import EVENTS, README, SUMMARY, TABLES
from cilkit.runs.provenance import versions
from cilkit.runs.readme import OF_A_COMPARISON, OF_A_RUN, write_readme
from cilkit.runs.records import RECORDS, Record, read_records, run_record
from cilkit.show.console import Console, LastLine
from cilkit.show.flat import flat
from cilkit.show.headings import Switch, under_headings
from cilkit.show.observers import Csv, TensorBoard

Preset = Annotated[
    str, arg(help=f"the settings to start from: {', '.join(PRESETS)}", metavar="NAME")
]
Settings = Annotated[OmitArgPrefixes[Any], arg(name="")]  # a `Config`; first, its parts
DEFAULT_PRESET = "digits"
GO_ON = "what was saved is whole: go on with --resume"
UNREAD = 128 + 13  # SIGPIPE's: as other tools end of which `head` has read enough
# What may break a run off; `explain` tells accidents from mistakes of ours.
BREAKDOWNS = (OSError, MemoryError, ArithmeticError, RuntimeError)
DESCRIPTION = f"""Learn classes one stage after another, and see what remains of the first ones.

Presets: {", ".join(PRESETS)}; `cilkit presets NAME` shows one. Start with `cilkit compare --out
runs/digits`. Every command takes --code FILE, too: Python that is run first, and adds a method of
your own. `cilkit --version` says which version this is."""


@dataclass
class Run:
    """Train one method through all stages; leave records, a checkpoint and figures in a folder."""

    config: Settings
    out: Path  # the folder for the results
    preset: Preset = DEFAULT_PRESET
    resume: Switch = False  # go on with the run that is in the folder
    # copy the exemplars' files into the folder at the end: `cilkit extend` needs no others then
    keep_pixels: Switch = False
    # keep the network after each stage in the folder: `cilkit predict --stage` asks it
    keep_stages: Switch = False
    csv: Switch = False  # write tables too: epochs.csv and stages.csv
    tensorboard: Switch = False  # write scalars for TensorBoard too
    quiet: Switch = False  # print nothing but errors and the last stage's line

    def __call__(self) -> None:
        """Run, and draw."""
        from cilkit.experiment import run
        from cilkit.runs.folder import check_out

        out, resume = as_path(self.out), self.resume or is_restarted()
        from_main(lambda: check_out(out, resume, self.beside()))
        observers: list[Observer] = [LastLine() if self.quiet else Console()]
        observers += [TensorBoard(out)] if self.tensorboard else []
        if is_main():
            observers += [Csv(out, resume)] if self.csv else []
        say_why(self.preset, self.quiet)
        with stoppable():
            kept: Any = {"keep_pixels": self.keep_pixels, "keep_stages": self.keep_stages}
            records = run(self.config, out, observers, resume=resume, **kept)
        leave(out, records, self.quiet)

    def beside(self) -> list[str]:
        """Return the names of what is written beside the run itself."""
        from cilkit.show.save import figure_names  # matplotlib takes half a second

        tables, events = TABLES if self.csv else (), [EVENTS] if self.tensorboard else ()
        return [*tables, *events, *figure_names(), README, SUMMARY]


@dataclass
class Compare:
    """Train several methods on several seeds; leave summary.json, runs and figures in a folder."""

    config: Settings
    out: Path  # the folder for the results
    methods: tuple[str, ...] = ("finetune", "replay", "replay-kd", "wa")  # what to compare
    seeds: tuple[int, ...] = (0, 1, 2)  # each method runs once with each
    orders: tuple[int | str, ...] = ()  # class orders: natural, or seeds of them, such as 1993
    vary: tuple[str, ...] = ()  # settings, each with its values: lr 0.03 0.1 weight-decay 0 1e-4
    preset: Preset = DEFAULT_PRESET
    resume: Switch = False  # keep finished runs, go on with unfinished ones
    keep_stages: Switch = False  # keep the network after each stage of each run in its folder
    quiet: Switch = False  # print nothing but errors and the table

    def __call__(self) -> None:
        """Compare, print the table, and draw."""
        from cilkit.comparison import axes, compare, planned
        from cilkit.metrics import table
        from cilkit.runs.folder import check_comparison
        from cilkit.show.save import figure_names

        out, resume = as_path(self.out), self.resume or is_restarted()
        known = dict.fromkeys(name for one in METHODS.values() for name in names_of(one.Settings))
        how: Any = {"orders": self.orders, "vary": axes(self.vary, [*known])}
        choice = planned(self.config, self.methods, self.seeds, **how)
        labels = dict.fromkeys(one.label for one in choice)
        from_main(lambda: check_comparison(out, resume, [*figure_names(labels), README]))
        told = [*how["vary"], *(["class_order"] if self.orders else [])]
        watch: list[Observer] = [] if self.quiet else [Console(told)]
        what = (self.config, self.methods, self.seeds, out)
        say_why(self.preset, self.quiet)
        with stoppable():
            runs = compare(*what, watch, **how, resume=resume, keep_stages=self.keep_stages)
        if is_main():
            print(table(runs))
            write_readme(out, OF_A_COMPARISON)
        draw([out], out, self.quiet)


@dataclass
class Extend:
    """Teach more classes to what a finished run has learnt; leave the whole in another folder."""

    run: Positional[Path]  # the folder of the finished run, which stays as it is
    data_path: Path  # the data set with the new classes
    out: Path  # the folder for the results
    # new classes of each stage, or a list of all stages; by default all come in one
    increment: int | tuple[int, ...] | None = None
    dataset: str | None = None  # folder or npz, where it is another kind than the run's
    # of a folder without train and val: "PATH train" or "PATH test"; by default as the run has it
    split_file: Path | None = None
    # of a folder without train and val: this much of each class, for tests; by default as the run
    # has it
    test_share: float | None = None
    test_known: Switch = False  # of classes that the run knows, leave all but the test images alone
    old_data: Path | None = None  # where the run's own data set is now, if it has moved
    budget: int | None = None  # exemplars kept from now on
    device: str | None = None  # auto, cpu, cuda, cuda:N, mps or xpu; by default as the run has it
    # float32, bf16, fp16 or auto; by default as the run has it
    precision: Precision | None = None
    workers: int | None = None  # processes that read files; by default as the run has it
    keep_pixels: Switch = False  # copy the exemplars' files into the folder at the end
    # keep the network after each stage in the folder, and copy those that the run has kept
    keep_stages: Switch = False
    resume: Switch = False  # go on with the extension that is in the folder
    quiet: Switch = False  # print nothing but errors and the last stage's line

    def __call__(self) -> None:
        """Extend, and draw."""
        from cilkit.runs.folder import check_out
        from cilkit.show.save import figure_names
        from cilkit.trained.extending import extend

        out, resume = as_path(self.out), self.resume or is_restarted()
        from_main(lambda: check_out(out, resume, [*figure_names(), README, SUMMARY]))
        known = names_of(MemorySettings)
        given = {name: one for name, one in vars(self).items() if name in known and one is not None}
        with stoppable():
            records = extend(
                self.run,
                out,
                [LastLine() if self.quiet else Console()],
                settings=given,
                test_known=self.test_known,
                old_data=self.old_data,
                keep_pixels=self.keep_pixels,
                keep_stages=self.keep_stages,
                resume=resume,
            )
        leave(out, records, self.quiet)


@dataclass
class Plot:
    """Draw the figures of finished or unfinished runs from their records."""

    folders: Positional[tuple[Path, ...]]  # runs, or folders of runs
    out: Path | None = None  # where the figures go; by default the first folder

    def __call__(self) -> None:
        """Draw."""
        draw(self.folders, self.out)


@dataclass
class Data:
    """Prepare a data set, look at every image, and say in a table what there is."""

    name: Positional[Annotated[str, arg(help=", ".join(DATASETS), metavar="NAME")]]
    config: Settings
    out: Path | None = None  # the folder for a contact sheet; by default runs/data-NAME

    def __call__(self) -> None:
        """Survey, and print."""
        from cilkit.show.survey import survey, table

        config = replace(self.config, dataset=self.name)
        print(table(survey(config, self.out or Path("runs") / f"data-{self.name}")))


# The settings that say what a data set is, and those that say how a backbone looks at it.
OF_DATA = ("data_path", "download", "split_file", "test_share", "class_list", "image_size")
OF_LOOKING = {"backbone", "pretrained", "weights", "enlarge", "precision", "channels_last"}
OF_LOOKING |= {"device", "threads", "workers"}
LOOKING = Config(backbone="tf_efficientnet_lite0", pretrained=True)


@dataclass
class Features:
    """Look at a data set once with a frozen backbone; leave its features as a data set."""

    config: Settings
    out: Path  # the file to write, in .npz: what `--preset features --data-path FILE` takes

    def __call__(self) -> None:
        """Look, and say where the features are."""
        from cilkit.features import keep_features

        keep_features(self.config, self.out)
        if is_main():
            print(f"wrote {self.out}")


@dataclass
class Show:
    """Print a method as one class in one file, with all that it inherits written out."""

    method: Positional[Annotated[str, arg(help=", ".join(METHODS), metavar="METHOD")]]

    def __call__(self) -> None:
        """Print."""
        print(flat(lookup("method", self.method, METHODS)), end="")


@dataclass
class Predict:
    """Say what the model of a finished run sees in images: path, class and percent, a line each."""

    run: Positional[Path]  # the folder of the run; its data set is not needed
    files: Positional[tuple[Path, ...]]  # images, or folders of them
    top: int = 1  # classes to name of each, the best one first
    json: Switch = False  # write JSON, a line each
    stage: int | None = None  # as after this stage, from 1, of a run that was made --keep-stages
    by_stage: Path | None = None  # draw what each stage's model says of one image; a name in .png
    device: str = "auto"  # auto, cpu, cuda, cuda:N, mps or xpu

    def __call__(self) -> int:
        """Answer for every file that can be read; return 1 if there was another one."""
        return self.draw(self.by_stage) if self.by_stage else self.answer()

    def draw(self, file: Path) -> int:
        """Look back at one image."""
        from cilkit.trained.looking_back import draw_by_stage

        if (self.stage, self.top, self.json) != (None, 1, False):
            raise InputError("--by-stage draws all stages; leave --stage, --top and --json out")
        draw_by_stage(self.run, self.files, file, self.device)
        print(f"drew {file}")
        return 0

    def answer(self) -> int:
        """Print a line for each image."""
        from cilkit.trained.answering import load
        from cilkit.trained.asking import as_json, as_line, ask

        failed = 0
        for reply in ask(load(self.run, self.device, self.stage), self.files, self.top):
            if isinstance(reply[1], OSError):
                failed = say(str(reply[1]), 1)
            if self.json or not isinstance(reply[1], OSError):
                print(as_json(reply) if self.json else as_line(reply))
        return failed


@dataclass
class Export:
    """Write the model of a finished run for other programs: uint8 images in, scores out."""

    run: Positional[Path]  # the folder of the run
    file: Positional[Path]  # what to write: a name in .pt2 (torch.export) or in .onnx

    def __call__(self) -> None:
        """Write, and say where it is."""
        from cilkit.trained.exporting import export

        export(self.run, self.file)
        print(f"wrote {self.file}")


@dataclass
class Presets:
    """List the presets, or all settings of one."""

    name: Positional[str | None] = None  # by default, all presets are listed

    def __call__(self) -> None:
        """Print."""
        if self.name is None:
            rows = {name: f"{one.dataset}, {one.backbone}" for name, one in PRESETS.items()}
        else:
            rows = lookup("preset", self.name, PRESETS).as_dict()
        width = max(map(len, rows))
        for name, value in rows.items():
            print(f"{name.replace('_', '-'):{width}}  {value}")


def leave(out: Path, records: Sequence[Record], quiet: bool) -> None:
    """Leave in a run's folder, in the main process, what its records make and what explains it."""
    if is_main():
        from cilkit.comparison import write_summary
        from cilkit.metrics import summarise

        write_summary(out, summarise({run_record(records).config["method"]: [records]}))
        write_readme(out, OF_A_RUN)
        draw([out], out, quiet)


def say_why(preset: str, quiet: bool) -> None:
    """Say what somebody gets who brought images and named no settings."""
    if preset == "own" and is_main() and not quiet:
        print(WHY_OWN)


def draw(folders: Sequence[Path], out: Path | None, quiet: bool = False) -> None:
    """Draw all figures in the main process, and say where they are."""
    if is_main():
        from cilkit.show.save import plot

        for path in plot(folders, out):
            if not quiet:
                print(f"drew {path}")


RUNNING = (Run, Compare, Extend, Predict)  # those with switches
BY_ALL = (Run, Compare, Extend, Features)  # all processes work; the others are the main one's
Command = Run | Compare | Extend | Plot | Data | Features | Show | Predict | Export | Presets
KINDS: dict[str, Any] = {kind.__name__.lower(): kind for kind in get_args(Command)}


def main(argv: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit status.

    0; 2 for what the user must mend before any work starts; 1 for what broke it off; 128 and the
    signal's number where it was asked to stop.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    command: Command | None = None
    if words == ["--version"]:
        print(f"cilkit {versions()['cilkit']}")
        return 0
    try:
        add_installed()
        command = parse(without_code(words))
        with processes(getattr(command, "config", Config()).timeout):
            return ended(command()) if is_main() or isinstance(command, BY_ALL) else 0
    except InputError as error:
        return say(f"error: {error}", 2) if local_rank() == 0 else 2  # one for each machine
    except Stopped as stopped:
        sentence = f"stopped by {stopped}; go on with the same command and --resume"
        return say(sentence, 128 + stopped.number) if is_main() else 128 + stopped.number
    except KeyboardInterrupt:
        return say("stopped at once; what was saved is whole", 130)
    except BREAKDOWNS as error:
        return broken_off(error, isinstance(command, Run | Compare | Extend))


def ended(status: int | None) -> int:
    """Return the exit status, once all that was printed is out: who reads it may have gone."""
    sys.stdout.flush()
    return status or 0


def broken_off(error: Exception, trains: bool) -> int:
    """Say in every process what broke a command off, for one alone may have the trouble."""
    if isinstance(error, BrokenPipeError) and nobody_reads() and not trains:
        return UNREAD
    sentence = explain(error)
    if not sentence:  # a mistake of ours, which deserves its traceback
        raise error
    return say(f"{sentence}; {GO_ON}" if trains else sentence, 1)


def nobody_reads() -> bool:
    """Tell whether who reads what is printed has gone; let what is left of it go nowhere."""
    try:
        print(flush=True)  # where it is another pipe that broke, an empty line does no harm
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False


def say(sentence: str, status: int) -> int:
    """Print a sentence where errors go; return the status."""
    print(f"cilkit: {sentence}", file=sys.stderr)
    return status


def explain(error: Exception) -> str:
    """Return a sentence for what can break a run off through no fault of the program, else ''."""
    if lacks_memory(error):
        where = getattr(error, "__notes__", ["outside of training steps; free some for it"])
        return f"out of memory {where[0]}"
    if isinstance(error, BadImage):
        return f"{error}; mend the file (`cilkit data` names all that are damaged)"
    if isinstance(error, OSError):
        return f"a file could not be read or written: {error}"
    if isinstance(error, ArithmeticError | ProcessesDiffer):
        return str(error)
    if lost_worker(error):
        return (
            "a process that reads images died or hangs; fewer --workers need less memory and fewer "
            "open files"
        )
    if lost_process(error):
        return f"process {told_rank()} lost touch with another one, which died or hangs"
    return ""


def check_effect(words: Sequence[str], command: Command) -> None:
    """Refuse an option that would change nothing, which settings themselves cannot tell."""
    if isinstance(command, Run | Compare | Data) and values_in(words, "--image-size"):
        name = command.name if isinstance(command, Data) else command.config.dataset
        if name in OF_ONE_SIZE:
            raise InputError(
                f"--image-size is how large image files are read, and those of {name} are no files "
                f"to be resized; leave it out"
            )


def parse(words: list[str]) -> Command:
    """Return the command, with the preset's settings where no option changes them."""
    words = in_todays_words(words)
    check_methods(words)
    starts, needed = starts_of(words), without_the_obvious(words)
    check_options(needed, starts)
    command: Command = tyro.cli(
        commands(starts),
        prog="cilkit",
        args=needed,
        description=DESCRIPTION,
        console_outputs=local_rank() == 0,
    )
    if isinstance(command, Run | Compare | Data | Features):
        command = replace(command, config=command.config.joined())
    check_effect(words, command)
    return command


def starts_of(words: Sequence[str]) -> dict[str, Any]:
    """Return those commands that have settings, as they are where the words say nothing else.

    Options are the common settings and those of the method, or of all methods that are compared.
    """
    if words[:1] == ["compare"] and {w.partition("=")[0] for w in words} & {"--method", "--seed"}:
        raise InputError("compare takes --methods and --seeds, not --method and --seed")
    preset, start = start_of(words)
    method, *_ = values_in(words, "--method") or [start.method]
    methods = values_in(words, "--methods") or Compare.methods
    each = under_headings(for_all(start, methods), hidden={"method", "seed"})
    of_data = under_headings(start, {*names_of(start)} - {*OF_DATA})
    hidden = {*names_of(LOOKING)} - {"dataset", *OF_DATA, *OF_LOOKING}
    return {
        "run": Run(under_headings(replace(start, method=method)), tyro.MISSING, preset),
        "compare": Compare(each, tyro.MISSING, preset=preset),
        "data": Data(tyro.MISSING, of_data),
        "features": Features(under_headings(LOOKING, hidden), tyro.MISSING),
    }


def commands(starts: Mapping[str, Any]) -> Any:
    """Return the commands as tyro wants them."""
    given = {name: {"default": start} for name, start in starts.items()}
    each = [
        Annotated[kind, subcommand(name, **given.get(name, {}))] for name, kind in KINDS.items()
    ]
    return reduce(or_, each)


def check_options(words: Sequence[str], starts: Mapping[str, Any]) -> None:
    """Refuse what is no command, or no option of it; name what may be meant."""
    command, *rest = words or ["--help"]
    if command in ("-h", "--help") or command.startswith("--tyro-"):  # its completion
        return
    parts = vars(starts[command].config).values() if command in starts else ()
    known = [*chain(*map(options_of, [lookup("command", command, KINDS), *parts])), "help"]
    for name in [word[2:].partition("=")[0] for word in rest if word.startswith("--")]:
        if name.removeprefix("no-") not in known:
            own = {k: {*names_of(v.Settings)} - {*names_of(Config)} for k, v in METHODS.items()}
            whose = some([method for method in own if name.replace("-", "_") in own[method]])
            meant = f"; it is a setting of {whose}" if whose else hint(name, known, "--")
            raise InputError(
                f"unknown option '--{name}': `cilkit {command} --help` lists all{meant}"
            )


def options_of(kind: Any) -> list[str]:
    """Return the names of a dataclass's options, as the help spells them."""
    named = [one for one in fields(kind) if Positional not in getattr(one.type, "__metadata__", ())]
    return [one.name.replace("_", "-") for one in named if one.name != "config"]


# What options were called while two of the settings were on or off.
FORMERLY = {
    "--bf16": "--precision=bf16",
    "--no-bf16": "--precision=float32",
    "--channels-last": "--channels-last=True",
    "--no-channels-last": "--channels-last=False",
}


def in_todays_words(words: Sequence[str]) -> list[str]:
    """Return a command line with today's options: one of those that has a value is today's."""
    dashed = [spelt(word) for word in words]
    return [
        FORMERLY.get(word, word) if after.startswith("-") else word
        for word, after in pairwise([*dashed, "--"])
    ]


def spelt(word: str) -> str:
    """Return an option with the dashes of the help; others write --data_path."""
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value if word.startswith("--") else word


def without_the_obvious(words: Sequence[str]) -> list[str]:
    """Return words without switches that say what is so anyway, or that a later one takes back.

    Of each pair, such as --csv and --no-csv, the help and tyro know the one that changes something.
    """
    start = LOOKING if words[:1] == ["features"] else start_of(words)[1]
    places = (*RUNNING, *(method.Settings for method in METHODS.values()))
    so = {f.name: f.default for one in places for f in fields(one) if isinstance(f.default, bool)}
    given = vars(start) | vars(start.others)
    so |= {name: value for name, value in given.items() if isinstance(value, bool)}
    pairs = {
        f"--{'' if on else 'no-'}{name.replace('_', '-')}": (name, on)
        for name, on in product(so, (True, False))
    }
    last = {pairs[word][0]: word for word in words if word in pairs}
    needed = {word for name, word in last.items() if pairs[word][1] != so[name]}
    return [word for word in words if word not in pairs or word in needed]


def check_methods(words: Sequence[str]) -> None:
    """Refuse unknown methods; where a run in the folder has one, name the file that adds it."""
    out = [as_path(word) for word in values_in(words, "--out")]
    for method in [*values_in(words, "--method"), *values_in(words, "--methods")]:
        if method not in METHODS:
            if out and (out[-1] / RECORDS).exists():
                check_method(run_record(read_records(out[-1])))
            raise InputError(
                f"{unknown('method', method, METHODS)}; --code FILE adds one of your own"
            )


def start_of(words: Sequence[str]) -> tuple[str, Config]:
    """Return the preset that is named, or else the one that suits the data set."""
    named = words[1:] if words[:1] == ["data"] else values_in(words, "--dataset")
    of_ones_own = {*named} & {"folder", "npz"}
    default = "own" if of_ones_own else DEFAULT_PRESET
    name = [default, *values_in(words, "--preset")][-1]
    return name, lookup("preset", name, PRESETS)


def values_in(words: Sequence[str], option: str) -> list[str]:
    """Return an option's values: they decide what else is an option, so they are read first."""
    values: list[str] = []
    reading = False
    for word in words:
        if word.startswith("--"):
            name, given, value = word.partition("=")
            reading = name == option
            if reading:  # given twice, the last one holds
                values = [value] if given else []
        elif reading:
            values.append(word)
    return values


def for_all(start: Config, methods: Sequence[str]) -> Config:
    """Return a configuration with the settings of all these methods: what their classes join."""
    classes: list[Any] = [METHODS[method].Settings for method in methods if method in METHODS]
    classes = classes or [type(start)]  # an unknown name is refused when it is compared
    last = [one for one in classes if {one} == {c for c in classes if issubclass(c, one)}]
    kind: Any = type(Config)
    joined: Any = kind("Settings", (*dict.fromkeys(last),), {"__module__": __name__})
    joined = dataclass(frozen=True, kw_only=True)(joined)
    given = {name: getattr(start, name) for name in names_of(start)} | vars(start.others)
    known = {name: value for name, value in given.items() if name in names_of(joined)}
    return cast(Config, type.__call__(joined, **known))
