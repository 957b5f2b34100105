"""The chapters' exercises in code, each with the wrong answers that are usual."""

from cilkit.errors import lookup
from cilkit.teaching.exercises import counting, formulas, growing, sharing
from cilkit.teaching.exercises.trying import Answer, Verdict, verdict

EXERCISES = {
    "arrival": counting.ARRIVAL,
    "gradient": counting.GRADIENT,
    "closest": formulas.CLOSEST,
    "mix": formulas.MIX,
    "each": formulas.EACH,
    "repeat": growing.REPEAT,
    "grow": growing.GROW,
    "transfer": counting.TRANSFER,
    "pad": sharing.PAD,
    "share": sharing.SHARE,
    "herd": formulas.HERD,
    "kd": formulas.DISTILLATION,
    "gamma": formulas.GAMMA,
    "cosine": formulas.COSINE,
}


def check(name: str, answer: Answer) -> Verdict:
    """Return whether a function is right, and if not, where it differs and what is behind it.

    Raises `InputError` for an exercise that is not there, with the names of those that are.
    """
    return verdict(lookup("exercise", name, EXERCISES), answer)
