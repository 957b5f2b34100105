"""The memory: a few exemplars of each class, within a budget that is never exceeded. Chapter 3."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from cilkit.config import Between, Config
from cilkit.data.samples import Samples, gathered
from cilkit.data.store import restored_store, store_state
from cilkit.errors import InputError
from cilkit.functional import herd
from cilkit.machine.seeds import seed_for


@dataclass(frozen=True, kw_only=True)
class MemorySettings(Config):
    """The settings of a method that keeps exemplars."""

    budget: Annotated[int, Between(1, 1e9)] = 2000  # exemplars kept
    budget_per: Literal["total", "class"] = "total"  # what the budget counts
    selection: Literal["herding", "random"] = "herding"  # how exemplars are chosen
    herd_on: Literal["normalised", "raw"] = "normalised"  # the features that herding sees

    @property
    def least(self) -> int:
        """Return how many exemplars of a class a method needs."""
        return 1


class Memory:
    """Exemplars by class, best first: when a class's share shrinks, its first ones stay."""

    def __init__(self, config: Any) -> None:
        """Start empty; `MemorySettings` say how many to keep and how to choose them."""
        self.config = config
        self.by_class: list[Samples] = []

    def __len__(self) -> int:
        """Return how many exemplars are kept."""
        return sum(len(samples) for samples in self.by_class)

    @property
    def exemplars(self) -> Samples:
        """Return all exemplars, class after class."""
        if not self.by_class:
            return Samples.of(torch.empty(0), torch.empty(0))
        return gathered(self.by_class)

    def share(self, n_seen: int) -> int:
        """Return how many exemplars a class may keep when `n_seen` classes are known."""
        budget: int = self.config.budget
        return budget if self.config.budget_per == "class" else budget // n_seen

    def add(self, new: Samples, features: Tensor, n_seen: int) -> None:
        """Choose exemplars of the new classes by their features, (N, D); shrink the old ones'."""
        share, choose = self.share(n_seen), SELECTIONS[self.config.selection]
        kept = [samples.take(torch.arange(min(share, len(samples)))) for samples in self.by_class]
        for label, positions in positions_by_class(new.labels).items():
            rows = features.index_select(0, positions).double()  # float32 would round lengths
            if self.config.herd_on == "normalised":
                rows = F.normalize(rows, dim=1)
            chosen = positions[choose(rows, share, seed_for(self.config.seed, label))]
            kept.append(detached(new.take(chosen)))
        self.by_class = kept

    def state(self) -> dict[str, Tensor]:
        """Return all that a checkpoint must hold."""
        exemplars = self.exemplars
        return store_state(exemplars.store) | {"labels": exemplars.labels}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Take the exemplars of a checkpoint."""
        samples = Samples.of(restored_store(state, self.config), state["labels"])
        places = positions_by_class(samples.labels).values()
        self.by_class = [samples.take(positions) for positions in places]


def positions_by_class(labels: Tensor) -> dict[int, Tensor]:
    """Return where each class is, by label, in order: one sort instead of a search for each."""
    ordered, positions = labels.sort(stable=True)
    known, counts = ordered.unique_consecutive(return_counts=True)
    return dict(zip(known.tolist(), positions.split(counts.tolist()), strict=True))


def detached(samples: Samples) -> Samples:
    """Return a copy that keeps its own pixels, or paths, so that the stage's others can go."""
    return gathered([samples]).to(torch.device("cpu"))


def choose_at_random(features: Tensor, m: int, seed: int) -> Tensor:
    """Choose without looking; the same choice in every process."""
    return torch.randperm(len(features), generator=torch.Generator().manual_seed(seed))[:m]


SELECTIONS: dict[str, Callable[[Tensor, int, int], Tensor]] = {
    "herding": lambda features, m, seed: herd(features, m),
    "random": choose_at_random,
}


def check_budget(config: MemorySettings, n_classes: int) -> None:
    """Refuse a budget that leaves a class with fewer exemplars than the method needs."""
    needed = config.least * n_classes
    if config.budget_per == "class" and config.budget < config.least:
        raise InputError(
            f"budget is {config.budget} exemplars of a class; {config.method} needs {config.least}"
        )
    if config.budget_per == "total" and config.budget < needed:
        raise InputError(
            f"budget is {config.budget} exemplars in total, too few for {n_classes} classes; "
            f"give at least {needed}, or --budget-per class"
        )
