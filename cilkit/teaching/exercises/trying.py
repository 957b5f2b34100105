"""What is wrong with a reader's function: it is tried on small cases, beside the right one."""

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from cilkit.errors import shown

Answer = Callable[..., Any]
Look = tuple[str, Callable[[], Any]]  # what is looked at, and how
Looks = Callable[[Answer], Iterator[Look]]


@dataclass(frozen=True)
class Exercise:
    """A function to be written."""

    right: Answer
    looks: Looks
    mistakes: Mapping[str, Answer]  # what is to be said of a usual wrong answer


def on(cases: Mapping[str, tuple[Any, ...]]) -> Looks:
    """Return the looks at a function's results, and at its first argument after the first call."""

    def looks(answer: Answer) -> Iterator[Look]:
        for name, arguments in cases.items():
            yield name, partial(answer, *deepcopy(arguments))
        first = deepcopy(next(iter(cases.values())))
        yield "The first argument, after a call", lambda: (answer(*first), first[0])[1]

    return looks


@dataclass(frozen=True)
class Verdict:
    """What is to be said of an answer; a notebook shows the sentence."""

    right: bool
    says: str

    def __repr__(self) -> str:
        return self.says


def verdict(exercise: Exercise, answer: Answer) -> Verdict:
    """Return "Right.", or the first difference and, of a usual mistake, what it is."""
    if not callable(answer):
        return Verdict(False, f"Not yet. Give the function itself; this is {shown(answer)}.")
    if (found := difference(exercise.looks, answer, exercise.right)) is None:
        return Verdict(True, "Right.")
    known = [
        says
        for says, wrong in exercise.mistakes.items()
        if difference(exercise.looks, answer, wrong) is None
    ]
    return Verdict(False, " ".join(["Not yet.", found, *known[:1]]))


def difference(looks: Looks, answer: Answer, right: Answer) -> str | None:
    """Return the first difference between two functions as a sentence, or None."""
    for (what, look), (_, wanted) in zip(looks(answer), looks(right), strict=True):
        found, true = outcome(look), outcome(wanted)
        if isinstance(found, Exception):
            if type(found) is not type(true):
                return f"{what}: {type(found).__name__}, {first_line(found)}."
        elif found is None:
            return f"{what}: None. Is there a `return`?"
        elif isinstance(true, Exception) or not alike(found, true):
            return f"{what}: {in_words(found)} in place of {in_words(true)}."
    return None


def outcome(look: Callable[[], Any]) -> Any:
    """Return what a look gives, with the same random numbers each time; or the error."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return look()
        except Exception as error:  # noqa: BLE001  # the reader's own, whatever it is
            return error


def alike(found: Any, true: Any) -> bool:
    """Tell whether two results are equal, as numbers, up to rounding."""
    try:
        torch.testing.assert_close(
            as_numbers(found), as_numbers(true), rtol=1e-4, atol=1e-6, equal_nan=True
        )
    except (AssertionError, TypeError, ValueError, RuntimeError):
        return False
    return True


def as_numbers(result: Any) -> torch.Tensor:
    """Return a number, a list, an array or a tensor as numbers of one kind."""
    return torch.as_tensor(result).detach().double()


def in_words(result: Any) -> str:
    """Return a result for a sentence: few digits; its shape, where it has many numbers."""
    try:
        numbers = as_numbers(result)
    except (TypeError, ValueError, RuntimeError):
        return shown(result)
    if numbers.numel() > 12:
        return f"of the shape {tuple(numbers.shape)}, beginning {listed(numbers.flatten()[:4])}"
    return listed(numbers)


def listed(numbers: torch.Tensor) -> str:
    """Return numbers as Python writes a list of them, with four digits each."""
    if numbers.ndim == 0:
        return f"{numbers.item():.4g}"
    return f"[{', '.join(map(listed, numbers))}]"


def first_line(error: Exception) -> str:
    """Return the beginning of what an error says."""
    return f"{(str(error).splitlines() or ['no words'])[0]:.100}"
