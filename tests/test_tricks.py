"""The tricks that a better recipe was looked for with: each does what its line says."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from benchmarks.tricks import TRICKS, Balanced, Packed, Whitened, orthogonal
from conftest import TINY, tiny, tiny_model
from doors import stops_that_differ
from torch import Tensor

from cilkit import Scenario, learn
from cilkit.backbones.small import ResNet
from cilkit.heads import CilClassifier
from cilkit.machine.seeds import seed_all
from cilkit.methods.replay_kd import ReplayKD
from cilkit.methods.wa import WA
from cilkit.runs.records import stage_records


def learner_of(trick: type[ReplayKD]) -> ReplayKD:
    """Return a learner with convolutions."""
    seed_all(0)
    model = tiny_model(CilClassifier(64), tiny(), ResNet(8))
    return trick(model, replace(TINY, method="wa", lr=0.05))


@pytest.mark.parametrize("trick", TRICKS.values())
def test_a_run_with_a_trick_can_be_gone_on_from_any_record(
    trick: type[ReplayKD], tiny_scenario: Scenario
) -> None:
    assert stops_that_differ(lambda: learner_of(trick), tiny_scenario) == []


def test_what_packed_exemplars_take_is_counted_and_they_look_much_as_before(
    tiny_scenario: Scenario,
) -> None:
    plain, packed = learner_of(WA), learner_of(Packed)
    assert isinstance(packed, Packed)
    for learner in (plain, packed):
        records = stage_records(learn(learner, tiny_scenario))
    files = [packed.packed(image) for image in packed.memory.exemplars.images()]
    assert records[-1].facts["bytes"] == pytest.approx(sum(size for _, size in files), rel=0.1)
    assert len(packed.memory) == len(plain.memory)
    image = tiny().train.images()[0]
    error = (packed.packed(image)[0].float() - image.float()).abs().mean()
    assert 0 < error < 40  # of noise, which no format packs well


def test_the_last_epochs_of_a_balanced_stage_see_old_and_new_classes_alike(
    tiny_scenario: Scenario,
) -> None:
    learner, counts = learner_of(Balanced), []
    for record in learn(learner, tiny_scenario):
        if record.stage == 1:
            phases = learner.phases(tiny_scenario.stages[1])
            counts = phases[1].samples.labels.bincount().tolist()
            break
    assert counts == [6, 6, 6, 6]


def test_whitened_filters_answer_to_patches_with_equal_variance_and_apart(
    tiny_scenario: Scenario,
) -> None:
    learner, stage = learner_of(Whitened), tiny_scenario.stages[0]
    learner.grow(stage)
    learner.begin(stage)
    learner.model.eval()
    seen = stage.train.images()[::10]  # as many as it looks at
    patches = F.unfold(learner.model.normalise(seen), 3, padding=1)[:, :, ::7]
    weight: Tensor = learner.model.backbone.get_parameter("conv.weight").flatten(1)
    answers = (weight @ patches).transpose(0, 1).flatten(1).double()
    products = answers @ answers.T / answers.shape[1]
    scale = products.diagonal().mean()
    assert torch.allclose(products / scale, torch.eye(16).double(), atol=0.1)


def test_an_orthogonal_step_has_directions_of_about_equal_length() -> None:
    torch.manual_seed(0)
    for shape in ((8, 27), (27, 8)):
        matrix = torch.randn(shape)
        left, _, right = torch.linalg.svd(matrix, full_matrices=False)
        lengths = (left.T @ orthogonal(matrix) @ right.T).diagonal()
        assert lengths.min() > 0.6
        assert lengths.max() < 1.3
