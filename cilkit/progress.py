"""How far a run is: means over an epoch, taken without waiting for the device at each step."""

from collections.abc import Mapping

import torch
from torch import Tensor

from cilkit.machine.processes import from_all, total


class Means:
    """Sums of named values that stay on their device until the end of an epoch."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.names: tuple[str, ...] = ()
        self.sums: Tensor = torch.zeros(0)
        self.strange: Tensor = torch.zeros(())  # steps with a value that was no finite number
        self.count = 0

    def add(self, count: int, values: Mapping[str, Tensor]) -> None:
        """Add the means of `count` samples; the names are the same at each step."""
        names = tuple(sorted(values))
        row = torch.stack([values[name].detach().float() for name in names])
        if not self.names:
            self.names, self.sums = names, torch.zeros_like(row)
            self.strange = torch.zeros((), device=row.device)
        self.sums += count * row
        self.strange += ~row.isfinite().all()
        self.count += count

    def state(self) -> dict[str, Tensor]:
        """Return all that an interrupted epoch must remember."""
        sums = dict(zip(self.names, self.sums, strict=True))
        others = {"count": torch.tensor(self.count), "strange": self.strange}
        return sums | others if sums else {}

    def restore(self, state: Mapping[str, Tensor], device: torch.device) -> None:
        """Go on with the sums of an interrupted epoch."""
        self.names = tuple(sorted(state.keys() - {"count", "strange"}))
        if self.names:
            self.sums = torch.stack([state[name] for name in self.names]).to(device)
            # Checkpoints of earlier versions do not hold it.
            self.strange = state.get("strange", torch.zeros(())).to(device)
            self.count = int(state["count"])

    def over_processes(self) -> dict[str, float]:
        """Return the means over all samples of all processes: one exchange, one synchronisation."""
        everyone = total(torch.cat([self.sums, self.sums.new_tensor([self.count])])).tolist()
        sums = zip(self.names, everyone[:-1], strict=True)
        return {name: value / everyone[-1] for name, value in sums}

    def worst_process(self) -> int:
        """Return the process that met values that are no finite numbers most often."""
        counts = from_all(int(self.strange))
        return counts.index(max(counts))
