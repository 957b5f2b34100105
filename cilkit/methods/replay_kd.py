"""Replay and distillation together: all of WA but the alignment. Chapter 4."""

from cilkit.methods.lwf import LwF
from cilkit.methods.replay import Replay


class ReplayKD(LwF, Replay):
    """`LwF`'s losses on `Replay`'s data: each `super()` hands over to the next of the two."""
