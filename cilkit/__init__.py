"""Class-incremental learning, one stage after another.

    learner, scenario = build(PRESETS["digits"])
    for record in learn(learner, scenario):
        print(record)

The names below are in the order of a first reading.
"""

from cilkit.config import Config
from cilkit.presets import PRESETS
from cilkit.experiment import build, run
from cilkit.loop import learn
from cilkit.trained.answering import load
from cilkit.learner import Learner
from cilkit.methods import METHODS
from cilkit.functional import alignment, distillation_loss, herd
from cilkit.heads import CilClassifier
from cilkit.model import CilModel
from cilkit.memory import Memory
from cilkit.data.samples import DataSet, Samples
from cilkit.data.scenario import Scenario, Stage, build_scenario
from cilkit.runs.records import EpochRecord, Record, RunRecord, StageRecord, read_records
from cilkit.metrics import accuracy_matrix, summary
from cilkit.errors import InputError

__all__ = [
    "PRESETS",
    "Config",
    "build",
    "run",
    "learn",
    "load",
    "Learner",
    "METHODS",
    "distillation_loss",
    "alignment",
    "herd",
    "CilModel",
    "CilClassifier",
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
    "read_records",
    "accuracy_matrix",
    "summary",
    "InputError",
]
