"""Replay and distillation together: all of WA but the alignment. Chapter 4."""

from dataclasses import dataclass

from cilkit.methods.distilling import Distilling
from cilkit.methods.replay import Replay


class ReplayKD(Distilling, Replay):
    """`Distilling`'s losses on `Replay`'s data: each `super()` hands over to the next."""

    @dataclass(frozen=True, kw_only=True)
    class Settings(Distilling.Settings, Replay.Settings):
        """What both have."""
