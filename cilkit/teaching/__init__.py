"""What the book shows beside the method: moving figures, live controls, the package's own code.

Nothing of it is needed to run an experiment.
"""

from cilkit.teaching.chapters.augmentation import draws_by_recipe, operations_of_timm
from cilkit.teaching.chapters.gamma import accuracy_by_gamma
from cilkit.teaching.chapters.one_run import matrix_by_stage, norms_by_epoch
from cilkit.teaching.chapters.plane import prototypes_in_the_plane
from cilkit.teaching.chapters.playground import herding_playground
from cilkit.teaching.chapters.shares import shares_by_processes
from cilkit.teaching.exercises import check
from cilkit.teaching.explore import explore
from cilkit.teaching.lab import laboratory
from cilkit.teaching.letters import letter_files
from cilkit.teaching.moving import Frame, Guess, Moving
from cilkit.teaching.source import source
from cilkit.teaching.stored import stored
from cilkit.teaching.svg import Plot, heat
from cilkit.teaching.table import Table

__all__ = [
    "Frame",
    "Guess",
    "Moving",
    "Plot",
    "Table",
    "accuracy_by_gamma",
    "check",
    "draws_by_recipe",
    "explore",
    "heat",
    "herding_playground",
    "laboratory",
    "letter_files",
    "matrix_by_stage",
    "norms_by_epoch",
    "operations_of_timm",
    "prototypes_in_the_plane",
    "shares_by_processes",
    "source",
    "stored",
]
