"""The model: what grows, what stays, what is copied, and what it sees of an image."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pytest
import torch
from conftest import MakeModel
from torch import Tensor, nn

from cilkit.backbones import BACKBONES, Block, build_backbone, feature_size
from cilkit.config import Config
from cilkit.data.samples import Samples
from cilkit.data.scenario import Scenario
from cilkit.errors import InputError
from cilkit.experiment import build_model
from cilkit.heads import CilClassifier
from cilkit.inference import CHUNK, features_of, predict
from cilkit.machine.arithmetic import Arithmetic
from cilkit.model import CilModel, Normalise

FEATURES = 7
# A uniform weight in [-bound, bound], in units of 1 / sqrt(features): `nn.Linear` documents 1 for
# weights; `nn.init.kaiming_uniform_` documents gain * sqrt(3), and a gain of 1 for linear layers.
BOUNDS = {"torch": 1.0, "pycil": 3**0.5}
ways_to_draw = pytest.mark.parametrize("init", BOUNDS)


def classifier_of(
    *heads: int, bias: bool = False, init: str = "torch", features: int = FEATURES
) -> CilClassifier:
    """A classifier that grew by so many classes, and again."""
    torch.manual_seed(0)
    classifier = CilClassifier(features, bias, init)
    for count in heads:
        classifier.grow_to(classifier.n_classes + count)
    return classifier


def some_features(count: int = 5) -> Tensor:
    return torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(1))


def some_images(count: int = 6, size: int = 8) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randint(256, (count, 3, size, size), generator=generator).byte()


def parameters(module: nn.Module) -> list[Tensor]:
    return [parameter.detach().clone() for parameter in module.parameters()]


def equal(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


# The classifier grows


def test_growing_adds_one_head_of_the_missing_classes() -> None:
    assert classifier_of(4, 2, 3).head_sizes == [4, 2, 3]


def test_a_classifier_counts_the_classes_of_all_heads() -> None:
    assert classifier_of(4, 2, 3).n_classes == 9


def test_growing_to_what_is_there_changes_nothing() -> None:
    classifier = classifier_of(4, 2)
    before = parameters(classifier)
    classifier.grow_to(6)
    assert equal(parameters(classifier), before)


def test_growing_to_fewer_classes_takes_none_away() -> None:
    classifier = classifier_of(4, 2)
    classifier.grow_to(3)
    assert classifier.n_classes == 6


@pytest.mark.parametrize("bias", [False, True])
def test_old_logits_are_the_same_to_the_last_bit_after_growth(bias: bool) -> None:
    classifier = classifier_of(4, 2, bias=bias)
    before = classifier(some_features())
    classifier.grow_to(9)
    assert torch.equal(classifier(some_features())[:, :6], before)


def test_prototypes_are_the_heads_rows_in_order() -> None:
    classifier = classifier_of(4, 2, 3)
    rows = [row for head in classifier.heads for row in parameters(head)[0]]
    assert torch.equal(classifier.weight, torch.stack(rows))


def test_a_logit_is_the_product_of_prototype_and_features() -> None:
    classifier = classifier_of(4, 2)
    expected = some_features().double().numpy() @ classifier.weight.detach().double().numpy().T
    found = classifier(some_features()).detach()
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


def test_heads_have_no_bias_unless_it_is_asked_for() -> None:
    """The tutorial's heads had one, which alignment left as it was."""
    classifier = CilClassifier(FEATURES)
    classifier.grow_to(4)
    assert [head.bias for head in classifier.heads] == [None]


def test_a_built_model_has_no_bias_unless_the_settings_ask_for_it(tiny_scenario: Scenario) -> None:
    model = build_model(Config(backbone="resnet8"), tiny_scenario)
    model.grow_to(4)
    assert [head.bias for head in model.classifier.heads] == [None]


def test_heads_have_a_bias_where_it_is_asked_for() -> None:
    # A head without a bias has None there; these have one.
    assert [len(head.bias) for head in classifier_of(4, 2, bias=True).heads] == [4, 2]  # type: ignore[arg-type]


def test_norms_are_the_prototypes_lengths() -> None:
    classifier = classifier_of(4, 2)
    weight = classifier.weight.detach().double().numpy()
    assert classifier.norms() == pytest.approx(np.sqrt((weight**2).sum(1)), abs=1e-5)


# A new head's first values


@ways_to_draw
def test_new_weights_fill_the_interval_that_their_source_documents(init: str) -> None:
    weight = classifier_of(50, 5000, init=init, features=64).weight.detach().double()
    bound = BOUNDS[init] / 8
    assert weight.abs().max() <= bound * (1 + 1e-6)
    assert weight.abs().max() >= bound * (1 - 1e-4)
    # Even: each tenth of the interval holds a tenth of the 323,200 weights, within 5 deviations.
    shares = weight.flatten().histc(10, -bound, bound) / weight.numel()
    assert (shares - 0.1).abs().max() < 5 * (0.09 / weight.numel()) ** 0.5


@ways_to_draw
def test_the_squares_of_a_new_prototype_sum_to_what_the_interval_says(init: str) -> None:
    squares = classifier_of(5000, init=init, features=64).weight.detach().double().square().sum(1)
    # A square of a uniform weight is b^2 / 3 on average, with a deviation of b^2 sqrt(4 / 45).
    deviation = BOUNDS[init] ** 2 * (4 / 45 / 64 / 5000) ** 0.5
    assert squares.mean().item() == pytest.approx(BOUNDS[init] ** 2 / 3, abs=5 * deviation)


@pytest.mark.parametrize(("init", "born_at_zero"), [("torch", False), ("pycil", True)])
def test_a_bias_is_born_at_zero_only_where_the_source_has_it_so(
    init: str, born_at_zero: bool
) -> None:
    heads = classifier_of(4, 2, bias=True, init=init).heads
    assert [bool((head.bias == 0).all()) for head in heads] == [born_at_zero] * 2


@ways_to_draw
def test_how_new_rows_are_drawn_leaves_the_old_ones_alone(init: str) -> None:
    classifier = classifier_of(4, 2, bias=True, init=init)
    before = parameters(classifier)
    classifier.grow_to(9)
    assert equal(parameters(classifier)[: len(before)], before)


@ways_to_draw
def test_new_rows_follow_from_the_seed_alone(init: str) -> None:
    once, again = (classifier_of(4, 2, bias=True, init=init) for _ in range(2))
    assert equal(parameters(once), parameters(again))


@ways_to_draw
def test_a_built_model_draws_its_heads_as_the_settings_say(
    init: Literal["torch", "pycil"], tiny_scenario: Scenario
) -> None:
    model = build_model(Config(backbone="resnet8", head_init=init), tiny_scenario)
    model.grow_to(500)
    longest = model.classifier.weight.abs().max().item()
    assert longest == pytest.approx(BOUNDS[init] / 64**0.5, rel=1e-2)


# Alignment and clipping


def test_scaling_multiplies_the_newest_prototypes() -> None:
    classifier = classifier_of(4, 2, 3)
    expected = classifier.weight.detach()[6:] * 0.25
    classifier.scale_newest(0.25)
    assert torch.equal(classifier.weight.detach()[6:], expected)


def test_scaling_leaves_the_older_heads_alone() -> None:
    classifier = classifier_of(4, 2, 3, bias=True)
    before = parameters(classifier.heads[:2])
    classifier.scale_newest(0.25, bias=True)
    assert equal(parameters(classifier.heads[:2]), before)


@pytest.mark.parametrize(("asked", "factor"), [(False, 1.0), (True, 0.25)])
def test_scaling_changes_the_newest_bias_only_when_asked(asked: bool, factor: float) -> None:
    classifier = classifier_of(4, 3, bias=True)
    expected = parameters(classifier.heads[-1])[1] * factor
    classifier.scale_newest(0.25, bias=asked)
    assert torch.equal(parameters(classifier.heads[-1])[1], expected)


@pytest.mark.parametrize("gamma", [0.0, -1.0, float("inf"), float("nan")])
def test_a_gamma_that_would_ruin_the_prototypes_is_refused(gamma: float) -> None:
    """In the tutorial nothing kept gamma from being 0, infinite or not a number."""
    classifier = classifier_of(4, 3)
    with pytest.raises(ArithmeticError, match="gamma is"):
        classifier.scale_newest(gamma)


def test_clipping_sets_negative_weights_to_zero_and_keeps_the_rest() -> None:
    classifier = classifier_of(4, 3)
    expected = np.maximum(classifier.weight.detach().numpy(), 0)
    classifier.clip()
    np.testing.assert_array_equal(classifier.weight.detach().numpy(), expected)


def test_clipping_leaves_biases_alone() -> None:
    classifier = classifier_of(4, 3, bias=True)
    before = [parameters(head)[1] for head in classifier.heads]
    classifier.clip()
    assert equal([parameters(head)[1] for head in classifier.heads], before)


# The model's parts


def residual(make_model: MakeModel) -> CilModel:
    """A model with batch norm, of two classes, in training mode."""
    model = make_model(build_backbone("resnet8", 3), features=64)
    model.grow_to(2)
    return model.train()


def train_a_step(model: CilModel) -> None:
    """One step that changes every weight and the statistics of batch norm."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    model(some_images()).square().sum().backward()
    optimizer.step()


def test_a_new_head_is_made_where_the_model_is(make_model: MakeModel) -> None:
    model = make_model().to("meta")  # a device that every machine has
    model.grow_to(2)
    assert model.classifier.weight.device == model.device


def test_a_grown_model_has_a_logit_for_each_class(make_model: MakeModel) -> None:
    model = make_model()
    model.grow_to(2)
    model.grow_to(5)
    assert model(some_images(4)).shape == (4, 5)


def test_a_frozen_copy_says_what_the_original_says(make_model: MakeModel) -> None:
    model = residual(make_model).eval()
    assert torch.equal(model.frozen_copy()(some_images()), model(some_images()))


def test_a_frozen_copy_stays_in_evaluation_mode(make_model: MakeModel) -> None:
    copy = residual(make_model).frozen_copy().train()
    parts = [*copy.backbone.modules(), *copy.classifier.modules()]
    assert not any(part.training for part in parts)


def test_a_frozen_copy_asks_for_no_gradient(make_model: MakeModel) -> None:
    copy = residual(make_model).frozen_copy()
    assert not copy(some_images()).requires_grad


def test_a_frozen_copy_shares_nothing_with_the_original(make_model: MakeModel) -> None:
    model = residual(make_model)
    copy = model.frozen_copy()
    of_each = [{t.data_ptr() for t in (*m.parameters(), *m.buffers())} for m in (model, copy)]
    assert not of_each[0] & of_each[1]


def test_a_frozen_copy_does_not_change_when_the_original_trains(make_model: MakeModel) -> None:
    model = residual(make_model)
    copy = model.frozen_copy()
    before = copy(some_images())
    train_a_step(model)
    assert torch.equal(copy(some_images()), before)


def test_the_original_goes_on_training_after_a_copy_was_frozen(make_model: MakeModel) -> None:
    model = residual(make_model)
    model.frozen_copy()
    before = parameters(model)
    train_a_step(model)
    assert not any(torch.equal(a, b) for a, b in zip(parameters(model), before, strict=True))


@pytest.mark.parametrize(
    ("frozen", "other"), [("backbone", "classifier"), ("classifier", "backbone")]
)
def test_only_the_part_that_is_named_is_frozen(
    make_model: MakeModel, frozen: str, other: str
) -> None:
    model = residual(make_model).freeze(frozen)
    asks = {
        part: {parameter.requires_grad for parameter in model.get_submodule(part).parameters()}
        for part in (frozen, other)
    }
    assert asks == {frozen: {False}, other: {True}}


def test_a_frozen_backbone_keeps_its_statistics_while_the_rest_trains(
    make_model: MakeModel,
) -> None:
    model = residual(make_model).freeze("backbone").train()
    before = [buffer.clone() for buffer in model.backbone.buffers()]
    model(some_images())
    assert equal(list(model.backbone.buffers()), before)


def test_a_model_in_bfloat16_still_answers_in_float32(make_model: MakeModel) -> None:
    backbone = build_backbone("resnet8", 3)
    model = CilModel(
        backbone, CilClassifier(64), make_model().normalise, arithmetic=Arithmetic("bf16")
    )
    model.grow_to(2)
    assert model(some_images()).dtype == torch.float32


# Pixels


def test_bytes_are_normalised_as_the_formula_says() -> None:
    mean, std = (0.1, 0.5, 0.9), (0.2, 0.3, 0.4)
    found = Normalise(mean, std)(some_images()).numpy()
    channels = [np.array(values, dtype=np.float64)[:, None, None] for values in (mean, std)]
    expected = (some_images().numpy().astype(np.float64) / 255 - channels[0]) / channels[1]
    np.testing.assert_allclose(found, expected, atol=1e-5)


THREE = Normalise((0.1, 0.5, 0.9), (0.2, 0.3, 0.4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_floats_from_0_to_1_are_the_pixels_that_bytes_are(dtype: torch.dtype) -> None:
    torch.testing.assert_close(THREE(some_images().to(dtype) / 255), THREE(some_images()))


def test_normalised_images_become_the_pixels_that_they_were() -> None:
    found = THREE.undo(THREE(some_images()))
    torch.testing.assert_close(found, some_images() / 255, atol=1e-6, rtol=0)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.bool, torch.complex64])
def test_images_of_another_kind_are_refused(dtype: torch.dtype) -> None:
    with pytest.raises(InputError, match=f"images are {dtype}; they must be uint8, or floats"):
        THREE(torch.zeros(2, 3, 4, 4, dtype=dtype))


@pytest.mark.parametrize("change", [lambda bytes_: bytes_.float(), THREE])
def test_floats_of_another_scale_are_refused(change: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(InputError, match=r"floats must lie in \[0, 1\], not normalised yet"):
        deepcopy(THREE).eval()(change(some_images()))


def test_a_model_answers_alike_to_bytes_and_to_floats(make_model: MakeModel) -> None:
    model = a_model(make_model).eval()
    torch.testing.assert_close(model(some_images() / 255), model(some_images()))


def test_a_model_in_evaluation_refuses_what_is_normalised(make_model: MakeModel) -> None:
    model = a_model(make_model).eval()
    with pytest.raises(InputError, match="floats must lie in"):
        model(model.normalise(some_images()))


def test_a_built_model_normalises_with_the_statistics_of_its_data_set(
    tiny_scenario: Scenario,
) -> None:
    dataset = replace(tiny_scenario.dataset, mean=(0.1, 0.5, 0.8), std=(0.2, 0.7, 1.9))
    model = build_model(Config(backbone="resnet8"), replace(tiny_scenario, dataset=dataset))
    pixels = model.normalise(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8)).flatten()
    assert pixels.tolist() == pytest.approx([0.9 / 0.2, 0.5 / 0.7, 0.2 / 1.9], rel=1e-5)


# The residual networks


RESNETS = [name for name in BACKBONES if name.startswith("resnet")]


def count_by_hand(depth: int, channels: int) -> int:
    """Weights of 3x3 convolutions without bias, and two numbers for each channel's norm."""
    widths = [channels, 16] + [16] * ((depth - 2) // 3)
    widths += [32] * ((depth - 2) // 3) + [64] * ((depth - 2) // 3)
    return sum(9 * a * b + 2 * b for a, b in pairwise(widths))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", RESNETS)
def test_a_residual_network_has_the_parameters_of_its_plan(name: str, channels: int) -> None:
    found = sum(parameter.numel() for parameter in build_backbone(name, channels).parameters())
    assert found == count_by_hand(int(name.split("-")[0].removeprefix("resnet")), channels)


def test_resnet32_has_463504_parameters_as_the_literature_counts() -> None:
    assert sum(p.numel() for p in build_backbone("resnet32", 3).parameters()) == 463_504


@pytest.mark.parametrize("name", RESNETS)
def test_the_depth_counts_the_convolutions_and_the_classifier(name: str) -> None:
    modules = build_backbone(name, 3).modules()
    convolutions = sum(isinstance(module, nn.Conv2d) for module in modules)
    assert convolutions + 1 == int(name.split("-")[0].removeprefix("resnet"))


@pytest.mark.parametrize("training", [False, True])
def test_features_of_residual_networks_are_not_negative(training: bool) -> None:
    backbone = build_backbone("resnet20", 3).train(training)
    assert backbone(some_images().float()).min() >= 0


@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_a_residual_network_makes_64_features_of_images_of_any_size(size: int) -> None:
    """The tutorial's networks crashed on images larger than 32 pixels."""
    assert build_backbone("resnet8", 3)(some_images(2, size).float()).shape == (2, 64)


@pytest.mark.parametrize(("inputs", "outputs", "stride"), [(4, 4, 1), (4, 8, 2)])
def test_the_shortcut_takes_every_other_pixel_and_adds_empty_channels(
    inputs: int, outputs: int, stride: int
) -> None:
    block = Block(inputs, outputs, stride).eval()
    nn.init.zeros_(block.norm2.weight)  # what is left is the shortcut
    images = torch.rand(2, inputs, 6, 6)
    expected = np.zeros((2, outputs, 6 // stride, 6 // stride))
    expected[:, :inputs] = images.numpy()[:, :, ::stride, ::stride]
    np.testing.assert_allclose(block(images).detach().numpy(), expected, atol=1e-7)


def test_two_of_the_three_groups_halve_the_image() -> None:
    blocks = build_backbone("resnet20", 3).get_submodule("blocks")
    assert blocks(torch.zeros(1, 16, 32, 32)).shape == (1, 64, 8, 8)


def test_a_stride_of_two_halves_the_image_at_once() -> None:
    convolution = build_backbone("resnet8-stride2", 3).get_submodule("conv")
    assert convolution(torch.zeros(1, 3, 32, 32)).shape == (1, 16, 16, 16)


def test_one_image_weighs_on_no_other_in_evaluation_mode() -> None:
    backbone = build_backbone("resnet8", 3).eval()
    images = some_images() / 255
    torch.testing.assert_close(backbone(images)[2:3], backbone(images[2:3]))


# The network of the laboratory


def test_the_laboratorys_network_is_two_rectified_layers_of_the_pixels() -> None:
    network = build_backbone("mlp", 1)
    a, b = (network.get_submodule(name) for name in ("hidden", "last"))
    pixels = some_images()[:, :1].double() / 255
    network.double()
    hidden = np.maximum(pixels.flatten(1).numpy() @ as_numpy(a.weight).T + as_numpy(a.bias), 0)
    expected = np.maximum(hidden @ as_numpy(b.weight).T + as_numpy(b.bias), 0)
    np.testing.assert_allclose(as_numpy(network(pixels)), expected, atol=1e-14)


def as_numpy(tensor: Any) -> Any:
    return tensor.detach().numpy()


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [4, 8, 28, 33])
def test_the_laboratorys_network_takes_images_of_any_size(channels: int, size: int) -> None:
    network = build_backbone("mlp", channels)
    assert feature_size(network, channels, size, size + 1) == 64


def test_the_laboratorys_network_sees_the_means_of_a_large_images_squares() -> None:
    network, small = build_backbone("mlp", 3), some_images() / 255
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(network(large), network(small))


# timm's networks


@pytest.mark.parametrize("name", ["resnet10t", "test_efficientnet"])
def test_a_network_of_timm_makes_as_many_features_as_were_counted(name: str) -> None:
    backbone = build_backbone(name, 3)
    count = feature_size(backbone, 3, 32, 32)
    assert backbone(some_images(2, 32) / 255).shape == (2, count)


def test_a_network_of_timm_takes_grey_images_too() -> None:
    assert feature_size(build_backbone("resnet10t", 1), 1, 32, 32) == 512


def test_a_model_is_built_around_a_network_of_timm(tiny_scenario: Scenario) -> None:
    model = build_model(Config(backbone="resnet10t"), tiny_scenario)
    model.grow_to(3)
    assert model(some_images(2)).shape == (2, 3)


@pytest.mark.parametrize("name", ["resnet33", "no-such-network", "", "[", "hf_hub:a/b"])
def test_an_unknown_backbone_is_refused_with_the_known_ones(name: str) -> None:
    """The tutorial's message about it was itself an error."""
    with pytest.raises(InputError, match=r"unknown backbone .* known: resnet8, .* timm"):
        build_backbone(name, 3)


# What the model makes of samples


def many_samples() -> Samples:
    """More images than fit in one chunk, of which the last chunk is not full."""
    count = CHUNK + 30
    return Samples.of(some_images(count), torch.arange(count) % 5)


def a_model(make_model: MakeModel) -> CilModel:
    model = make_model()
    model.grow_to(5)
    return model


def test_features_of_samples_come_in_the_samples_order(make_model: MakeModel) -> None:
    model, samples = a_model(make_model).eval(), many_samples()
    torch.testing.assert_close(features_of(model, samples), model.features(samples.images()))


def test_features_of_samples_ask_for_no_gradient(make_model: MakeModel) -> None:
    """The tutorial's did."""
    assert not features_of(a_model(make_model), many_samples()).requires_grad


def test_features_of_samples_are_those_of_evaluation_mode(make_model: MakeModel) -> None:
    model = residual(make_model)
    found = features_of(model, many_samples())
    torch.testing.assert_close(found, model.eval().features(many_samples().images()))


@pytest.mark.parametrize("training", [False, True])
def test_looking_at_samples_leaves_the_model_in_its_mode(
    make_model: MakeModel, training: bool
) -> None:
    model = a_model(make_model).train(training)
    features_of(model, many_samples())
    assert model.training is training


def test_each_sample_is_predicted_once_and_in_order(make_model: MakeModel) -> None:
    model, samples = a_model(make_model).eval(), many_samples()
    assert torch.equal(predict(model, samples).predicted, model(samples.images()).argmax(1))


def test_the_confidence_is_the_probability_of_the_predicted_class(make_model: MakeModel) -> None:
    model, samples = a_model(make_model).eval(), many_samples()
    logits = model(samples.images()).detach().double().numpy()
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = (powers / powers.sum(axis=1, keepdims=True)).max(axis=1)
    np.testing.assert_allclose(predict(model, samples).confidence.numpy(), expected, atol=1e-6)


def test_predictions_come_with_the_true_labels(make_model: MakeModel) -> None:
    samples = many_samples()
    assert torch.equal(predict(a_model(make_model), samples).labels, samples.labels)


# What a method may ask of a backbone


def test_without_a_last_relu_features_may_be_negative() -> None:
    images = some_images().float()
    features = [build_backbone("resnet8", 3, last_relu=last)(images) for last in (True, False)]
    assert [bool((each < 0).any()) for each in features] == [False, True]


def test_a_backbone_shows_what_its_three_groups_made_and_features_are_the_same() -> None:
    torch.manual_seed(0)
    silent = build_backbone("resnet20", 3).eval()
    showing = build_backbone("resnet20", 3, shows_maps=True).eval()
    showing.load_state_dict(silent.state_dict())
    model = CilModel(showing, CilClassifier(64), nn.Identity())
    images = some_images().float()
    model.grow_to(2)
    seen = model.eval().see(images)
    assert [tuple(group.shape[1:]) for group in seen.maps] == [(16, 8, 8), (32, 4, 4), (64, 2, 2)]
    assert torch.equal(seen.features, silent(images))


def test_the_laboratorys_network_has_the_same_options() -> None:
    torch.manual_seed(0)
    silent, images = build_backbone("mlp", 3), some_images() / 255
    showing = build_backbone("mlp", 3, last_relu=False, shows_maps=True)
    showing.load_state_dict(silent.state_dict())
    features = showing(images)
    assert torch.equal(features.relu(), silent(images)) and bool((features < 0).any())
    maps: Any = showing.maps
    assert [tuple(one.shape[1:]) for one in maps] == [(128, 1, 1), (64, 1, 1)]
    assert torch.equal(maps[-1].flatten(1), features)


def test_options_of_our_own_networks_are_refused_for_others() -> None:
    with pytest.raises(InputError, match="backbone is 'resnet18'; this method needs one of"):
        build_backbone("resnet18", 3, last_relu=False)
