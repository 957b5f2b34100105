"""The memory: which images it keeps, how many, and that they are its own."""

from itertools import pairwise
from typing import Literal, get_args

import pytest
import torch
from conftest import Herding
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from cilkit.config import Config
from cilkit.data.samples import Samples
from cilkit.errors import InputError
from cilkit.functional import herd
from cilkit.memory import Memory, check_budget, positions_by_class

# A stage: the number of images of each of its new classes.
Counts = list[int]
Selection = Literal["herding", "random"]


def new_classes(counts: Counts, first_label: int = 0) -> Samples:
    """Images of new classes, all different and in no order: their pixels say which they are."""
    labels = torch.cat([torch.full((n,), first_label + i) for i, n in enumerate(counts)])
    labels = labels[
        torch.randperm(len(labels), generator=torch.Generator().manual_seed(len(labels)))
    ]
    numbers = 1000 * first_label + torch.arange(len(labels))
    images = torch.stack([numbers // 256, numbers % 256], dim=1).byte().view(-1, 1, 1, 2)
    return Samples.of(images, labels)


def numbers(samples: Samples) -> list[int]:
    """Which images these are."""
    high, low = samples.images().flatten(1).long().unbind(1)
    return (256 * high + low).tolist()


def by_class(memory: Memory) -> dict[int, list[int]]:
    """Which images the memory holds, for each label."""
    kept = memory.exemplars
    labels = kept.labels.unique().tolist()
    return {label: numbers(kept.take((kept.labels == label).nonzero()[:, 0])) for label in labels}


def features_for(samples: Samples, seed: int = 0) -> Tensor:
    """Features of lengths that differ by a factor of some hundred."""
    generator = torch.Generator().manual_seed(seed)
    lengths = 10 ** (3 * torch.rand(len(samples), 1, generator=generator) - 1)
    return lengths * torch.randn(len(samples), 5, generator=generator).abs()


def fill(memory: Memory, stages: list[Counts]) -> list[dict[int, list[int]]]:
    """Add stage after stage; return what the memory held after each."""
    held, n_seen = [], 0
    for counts in stages:
        new = new_classes(counts, n_seen)
        n_seen += len(counts)
        memory.add(new, features_for(new), n_seen)
        held.append(by_class(memory))
    return held


splits = st.lists(st.lists(st.integers(1, 12), min_size=1, max_size=3), min_size=1, max_size=4)
budgets = st.integers(1, 40)
selections = st.sampled_from(get_args(Selection))


@given(splits, budgets, selections)
def test_the_budget_is_never_exceeded(
    stages: list[Counts], budget: int, selection: Selection
) -> None:
    memory = Memory(Config(budget=budget, selection=selection))
    totals = [sum(map(len, held.values())) for held in fill(memory, stages)]
    assert max(totals) <= budget


@given(splits, budgets, selections)
def test_each_class_has_its_share_or_all_it_ever_had(
    stages: list[Counts], budget: int, selection: Selection
) -> None:
    memory = Memory(Config(budget=budget, selection=selection))
    fill(memory, stages)
    counts = [count for stage in stages for count in stage]
    expected = [min(count, budget // len(counts)) for count in counts]
    found = by_class(memory)
    assert [len(found.get(label, [])) for label in range(len(counts))] == expected


@given(splits, budgets, selections)
def test_a_budget_per_class_is_each_classs_share(
    stages: list[Counts], budget: int, selection: Selection
) -> None:
    memory = Memory(Config(budget=budget, budget_per="class", selection=selection))
    fill(memory, stages)
    expected = [min(count, budget) for stage in stages for count in stage]
    assert [len(images) for images in by_class(memory).values()] == expected


@given(splits, budgets, selections)
def test_no_exemplar_is_kept_twice_even_of_a_class_smaller_than_its_share(
    stages: list[Counts], budget: int, selection: Selection
) -> None:
    """The tutorial kept duplicates of such a class, more of them in each stage."""
    memory = Memory(Config(budget=budget, selection=selection))
    fill(memory, stages)
    kept = numbers(memory.exemplars) if len(memory) else []
    assert len(set(kept)) == len(kept)


@given(splits, budgets, selections)
def test_an_old_class_keeps_the_beginning_of_what_it_had(
    stages: list[Counts], budget: int, selection: Selection
) -> None:
    memory = Memory(Config(budget=budget, selection=selection))
    held = fill(memory, stages)
    for before, after in pairwise(held):
        kept = {label: after.get(label, []) for label in before}
        assert kept == {label: images[: len(kept[label])] for label, images in before.items()}


def test_a_stage_that_shrinks_no_share_leaves_old_exemplars_alone() -> None:
    first, second = fill(Memory(Config(budget=3, budget_per="class")), [[9, 9], [9, 9]])
    assert {label: second[label] for label in first} == first


def test_only_new_samples_are_added() -> None:
    memory = Memory(Config(budget=12))
    fill(memory, [[9, 9]])
    new = new_classes([8, 8], 2)
    memory.add(new, features_for(new), 4)
    added = {image for label in (2, 3) for image in by_class(memory)[label]}
    assert added <= set(numbers(new))


def test_exemplars_keep_their_labels() -> None:
    memory, new = Memory(Config(budget=12)), new_classes([7, 7, 7])
    memory.add(new, features_for(new), 3)
    labels = dict(zip(numbers(new), new.labels.tolist(), strict=True))
    expected = [labels[image] for image in numbers(memory.exemplars)]
    assert memory.exemplars.labels.tolist() == expected


def test_a_budget_per_class_gives_each_class_so_many() -> None:
    held = fill(Memory(Config(budget=4, budget_per="class")), [[9, 9], [9], [9, 9]])
    assert [[len(images) for images in state.values()] for state in held] == [
        [4] * n for n in (2, 3, 5)
    ]


@pytest.mark.parametrize(("n_seen", "share"), [(50, 40), (60, 33), (100, 20)])
def test_a_total_budget_of_2000_is_shared_in_whole_numbers(n_seen: int, share: int) -> None:
    assert Memory(Config(budget=2000)).share(n_seen) == share


def test_the_memory_is_empty_at_first() -> None:
    assert len(Memory(Config()).exemplars) == 0


# The choice


def chosen_by(config: Config) -> dict[int, list[int]]:
    """What a memory of these settings keeps of two classes of 30."""
    return fill(Memory(config), [[30, 30]])[0]


def test_two_memories_of_one_seed_choose_the_same_at_random() -> None:
    config = Config(budget=10, selection="random", seed=3)
    torch.manual_seed(0)
    first = chosen_by(config)
    torch.manual_seed(1)
    assert chosen_by(config) == first


def test_another_seed_chooses_others_at_random() -> None:
    first, second = (chosen_by(Config(budget=10, selection="random", seed=seed)) for seed in (3, 4))
    assert first != second


def test_a_random_choice_differs_from_herding() -> None:
    assert chosen_by(Config(budget=10, selection="random")) != chosen_by(Config(budget=10))


@pytest.mark.parametrize("herd_on", ["raw", "normalised"])
def test_herding_follows_algorithm_4_of_the_features_asked_for(
    herd_on: Literal["raw", "normalised"], algorithm_4: Herding
) -> None:
    memory, new = Memory(Config(budget=20, herd_on=herd_on)), new_classes([30, 30])
    features = features_for(new)
    memory.add(new, features, 2)
    if herd_on == "normalised":
        features = features.double() / features.double().norm(dim=1, keepdim=True)
    expected = {}
    for label in (0, 1):
        positions = (new.labels == label).nonzero()[:, 0]
        chosen = positions[algorithm_4(features[positions], 10)]
        expected[label] = numbers(new.take(chosen))
    assert by_class(memory) == expected


def test_raw_and_normalised_features_lead_to_different_choices() -> None:
    raw, normalised = Config(budget=20, herd_on="raw"), Config(budget=20, herd_on="normalised")
    assert chosen_by(raw) != chosen_by(normalised)


def test_features_of_length_zero_are_herded_too() -> None:
    memory, new = Memory(Config(budget=4)), new_classes([6])
    memory.add(new, torch.zeros(6, 5), 1)
    assert len(memory) == 4


# Pixels and state


def test_the_memory_keeps_pixels_of_its_own() -> None:
    memory, new = Memory(Config(budget=6)), new_classes([9, 9])
    memory.add(new, features_for(new), 2)
    before = memory.exemplars.images().clone()
    new.store.zero_()
    assert torch.equal(memory.exemplars.images(), before)


def test_the_memory_lets_go_of_the_images_it_did_not_choose() -> None:
    memory, new = Memory(Config(budget=6)), new_classes([90, 90])
    memory.add(new, features_for(new), 2)
    assert [len(samples.store) for samples in memory.by_class] == [3, 3]


def restored(memory: Memory) -> Memory:
    state = {name: tensor.clone() for name, tensor in memory.state().items()}
    other = Memory(memory.config)
    other.restore(state)
    return other


def test_a_restored_memory_holds_the_same_in_the_same_order() -> None:
    memory = Memory(Config(budget=10))
    fill(memory, [[9, 9], [2, 9]])
    assert by_class(restored(memory)) == by_class(memory)


def test_a_restored_memory_goes_on_as_the_original_would() -> None:
    memory = Memory(Config(budget=10))
    fill(memory, [[9, 9]])
    other, new = restored(memory), new_classes([9, 9], 2)
    for each in (memory, other):
        each.add(new, features_for(new), 4)
    assert by_class(other) == by_class(memory)


def test_an_empty_memory_can_be_restored() -> None:
    assert len(restored(Memory(Config()))) == 0


def test_restoring_forgets_what_was_there_before() -> None:
    memory, other = Memory(Config(budget=10)), Memory(Config(budget=10))
    fill(memory, [[9, 9]])
    fill(other, [[5], [5], [5]])
    other.restore(memory.state())
    assert by_class(other) == by_class(memory)


# The budget's check


def test_a_budget_below_one_exemplar_per_class_is_refused() -> None:
    with pytest.raises(InputError, match=r"budget is 9 .* at least 10"):
        check_budget(Config(budget=9), 10)


@pytest.mark.parametrize("config", [Config(budget=10), Config(budget=1, budget_per="class")])
def test_a_budget_of_one_exemplar_per_class_is_accepted(config: Config) -> None:
    check_budget(config, 10)
    assert config.budget <= Memory(config).share(10) * 10


def test_herding_in_the_memory_is_the_public_herd() -> None:
    memory, new = Memory(Config(budget=5, herd_on="raw")), new_classes([30])
    features = features_for(new)
    memory.add(new, features, 1)
    assert numbers(memory.exemplars) == numbers(new.take(herd(features, 5)))


@pytest.mark.parametrize("seed", range(5))
def test_herding_in_the_memory_sees_differences_that_float32_lengths_do_not(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    row = torch.rand(16, generator=generator)
    up = torch.rand(30, 16, generator=generator) < 0.5
    features = torch.where(up, row.nextafter(row + 1), row)  # neighbours, one bit apart
    memory, new = Memory(Config(budget=10)), new_classes([30])
    memory.add(new, features, 1)
    exact = features.double() / features.double().norm(dim=1, keepdim=True)
    assert numbers(memory.exemplars) == numbers(new.take(herd(exact, 10)))


def test_the_positions_of_a_class_are_those_of_its_label_in_order() -> None:
    labels = new_classes([5, 1, 7], first_label=3).labels
    found = {label: positions.tolist() for label, positions in positions_by_class(labels).items()}
    assert found == {label: (labels == label).nonzero()[:, 0].tolist() for label in (3, 4, 5)}
