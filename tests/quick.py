"""The run that most tests look at: three stages of digits, two epochs each, in a second or two."""

from dataclasses import replace
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
QUICK = replace(PRESETS["digits"], **SETTINGS)  # the preset of the command line, too
WORDS = ["run", *(f"--{name.replace('_', '-')}={value}" for name, value in SETTINGS.items())]
