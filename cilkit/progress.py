"""How far a run is: counters, means of the epoch, and the optimizer of the phase."""

from collections.abc import Callable, Mapping
from math import isfinite

import torch
from torch import Tensor, nn
from torch.amp.grad_scaler import GradScaler

from cilkit.config import Config
from cilkit.machine.processes import average_statistics, from_all, total
from cilkit.machine.stopping import stop_if_asked
from cilkit.plan import Plan


class Means:
    """Sums of named values that stay on their device until the end of an epoch."""

    def __init__(self) -> None:
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


class Progress:
    """What is done of a run, and what its training remembers from step to step."""

    def __init__(self) -> None:
        self.stages_done, self.epoch, self.step = 0, 0, 0  # an epoch counts through all phases
        self.means = Means()  # of the epoch so far
        self.watchers: list[Callable[[Progress], None]] = []  # are told of each step
        self.optimizer: torch.optim.Optimizer | None = None
        self.scaler = GradScaler(enabled=False)  # for fp16 alone
        # A checkpoint's, until the optimizer and the scaler are built.
        self.momentum: dict[str, Tensor] = {}
        self.scaling: dict[str, Tensor] = {}

    @property
    def in_stage(self) -> bool:
        """Tell whether the stage that is due has begun to train."""
        return (self.epoch, self.step) != (0, 0)

    def start_phase(self, model: nn.Module, config: Config, plan: Plan, first: int) -> None:
        """Build the optimizer of a phase that begins with epoch `first`, or go on with it."""
        if (self.epoch, self.step) == (first, 0):
            self.forget_optimizer()
        if self.optimizer is None:
            device = next(model.parameters()).device.type
            self.scaler = GradScaler(device, enabled=config.precision == "fp16")
            if self.scaling:
                self.scaler.load_state_dict({k: v.item() for k, v in self.scaling.items()})
            parameters = {n: p for n, p in model.named_parameters() if p.requires_grad}
            self.optimizer = torch.optim.SGD(
                parameters.values(),
                momentum=config.momentum,
                nesterov=config.nesterov,
                weight_decay=plan.weight_decay,
            )
            for name, buffer in self.momentum.items():
                mine = buffer.to(parameters[name].device, copy=True)
                self.optimizer.state[parameters[name]]["momentum_buffer"] = mine

    def forget_optimizer(self) -> None:
        """Let the next one start anew."""
        self.optimizer, self.momentum, self.scaling = None, {}, {}

    def scaled(self, loss: Tensor) -> Tensor:
        """Return what to take the gradients of: in fp16 a multiple, lest they vanish."""
        return self.scaler.scale(loss)

    def take_step(self, lr: float) -> None:
        """Change the weights by their gradients; in fp16, only by those that are finite."""
        assert self.optimizer is not None
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def finish_step(self, count: int, values: dict[str, Tensor]) -> None:
        """Count a step of `count` images; raise `Stopped` if somebody wants the program to end."""
        self.means.add(count, values)
        self.step += 1
        for watch in self.watchers:
            watch(self)
        stop_if_asked(self.step)

    def finish_epoch(self, model: nn.Module) -> dict[str, float]:
        """Go on to the next epoch; return the means of this one.

        Raises `FloatingPointError` if a loss is not a number any more.
        """
        average_statistics(model)
        means = self.means.over_processes()
        if lost := [name for name, value in means.items() if not isfinite(value)]:
            raise FloatingPointError(
                f"{lost[0]} is {means[lost[0]]} in stage {self.stages_done + 1}, epoch "
                f"{self.epoch + 1}, process {self.means.worst_process()}; a lower learning rate "
                f"may help"
            )
        if broken := first_broken(model):
            raise FloatingPointError(
                f"{broken} is not finite after stage {self.stages_done + 1}, epoch "
                f"{self.epoch + 1}; a lower learning rate may help"
            )
        self.epoch, self.step, self.means = self.epoch + 1, 0, Means()
        return means

    def finish_stage(self) -> None:
        """Go on to the next stage; its optimizer starts anew."""
        self.stages_done, self.epoch = self.stages_done + 1, 0
        self.forget_optimizer()


def first_broken(model: nn.Module) -> str:
    """Return the name of a tensor that holds a number that is not finite, or ''.

    The device is waited for once: only where something is wrong does each tensor answer.
    """
    state = model.state_dict()
    fine = torch.stack([tensor.isfinite().all() for tensor in state.values()])
    return "" if fine.all() else next(name for name, ok in zip(state, fine, strict=True) if not ok)
