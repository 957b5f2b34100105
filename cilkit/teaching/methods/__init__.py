"""A picture for each method that has a page of its own: the idea, computed on a small example."""

from collections.abc import Callable, Mapping

from cilkit.teaching.methods import bic, ewc, fetril, icarl, means, ridge
from cilkit.teaching.still import Still

PICTURES: Mapping[str, Callable[[], Still]] = {
    "icarl": icarl.picture,
    "bic": bic.picture,
    "ewc": ewc.picture,
    "means": means.picture,
    "ridge": ridge.picture,
    "fetril": fetril.picture,
}
