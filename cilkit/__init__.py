"""Class-incremental learning, one stage after another.

    learner, scenario = build(PRESETS["digits"])
    for record in learn(learner, scenario):
        print(record)

The names below are in the order of a first reading.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from cilkit.config import Config
from cilkit.presets import PRESETS
from cilkit.experiment import build, run
from cilkit.comparison import compare
from cilkit.loop import learn
from cilkit.trained.answering import load
from cilkit.trained.looking_back import look_back
from cilkit.trained.extending import extend
from cilkit.trained.exporting import export
from cilkit.learner import Learner
from cilkit.methods import METHODS
from cilkit.functional import alignment, distillation_loss, herd
from cilkit.heads import CilClassifier
from cilkit.model import CilModel
from cilkit.inference import features_of, predict
from cilkit.memory import Memory
from cilkit.data.samples import DataSet, Samples
from cilkit.data.scenario import Scenario, Stage, build_scenario
from cilkit.runs.records import (
    EpochRecord,
    Record,
    ResumeRecord,
    RunRecord,
    StageRecord,
    read_records,
)
from cilkit.metrics import accuracy_matrix, summary, table
from cilkit.errors import InputError

if TYPE_CHECKING:
    from cilkit.show import figures
    from cilkit.show.live import LivePlot

__all__ = [
    "PRESETS",
    "Config",
    "build",
    "run",
    "compare",
    "learn",
    "load",
    "look_back",
    "extend",
    "export",
    "Learner",
    "METHODS",
    "distillation_loss",
    "alignment",
    "herd",
    "CilModel",
    "CilClassifier",
    "features_of",
    "predict",
    "Memory",
    "Samples",
    "DataSet",
    "Stage",
    "Scenario",
    "build_scenario",
    "Record",
    "RunRecord",
    "EpochRecord",
    "StageRecord",
    "ResumeRecord",
    "read_records",
    "accuracy_matrix",
    "summary",
    "table",
    "figures",
    "LivePlot",
    "InputError",
]

# What draws is imported when it is asked for: matplotlib takes half a second.
DRAWING = {"figures": "cilkit.show.figures", "LivePlot": "cilkit.show.live"}

if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Import what draws."""
        if name not in DRAWING:
            raise AttributeError(f"module 'cilkit' has no attribute {name!r}")
        module = import_module(DRAWING[name])
        return getattr(module, name, module)


def __dir__() -> list[str]:
    """Return the public names, and no rooms."""
    return __all__
