"""The one kind of error that is the user's to mend: shown as a sentence, without a traceback."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

T = TypeVar("T")


class InputError(Exception):
    """What was asked for cannot be done; the message says what is wrong and what is allowed."""


def lookup(kind: str, name: str, registry: Mapping[str, T]) -> T:
    """Return what a registry holds under `name`, or refuse the name."""
    if name not in [*registry]:  # whatever it is
        raise unknown(kind, name, registry)
    return registry[name]


def unknown(kind: str, name: str, known: Iterable[str]) -> InputError:
    """Return the error for a name that no registry holds: it lists the known ones."""
    known = list(known)
    return InputError(f"unknown {kind} {name!r}; known: {', '.join(known)}{hint(name, known)}")


def hint(name: str, known: Iterable[str], before: str = "") -> str:
    """Ask whether the known name that is nearest was meant, if one is near; `before` it, dashes."""
    spelt = {each.lower(): each for each in known}
    near = get_close_matches(str(name).lower(), spelt, n=1, cutoff=0.5)
    return f"; did you mean {before + spelt[near[0]]!r}?" if near else ""


def some(names: Sequence[str]) -> str:
    """Return the first few of many names."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def shown(value: Any) -> str:
    """Return a value for a sentence: short, on one line, whatever it is."""
    try:
        return f"{' '.join(repr(value).split()):.60}"
    except Exception:  # noqa: BLE001  # somebody's own object may have no words
        return f"<{type(value).__name__}>"
