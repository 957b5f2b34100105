"""Settings as options of the command line: under headings, those that one changes first on top."""

from collections.abc import Collection
from dataclasses import dataclass, make_dataclass
from inspect import get_annotations
from typing import Annotated, Any, ClassVar, cast, get_type_hints

from tyro.conf import FlagCreatePairsOff, OmitArgPrefixes, arg

from cilkit.config import Config, names_of

# The common settings' headings as the help shows them, and the first setting of each in `Config`.
FIRST = {
    "method": "method",
    "data": "dataset",
    "stages": "base",
    "training": "epochs",
    "network": "backbone",
    "augmentation": "augment",
    "machine": "device",
}
OWN = "stages"  # behind this one come a method's own
Switch = FlagCreatePairsOff[bool]  # off: the help names nothing but what switches it on


class Parts:
    """Settings in parts, each under its heading, while the words are read."""

    whole: ClassVar[Config]

    def joined(self) -> Config:
        """Return the settings in one, as the words have changed them."""
        given = {name: getattr(self.whole, name) for name in (*names_of(self.whole), "others")}
        for part in vars(self).values():
            given |= vars(part)
        return cast(Config, type.__call__(type(self.whole), **given))


def under_headings(config: Config, hidden: Collection[str] = ()) -> Parts:
    """Return settings in parts; those hidden are no options."""
    fields, parts, omitted = list[Any](), dict[str, Any](), cast(Any, OmitArgPrefixes)
    for (heading, owner), names in by_heading(type(config)).items():
        if offered := [name for name in names if name not in hidden]:
            part, name = part_of(config, owner, offered), f"part{len(parts)}"
            parts[name] = part
            fields.append((name, Annotated[omitted[type(part)], arg(name=heading)]))
    kind = make_dataclass("Settings", fields, bases=(Parts,), namespace={"whole": config})
    return cast(Parts, kind(**parts))


def by_heading(kind: type[Config]) -> dict[tuple[str, type], list[str]]:
    """Return the names of settings by heading, and by the class whose file explains them."""
    starts = {name: heading for heading, name in FIRST.items()}
    common: dict[tuple[str, type], list[str]] = {(heading, Config): [] for heading in FIRST}
    heading = ""
    for name in names_of(Config):
        heading = starts.get(name, heading)
        common[heading, Config].append(name)
    own: dict[tuple[str, type], list[str]] = {}
    for name in [name for name in names_of(kind) if name not in names_of(Config)]:
        owner = next(cls for cls in kind.__mro__ if name in get_annotations(cls))
        own.setdefault((called(owner), owner), []).append(name)
    both, place = [*common.items()], [*FIRST].index(OWN) + 1
    return dict([*both[:place], *own.items(), *both[place:]])


def called(owner: type) -> str:
    """Return the heading of the settings that a class adds: memory, or a method's name."""
    name = owner.__qualname__.removesuffix("Settings").rstrip(".")
    return name.rpartition(".")[2].lower() or "own"


def part_of(config: Config, owner: type, names: Collection[str]) -> Any:
    """Return some settings as a dataclass, which tyro explains by the comments in its owner's."""
    types = get_type_hints(type(config))
    off = [name for name in names if types[name] is bool and not getattr(config, name)]
    types |= dict.fromkeys(off, Switch)
    place = {
        "__module__": owner.__module__,
        "__qualname__": owner.__qualname__,
        "__doc__": "" if owner is Config else owner.__doc__,
        "__annotations__": {name: types[name] for name in names},
    }
    kind: Any = dataclass(frozen=True, kw_only=True)(type(owner.__name__, (), place))
    return kind(**{name: getattr(config, name) for name in names})
