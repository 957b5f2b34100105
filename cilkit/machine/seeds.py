"""Seeds: whatever is random follows from a place in the run."""

import random

import numpy as np
import torch


def seeds_for(*parts: int) -> list[int]:
    """Return three well-mixed seeds for a tuple of numbers, such as (seed, stage, epoch, rank)."""
    mixed = np.random.SeedSequence((*parts, len(parts)))  # it would take no notice of last zeros
    return [int(word) for word in mixed.generate_state(3)]


def seed_for(*parts: int) -> int:
    """Return one of them, torch's."""
    return seeds_for(*parts)[0]


def seed_all(*parts: int) -> None:
    """Seed Python, NumPy and torch; all three, since timm's augmentation draws from each."""
    seed_cpu(*parts)
    torch.manual_seed(seed_for(*parts))  # GPUs too


def seed_cpu(*parts: int) -> None:
    """Seed the same, but for GPUs, on which torch spends a millisecond: too much for each image.

    Each gets a seed of its own: NumPy's generator is torch's, and would draw the same numbers.
    """
    seed, for_numpy, for_python = seeds_for(*parts)
    torch.default_generator.manual_seed(seed)
    np.random.seed(for_numpy)
    random.seed(for_python)
