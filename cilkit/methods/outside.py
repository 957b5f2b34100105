"""Methods from outside the package: in a file of one's own, or in a package that is installed."""

import sys
import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from cilkit.config import as_path
from cilkit.errors import InputError
from cilkit.learner import Learner
from cilkit.methods import METHODS

GROUP = "cilkit.methods"  # of entry points: a name, and the class it leads to


def without_code(words: Sequence[str]) -> list[str]:
    """Run each file that `--code FILE` names, and return the other words of a command line."""
    rest, left = [], iter(words)
    for word in left:
        option, given, value = word.partition("=")
        if option == "--code":
            file = value if given else next(left, "")
            if not file:
                raise InputError("--code wants a file of Python (.py) after it")
            run_file(as_path(file))
        else:
            rest.append(word)
    return rest


def run_file(file: Path) -> None:
    """Run a file that adds to a registry: `METHODS["mine"] = Mine`.

    Raises `InputError` if there is none, or if it breaks off.
    """
    spec = spec_from_file_location(f"code_of_{file.stem}", file) if file.is_file() else None
    if spec is None or spec.loader is None:
        raise InputError(f"--code wants a file of Python (.py), and {str(file)!r} is none")
    module, before = module_from_spec(spec), dict(METHODS)
    sys.modules[spec.name] = module  # where dataclasses, and tyro for its help, look for it
    try:
        spec.loader.exec_module(module)
        check_new(before)
    except InputError:
        raise
    except (Exception, SystemExit) as error:
        line = error.lineno if isinstance(error, SyntaxError) else line_in(error, file)
        raise InputError(
            f"{str(file)!r} breaks off in line {line}: {type(error).__name__}: {error}"
        ) from error


def check_new(before: Mapping[str, Any]) -> None:
    """Refuse methods that are none, or that have a name which another one had before."""
    for name, method in METHODS.items():
        if not (isinstance(method, type) and issubclass(method, Learner)):
            del METHODS[name]
            raise InputError(f"METHODS[{name!r}] is no class derived from cilkit.Learner")
        if before.get(name, method) is not method:
            METHODS[name] = before[name]
            raise InputError(f"there is a method {name!r} already; give yours another name")


def line_in(error: BaseException, file: Path) -> int:
    """Return the last line of a file that an error went through."""
    step, line = error.__traceback__, 0
    while step is not None:
        line = step.tb_lineno if step.tb_frame.f_code.co_filename == str(file) else line
        step = step.tb_next
    return line


def add_installed() -> None:
    """Add the methods of installed packages; one that cannot be loaded is told of, no more."""
    for point in entry_points(group=GROUP):
        before = dict(METHODS)
        try:
            METHODS.setdefault(point.name, point.load())
            check_new(before)
        except Exception as error:  # noqa: BLE001  # it is somebody else's, and may be broken
            warnings.warn(
                f"the method {point.name!r} of {point.value} cannot be loaded: {error}",
                stacklevel=2,
            )
