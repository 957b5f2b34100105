"""The laboratory: a page in which the reader trains a class-incremental network.

Everything is inside the figure: the digits, an engine that computes what the package does with
`backbone="mlp"`, and the controls. It needs no kernel, no network and no server.
"""

from cilkit.teaching.lab.laboratory import Laboratory, laboratory
from cilkit.teaching.lab.pack import packed_digits

__all__ = ["Laboratory", "laboratory", "packed_digits"]
