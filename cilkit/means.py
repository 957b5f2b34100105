"""Means over an epoch, taken without waiting for the device at each step."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cilkit.distributed import from_all, total


class Means:
    """Weighted means of named values that stay on their device until the end of an epoch."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.sums: dict[str, Tensor] = {}
        self.count = 0
        self.strange: Tensor | int = 0  # values so far that were infinite or not a number

    def add(self, count: int, values: Mapping[str, Tensor]) -> None:
        """Add the means of `count` samples."""
        self.count += count
        for name, value in values.items():
            self.sums[name] = self.sums.get(name, 0) + count * value.detach()
            self.strange = self.strange + ~value.detach().isfinite()

    def state(self) -> dict[str, Tensor]:
        """Return all that an interrupted epoch must remember."""
        return self.sums | {"count": torch.tensor(self.count)} if self.sums else {}

    def restore(self, state: dict[str, Tensor], device: torch.device) -> None:
        """Go on with the sums of an interrupted epoch."""
        self.sums = {name: value.to(device) for name, value in state.items() if name != "count"}
        self.count = int(state.get("count", torch.tensor(0)))

    def worst_process(self) -> int:
        """Return the process that met numbers that are none, and met most of them."""
        counts = from_all(int(self.strange))
        return counts.index(max(counts))

    def over_processes(self) -> dict[str, float]:
        """Return the means over all samples of all processes: one exchange, one synchronisation."""
        names = sorted(self.sums)
        sums = torch.stack([self.sums[name] for name in names])
        everyone = total(torch.cat([sums, sums.new_tensor([self.count])])).tolist()
        return {
            name: value / everyone[-1] for name, value in zip(names, everyone[:-1], strict=True)
        }
