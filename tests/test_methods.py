"""The methods: one contract for all, and what each adds to it."""

from dataclasses import replace
from itertools import takewhile

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from conftest import Herding, MakeLearner, MakeModel, same
from numpy.typing import NDArray
from torch import Tensor

from cilkit.backbones import build_backbone
from cilkit.comparison import shares_first_stage
from cilkit.config import Config
from cilkit.data.samples import Samples
from cilkit.data.scenario import Scenario, Stage, build_scenario
from cilkit.errors import InputError
from cilkit.learner import Learner
from cilkit.loop import learn
from cilkit.methods import METHODS
from cilkit.model import CilModel
from cilkit.runs.records import EpochRecord, StageRecord, epoch_records, stage_records

REPLAYING = ("replay", "replay-kd", "wa", "icarl")
DISTILLING = ("lwf", "replay-kd", "wa", "icarl", "bic")
# of methods that have others
LATER_LOSSES = {
    "fetril": ["ce", "pseudo"],
    "ewc": ["ce", "ewc"],
    "lucir": ["ce", "features", "ranking"],
    "der": ["ce", "auxiliary"],
    "podnet": ["nca", "flat", "pod"],
}
ONE_PHASE = [name for name, method in METHODS.items() if method.phases is Learner.phases]


def begun(learner: Learner, stage: Stage) -> Samples:
    """Bring a learner to the first step of a stage; return what it trains on."""
    learner.grow(stage)
    learner.begin(stage)
    return learner.samples(stage)


def walk(learner: Learner, *stages: Stage) -> dict[str, float]:
    """Begin and end these stages without training; return the last one's facts."""
    facts: dict[str, float] = {}
    for stage in stages:
        begun(learner, stage)
        facts = learner.end(stage)
    return facts


def disturb(model: CilModel) -> None:
    """Change every weight, as training would; the newest head most."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        for parameter in model.classifier.heads[-1].parameters():
            parameter.mul_(3)


def in_stage(learner: Learner, stages: tuple[Stage, ...]) -> Stage:
    """Bring a learner into the middle of the last of these stages; return that stage."""
    walk(learner, *stages[:-1])
    begun(learner, stages[-1])
    disturb(learner.model)
    return stages[-1]


def batch_of(samples: Samples) -> tuple[Tensor, Tensor]:
    return samples.images()[:13], samples.labels[:13]


def losses_of(learner: Learner, stage: Stage) -> dict[str, Tensor]:
    images, labels = batch_of(stage.train)
    return learner.losses(learner.model.see(images), labels)


def log_softmax(logits: Tensor) -> NDArray[np.float64]:
    values = logits.detach().double().numpy()
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def cross_entropy(logits: Tensor, labels: Tensor) -> float:
    """The mean of -log of the true class's probability, in float64."""
    return float(-log_softmax(logits)[np.arange(len(labels)), labels.numpy()].mean())


def divergence(student: Tensor, teacher: Tensor, temperature: float) -> float:
    """The mean of sum p log (p / q), softened, in float64."""
    log_q, log_p = (
        log_softmax(student.double() / temperature),
        log_softmax(teacher.double() / temperature),
    )
    return float((np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean())


# What all have in common; the contract with the loop is in test_contract.py


@pytest.mark.parametrize("method", METHODS)
def test_the_model_has_a_logit_for_each_class_seen_so_far(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    for stage in tiny_scenario.stages:
        walk(learner, stage)
        assert learner.model.classifier.n_classes == stage.n_seen


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("n_stages", [1, 2, 3])
def test_losses_are_finite_numbers_that_can_be_trained(
    method: str, n_stages: int, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    losses = losses_of(learner, in_stage(learner, tiny_scenario.stages[:n_stages]))
    facts = [
        (value.shape, bool(value.isfinite()), value.requires_grad) for value in losses.values()
    ]
    assert facts == [(torch.Size([]), True, True)] * len(losses)


@pytest.mark.parametrize("method", METHODS)
def test_each_part_of_a_later_stages_loss_has_its_name(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    losses = losses_of(learner, in_stage(learner, tiny_scenario.stages[:2]))
    usual = ["ce", "kd"] if method in DISTILLING else ["ce"]
    assert list(losses) == LATER_LOSSES.get(method, usual)


@pytest.mark.parametrize("method", [name for name in METHODS if name != "podnet"])
def test_the_first_stages_loss_is_plain_cross_entropy(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    stage = in_stage(learner, tiny_scenario.stages[:1])
    images, labels = batch_of(stage.train)
    expected = cross_entropy(learner.model(images), labels)
    found = {name: value.item() for name, value in losses_of(learner, stage).items()}
    assert found == {"ce": pytest.approx(expected, rel=1e-5)}


SHARING = [
    name for name in METHODS if shares_first_stage(Config(method=name)) and name != "finetune"
]


@pytest.mark.parametrize("method", SHARING)
def test_methods_that_share_their_first_stage_train_it_alike(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    def first_epochs(name: str) -> list[EpochRecord]:
        records = learn(make_learner(name), tiny_scenario)
        return epoch_records(takewhile(lambda record: isinstance(record, EpochRecord), records))

    assert first_epochs(method) == first_epochs("finetune")


@pytest.mark.parametrize("method", ONE_PHASE)
def test_every_method_goes_through_all_epochs_and_stages(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    kinds = [record.kind for record in learn(make_learner(method), tiny_scenario)]
    assert kinds == ["epoch", "epoch", "stage"] * 3


@pytest.mark.parametrize("method", METHODS)
def test_no_loss_reaches_the_teachers_weights(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    torch.stack([*losses_of(learner, stage).values()]).sum().backward()
    taught = [] if learner.teacher is None else list(learner.teacher.parameters())
    assert [parameter.grad for parameter in taught] == [None] * len(taught)


# Fine-tuning and joint training


def test_fine_tuning_keeps_neither_exemplars_nor_a_teacher(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("finetune")
    walk(learner, *tiny_scenario.stages)
    assert (len(learner.memory), learner.teacher) == (0, None)


def test_fine_tuning_sees_only_the_new_classes(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("finetune")
    walk(learner, tiny_scenario.stages[0])
    assert same(begun(learner, tiny_scenario.stages[1]), tiny_scenario.stages[1].train)


def test_label_smoothing_mixes_in_the_mean_over_classes(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("finetune", label_smoothing=0.3)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    images, labels = batch_of(stage.train)
    logits = learner.model(images)
    uniform = float(-log_softmax(logits).mean())
    expected = 0.7 * cross_entropy(logits, labels) + 0.3 * uniform
    assert losses_of(learner, stage)["ce"].item() == pytest.approx(expected, rel=1e-5)


def test_joint_training_sees_all_images_of_all_classes_so_far(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("joint")
    walk(learner, *tiny_scenario.stages[:2])
    counts = begun(learner, tiny_scenario.stages[2]).labels.bincount()
    assert counts.tolist() == [20] * 6


def test_joint_training_needs_no_memory(make_learner: MakeLearner, tiny_scenario: Scenario) -> None:
    learner = make_learner("joint")
    walk(learner, *tiny_scenario.stages)
    assert (len(learner.memory), learner.teacher) == (0, None)


# Replay


@pytest.mark.parametrize("method", REPLAYING)
def test_replay_fills_its_memory_at_the_end_of_each_stage(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner, counts = make_learner(method, budget=12), []
    for stage in tiny_scenario.stages:
        walk(learner, stage)
        counts.append(learner.memory.exemplars.labels.bincount().tolist())
    assert counts == [[6] * 2, [3] * 4, [2] * 6]


@pytest.mark.parametrize("method", REPLAYING)
def test_replay_trains_on_the_new_images_and_the_exemplars(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner, new = make_learner(method), tiny_scenario.stages[1].train
    walk(learner, tiny_scenario.stages[0])
    kept = learner.memory.exemplars
    images = torch.cat([new.images(), kept.images()])
    expected = Samples.of(images, torch.cat([new.labels, kept.labels]))
    assert same(begun(learner, tiny_scenario.stages[1]), expected)


@pytest.mark.parametrize("method", REPLAYING)
def test_exemplars_are_herded_on_clean_images_in_evaluation_mode(
    method: str,
    make_model: MakeModel,
    tiny_config: Config,
    tiny_scenario: Scenario,
    algorithm_4: Herding,
) -> None:
    """Training augments its images, and batch norm sees each batch: herding must do neither."""
    model = make_model(build_backbone("resnet8", 3), features=64)
    learner = METHODS[method](model, replace(tiny_config, augment="paper", epochs=1))
    list(takewhile(lambda record: isinstance(record, EpochRecord), learn(learner, tiny_scenario)))
    train = tiny_scenario.stages[0].train
    features = F.normalize(learner.model.eval().features(train.images()).detach())
    for label in (0, 1):
        positions = (train.labels == label).nonzero()[:, 0]
        chosen = positions[algorithm_4(features[positions], 6)]
        assert torch.equal(learner.memory.by_class[label].images(), train.images()[chosen])


# Distillation


@pytest.mark.parametrize("method", ["finetune", "replay", "joint"])
def test_without_distillation_there_is_no_teacher(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    walk(learner, *tiny_scenario.stages)
    assert learner.teacher is None


def test_lwf_keeps_no_exemplars(make_learner: MakeLearner, tiny_scenario: Scenario) -> None:
    learner = make_learner("lwf")
    walk(learner, *tiny_scenario.stages)
    assert len(learner.memory) == 0


def test_lwf_sees_only_the_new_classes(make_learner: MakeLearner, tiny_scenario: Scenario) -> None:
    learner = make_learner("lwf")
    walk(learner, tiny_scenario.stages[0])
    assert same(begun(learner, tiny_scenario.stages[1]), tiny_scenario.stages[1].train)


@pytest.mark.parametrize(("method", "pushed"), [("lwf", False), ("replay-kd", True), ("wa", True)])
def test_labels_push_old_classes_down_only_where_exemplars_can_answer(
    method: str, pushed: bool, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    images, labels = batch_of(stage.train)
    seen = learner.model.see(images)
    seen = seen._replace(logits=seen.logits.detach().requires_grad_())
    (gradient,) = torch.autograd.grad(learner.losses(seen, labels)["ce"], seen.logits)
    assert bool(gradient[:, : stage.n_old].ne(0).any()) == pushed


@pytest.mark.parametrize("method", DISTILLING)
@pytest.mark.parametrize("t_squared", [False, True])
@pytest.mark.parametrize("weight", ["dynamic", 0.3])
@pytest.mark.parametrize("mix", ["convex", "additive"])
def test_the_losses_are_weighted_as_the_settings_say(
    method: str,
    t_squared: bool,
    weight: str | float,
    mix: str,
    make_learner: MakeLearner,
    tiny_scenario: Scenario,
) -> None:
    """In the third stage four of six classes are old, so a dynamic lambda is 4 / 6."""
    learner = make_learner(
        method, temperature=3.0, kd_t_squared=t_squared, kd_weight=weight, kd_mix=mix
    )
    stage = in_stage(learner, tiny_scenario.stages)
    assert learner.teacher is not None
    images, labels = batch_of(stage.train)
    logits = learner.model(images)
    lambda_ = 4 / 6 if weight == "dynamic" else 0.3
    kd = divergence(logits[:, :4], learner.teacher(images), 3.0) * (9 if t_squared else 1)
    rivals = 4 if method == "lwf" else 0  # without exemplars, the new classes compete alone
    ce = cross_entropy(logits[:, rivals:], labels - rivals)
    ce *= 1 - lambda_ if mix == "convex" else 1
    found = {name: value.item() for name, value in losses_of(learner, stage).items()}
    assert found == pytest.approx({"ce": ce, "kd": lambda_ * kd}, rel=1e-4)


@pytest.mark.parametrize("method", DISTILLING)
def test_distillation_asks_nothing_of_the_new_classes_logits(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    images, labels = batch_of(stage.train)
    seen = learner.model.see(images)
    seen = seen._replace(logits=seen.logits.detach().requires_grad_())
    (gradient,) = torch.autograd.grad(learner.losses(seen, labels)["kd"], seen.logits)
    assert gradient[:, stage.n_old :].eq(0).all() and gradient[:, : stage.n_old].ne(0).any()


@pytest.mark.parametrize("method", DISTILLING)
def test_the_teacher_is_the_model_at_the_end_of_the_stage(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    learner.end(stage)
    images, _ = batch_of(stage.train)
    assert learner.teacher is not None
    assert torch.equal(learner.teacher(images), learner.model(images))


@pytest.mark.parametrize("method", DISTILLING)
def test_the_teacher_knows_only_the_old_classes_while_the_model_grows(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    in_stage(learner, tiny_scenario.stages)
    assert learner.teacher is not None
    assert (learner.teacher.classifier.n_classes, learner.model.classifier.n_classes) == (4, 6)


def test_a_convex_mixture_of_more_than_one_is_refused() -> None:
    """It would give the cross-entropy a negative weight: the labels would be unlearned."""
    with pytest.raises(InputError, match="kd_weight"):
        Config(kd_mix="convex", kd_weight=1.5)


# Weight alignment


def mean_lengths(weight: Tensor, n_old: int) -> tuple[float, float]:
    """The mean lengths of old and of new prototypes, in float64."""
    lengths = np.sqrt((weight.detach().double().numpy() ** 2).sum(axis=1))
    return float(lengths[:n_old].mean()), float(lengths[n_old:].mean())


def test_wa_reports_the_gamma_of_the_prototypes_as_trained(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("wa")
    stage = in_stage(learner, tiny_scenario.stages[:2])
    old, new = mean_lengths(learner.model.classifier.weight, stage.n_old)
    assert learner.end(stage) == {"gamma": pytest.approx(old / new, rel=1e-5)}


def test_wa_gives_new_prototypes_the_old_ones_mean_length(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("wa")
    stage = in_stage(learner, tiny_scenario.stages)
    learner.end(stage)
    old, new = mean_lengths(learner.model.classifier.weight, stage.n_old)
    assert new == pytest.approx(old, rel=1e-5)


def test_wa_leaves_the_old_prototypes_alone(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("wa")
    stage = in_stage(learner, tiny_scenario.stages)
    before = learner.model.classifier.weight.detach()[: stage.n_old].clone()
    learner.end(stage)
    assert torch.equal(learner.model.classifier.weight[: stage.n_old], before)


def test_wa_aligns_nothing_in_the_first_stage(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("wa")
    stage = in_stage(learner, tiny_scenario.stages[:1])
    before = learner.model.classifier.weight.detach().clone()
    assert learner.end(stage) == {}
    assert torch.equal(learner.model.classifier.weight, before)


@pytest.mark.parametrize("asked", [False, True])
def test_wa_scales_the_new_bias_only_when_asked(
    asked: bool, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner("wa", head_bias=True, align_bias=asked)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    bias = learner.model.classifier.heads[-1].bias
    assert isinstance(bias, Tensor)
    before = bias.detach().clone()
    gamma = learner.end(stage)["gamma"]
    torch.testing.assert_close(bias.detach(), before * (gamma if asked else 1.0))


@pytest.mark.parametrize("method", [name for name in METHODS if name not in ("wa", "der")])
def test_no_other_method_touches_the_prototypes_at_the_end(
    method: str, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = make_learner(method)
    stage = in_stage(learner, tiny_scenario.stages[:2])
    before = learner.model.classifier.weight.detach().clone()
    learner.end(stage)
    assert torch.equal(learner.model.classifier.weight, before)


# What the loop makes of it


def trained(make_learner: MakeLearner, scenario: Scenario, **settings: object) -> Learner:
    learner = make_learner("wa", **settings)
    list(learn(learner, scenario))
    return learner


def last_records(make_learner: MakeLearner, scenario: Scenario) -> tuple[EpochRecord, StageRecord]:
    """The records of WA's last epoch and last stage."""
    records = list(learn(make_learner("wa"), scenario))
    return epoch_records(records)[-1], stage_records(records)[-1]


def test_a_stages_result_is_that_of_the_aligned_model(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    _, record = last_records(make_learner, tiny_scenario)
    norms = np.array(record.after.norms)
    assert norms[:4].mean() == pytest.approx(norms[4:].mean(), abs=1e-4)


def test_a_stages_record_also_shows_the_model_as_trained(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    epoch, record = last_records(make_learner, tiny_scenario)
    assert record.before.norms == epoch.norms


def test_a_stages_confusion_counts_what_the_final_model_predicts(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner, test = make_learner("wa"), tiny_scenario.stages[-1].test
    record = stage_records(learn(learner, tiny_scenario))[-1]
    expected = np.zeros((6, 6), dtype=int)
    predicted = learner.model.eval()(test.images()).argmax(1)
    np.add.at(expected, (test.labels.numpy(), predicted.numpy()), 1)
    assert record.after.confusion == expected.tolist()


def test_an_epochs_loss_is_the_mean_over_all_of_its_samples(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    """At a learning rate that moves nothing, however unequal the batches are."""
    learner = make_learner("finetune", lr=1e-12, epochs=1, batch_size=39)
    record = next(learn(learner, tiny_scenario))
    assert isinstance(record, EpochRecord)
    train = tiny_scenario.stages[0].train
    expected = cross_entropy(learner.model.eval()(train.images()), train.labels)
    assert record.losses["ce"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("clip", [False, True])
def test_weights_are_clipped_at_zero_only_when_asked(
    clip: bool, make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = trained(make_learner, tiny_scenario, clip_weights=clip)
    assert bool((learner.model.classifier.weight >= 0).all()) is clip


def test_a_budget_per_class_is_kept_through_a_whole_run(
    make_learner: MakeLearner, tiny_scenario: Scenario
) -> None:
    learner = trained(make_learner, tiny_scenario, budget=3, budget_per="class")
    assert learner.memory.exemplars.labels.bincount().tolist() == [3] * 6


def test_a_run_without_a_base_starts_with_an_increment(
    make_learner: MakeLearner, tiny_scenario: Scenario, tiny_config: Config
) -> None:
    scenario = build_scenario(tiny_scenario.dataset, replace(tiny_config, base=0, increment=3))
    assert trained(make_learner, scenario).model.classifier.head_sizes == [3, 3]
