"""A picture for each method that has a page of its own: the idea, computed on a small example."""

from collections.abc import Callable, Mapping

from cilkit.teaching.methods import bic, der, ewc, fetril, icarl, lucir, means, podnet, ridge, wa
from cilkit.teaching.still import Still

PICTURES: Mapping[str, Callable[[], Still]] = {
    "wa": wa.picture,
    "icarl": icarl.picture,
    "bic": bic.picture,
    "ewc": ewc.picture,
    "lucir": lucir.picture,
    "der": der.picture,
    "podnet": podnet.picture,
    "means": means.picture,
    "ridge": ridge.picture,
    "fetril": fetril.picture,
}
