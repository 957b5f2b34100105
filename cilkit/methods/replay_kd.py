"""Replay and distillation together: all of WA but the alignment. Chapter 4."""

from cilkit.methods.distilling import Distilling
from cilkit.methods.replay import Replay


class ReplayKD(Distilling, Replay):
    """`Distilling`'s losses on `Replay`'s data: each `super()` hands over to the next."""
