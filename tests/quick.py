"""The run that most tests look at: three stages of digits, two epochs each, in a second or two."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from cilkit import PRESETS

SETTINGS: dict[str, Any] = {
    "base": 4,
    "increment": 3,
    "backbone": "resnet8",  # whose batch norm has statistics to remember
    "budget": 40,
    "epochs": 2,
    "batch_size": 64,  # 9 + 9 + 7 + 7 + 7 + 7 steps or so
    "lr": 0.05,
    "threads": 1,
}
# The preset of the command line, too; no second training is long.
QUICK = replace(PRESETS["digits"], tuning_epochs=1, **SETTINGS)
WORDS = ["run", *(f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items())]


class Broken(Exception):
    """What breaks a run off."""


def broken_at(place: int) -> Callable[[Any], None]:
    """Return an observer that breaks a run off as soon as it has seen so many records."""
    seen = count(1)

    def watch(record: Any) -> None:
        if next(seen) == place:
            raise Broken

    return watch
