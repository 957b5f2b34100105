"""In what numbers a run computes: what was asked for, or what suits the machine, and it is said."""

from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import TINY, tiny, tiny_learner
from quick import Broken, broken_at
from test_old_runs import CONFIG as OLD_CONFIG
from test_old_runs import OLD
from torch import Tensor, nn

from cilkit import (
    PRESETS,
    Config,
    InputError,
    Learner,
    Scenario,
    learn,
    load,
    read_records,
    run,
)
from cilkit.backbones import build_backbone
from cilkit.cli import Run, main, parse
from cilkit.machine import arithmetic
from cilkit.machine.arithmetic import PLAIN, QUESTIONS, Arithmetic, arithmetic_for, fastest
from cilkit.model import Seen
from cilkit.runs.records import run_record, stage_records
from cilkit.state import fingerprint_of, restore, state_of

Patch = pytest.MonkeyPatch
AUTO = replace(TINY, backbone="mlp", precision="auto", threads=1, device="cpu")


def processor(has: str, monkeypatch: Patch) -> None:
    """Let torch say that the processor has one of these units, or, by '', none."""
    for name, question in QUESTIONS.items():
        monkeypatch.setattr(torch.cpu, question, lambda name=name: name == has)


def card(bf16: bool, capability: tuple[int, int], monkeypatch: Patch) -> None:
    """Let torch speak of a card."""

    def is_bf16_supported(including_emulation: bool = True) -> bool:
        return bf16 or including_emulation

    monkeypatch.setattr(torch.cuda, "device", lambda _: nullcontext())
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "card")
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", is_bf16_supported)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: capability)


# The choice


@pytest.mark.parametrize(
    ("has", "precision"), [("avx512_bf16", "bf16"), ("AMX", "bf16"), ("", "float32")]
)
def test_a_processor_computes_in_bf16_if_it_has_units_for_it(
    has: str, precision: str, monkeypatch: Patch
) -> None:
    processor(has, monkeypatch)
    found, why = fastest(torch.device("cpu"))
    assert found == precision
    assert has in why


@pytest.mark.parametrize(
    ("bf16", "capability", "precision"),
    [(True, (9, 0), "bf16"), (False, (7, 5), "fp16"), (False, (6, 1), "float32")],
    ids=["H100", "T4", "GTX 1080"],
)
def test_a_card_computes_in_what_it_has_units_for(
    bf16: bool, capability: tuple[int, int], precision: str, monkeypatch: Patch
) -> None:
    card(bf16, capability, monkeypatch)
    assert fastest(torch.device("cuda", 0))[0] == precision


def test_other_devices_compute_in_float32() -> None:
    assert fastest(torch.device("mps"))[0] == "float32"


@pytest.mark.parametrize(
    ("backbone", "side", "expected"),
    [
        (build_backbone("resnet8", 3), 32, True),
        (build_backbone("resnet8", 3), 28, False),
        (build_backbone("mlp", 3), 32, False),
        (nn.Sequential(nn.Conv2d(3, 8, 4, 4), nn.Linear(8, 8), nn.Linear(8, 8)), 32, False),
    ],
    ids=["convolutions", "few pixels", "no convolution", "transformer"],
)
def test_channels_come_last_where_convolutions_look_at_32_pixels_on_a_cpu(
    backbone: nn.Module, side: int, expected: bool
) -> None:
    config = Config(channels_last="auto", device="cpu")
    assert arithmetic_for(config, backbone, side).channels_last is expected
    assert not arithmetic.is_faster_with_channels_last(torch.device("cuda"), backbone, side)


@pytest.mark.parametrize("name", PRESETS)
def test_only_the_long_presets_leave_it_to_the_machine(name: str) -> None:
    expected = "auto" if name.startswith(("cifar100", "imagenet")) else "float32"
    assert PRESETS[name].precision == expected
    assert Config().precision == "float32"


def test_every_process_computes_as_the_main_one_does(monkeypatch: Patch) -> None:
    """Machines of one run may have different processors."""
    main_s = Arithmetic("bf16", False, "what the main process's machine has")
    monkeypatch.setattr(arithmetic, "from_main", lambda ask: main_s)
    processor("", monkeypatch)
    assert arithmetic_for(AUTO, nn.Identity(), 8) == main_s


def test_settings_that_leave_nothing_open_ask_no_other_process(monkeypatch: Patch) -> None:
    """The main process alone answers for a finished run; the others would not come."""
    monkeypatch.setattr(arithmetic, "from_main", None)
    assert arithmetic_for(TINY, nn.Identity(), 8) == PLAIN


# Where a stride is longer than the map (an image of 16 pixels is one pixel before the last one)


def resnet18() -> nn.Module:
    return build_backbone("resnet18", 3).eval()


@pytest.mark.parametrize(("side", "expected"), [(16, "float32"), (32, "bf16")])
def test_a_processor_is_not_left_to_compute_gradients_that_it_would_leave_unset(
    side: int, expected: str, monkeypatch: Patch
) -> None:
    processor("avx512_bf16", monkeypatch)
    assert arithmetic_for(AUTO, resnet18(), side).precision == expected


def test_who_asks_for_such_gradients_is_told_that_they_cannot_be() -> None:
    with pytest.raises(InputError, match="bf16 cannot be: a stride of the network is longer than"):
        arithmetic_for(replace(AUTO, precision="bf16"), resnet18(), 16)


@pytest.mark.parametrize(
    ("kernel", "stride", "side", "expected"),
    [(3, 2, 1, True), (3, 4, 3, True), (3, 2, 2, False), (5, 1, 1, False), (1, 2, 1, False)],
)
def test_gradients_lack_where_a_stride_is_longer_than_the_map_and_a_kernel_than_a_pixel(
    kernel: int, stride: int, side: int, expected: bool
) -> None:
    part = nn.Conv2d(3, 8, kernel, stride, padding=kernel // 2)
    assert arithmetic.lacks_gradients(torch.device("cpu"), part, side) is expected


# What is told


@pytest.mark.parametrize(("has", "precision"), [("AMX", "bf16"), ("", "float32")])
def test_a_run_says_and_records_in_what_it_computes_and_why(
    has: str, precision: str, tmp_path: Path, monkeypatch: Patch, capsys: pytest.CaptureFixture[str]
) -> None:
    processor(has, monkeypatch)
    words = ["--precision", "auto", "--epochs", "1", "--increment", "5", "--device", "cpu"]
    assert main(["run", *words, "--out", str(tmp_path / "run")]) == 0
    record = run_record(read_records(tmp_path / "run"))
    assert record.config["precision"] == precision
    assert f"\n  computes in {record.machine['arithmetic']}\n" in capsys.readouterr().out
    assert record.machine["arithmetic"].startswith(precision)


def test_a_run_that_leaves_nothing_to_the_machine_says_no_word_about_it() -> None:
    record = run_record(run(replace(AUTO, precision="float32", epochs=1), dataset=tiny()))
    assert "arithmetic" not in record.machine


def begun(config: Config, folder: Path) -> None:
    """Leave a run after its first epoch."""
    with pytest.raises(Broken):
        run(config, folder, [broken_at(2)], dataset=tiny())


def test_a_run_goes_on_in_the_numbers_it_began_in_and_says_so(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    processor("AMX", monkeypatch)
    whole = run(AUTO, dataset=tiny())
    begun(AUTO, tmp_path)
    processor("", monkeypatch)
    with pytest.warns(UserWarning, match=r"began in bf16 and goes on so; .* compute in float32"):
        records = run(AUTO, tmp_path, resume=True, dataset=tiny())
    assert stage_records(records) == stage_records(whole)
    assert run_record(records).config["precision"] == "bf16"


def test_a_run_that_began_on_a_card_in_fp16_does_not_go_on_without_one(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    fp16_on_cpus(monkeypatch)
    begun(replace(AUTO, precision="fp16"), tmp_path)
    monkeypatch.undo()
    with (
        pytest.warns(UserWarning, match="began in fp16"),
        pytest.raises(InputError, match="fp16 needs a CUDA card"),
    ):
        run(AUTO, tmp_path, resume=True, dataset=tiny())


# Earlier names


def test_on_and_off_are_bf16_and_float32() -> None:
    old: Any = {"bf16": True}
    assert Config(**old).precision == "bf16"
    assert replace(PRESETS["digits"], **old).precision == "bf16"
    assert Config(**{"bf16": False}).precision == "float32"


@pytest.mark.parametrize(
    ("words", "precision", "channels_last"),
    [
        (["--bf16", "--channels-last"], "bf16", True),
        (["--no-bf16", "--no-channels-last"], "float32", False),
        (["--channels-last", "auto", "--precision", "fp16"], "fp16", "auto"),
    ],
)
def test_the_options_of_earlier_commands_still_say_what_they_said(
    words: list[str], precision: str, channels_last: bool | str
) -> None:
    command = parse(["run", *words, "--out", "here"])
    assert isinstance(command, Run)
    config = command.config
    assert (config.precision, config.channels_last) == (precision, channels_last)


@pytest.mark.parametrize("was", [True, False])
def test_settings_left_to_the_machine_go_on_with_any_earlier_run(was: bool) -> None:
    stored = run_record(read_records(OLD)).config | {"bf16": was, "channels_last": was}
    auto = replace(OLD_CONFIG, precision="auto", channels_last="auto")
    assert auto.differences(stored) == []
    assert bool(OLD_CONFIG.differences(stored)) is was


# fp16


def fp16_on_cpus(monkeypatch: Patch) -> None:
    """A CPU can do what a card does, slowly."""
    monkeypatch.setattr(arithmetic, "can_compute", lambda device, precision: True)


def test_fp16_is_refused_without_a_card(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "--precision", "fp16", "--device", "cpu", "--out", str(tmp_path / "run")]
    assert main(words) == 2
    assert "precision fp16 needs a CUDA card" in capsys.readouterr().err


def test_what_was_trained_in_fp16_answers_without_a_card(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    fp16_on_cpus(monkeypatch)
    run(replace(AUTO, precision="fp16", epochs=1), tmp_path, dataset=tiny())
    monkeypatch.undo()
    assert load(tmp_path, "cpu").learner.model.arithmetic.precision == "float32"


class Steep(Learner):
    """Fine-tuning whose loss has slopes that fp16 can hold only where they are scaled less."""

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        return {name: 100 * loss for name, loss in super().losses(seen, labels).items()}


def steep(**changes: Any) -> Learner:
    config = replace(TINY, method="finetune", precision="fp16", lr=1e-4, **changes)
    learner = tiny_learner(Steep, config)
    learner.model.arithmetic = learner.model.arithmetic._replace(precision="fp16")
    return learner


def test_a_step_whose_scaled_slopes_overflow_is_left_out_and_they_are_scaled_less(
    tiny_scenario: Scenario,
) -> None:
    learner = steep(batch_size=1000, epochs=1)
    next(learn(learner, tiny_scenario))
    scale = learner.progress.scaler.get_scale()
    assert scale == 2.0**15
    fresh = steep()
    assert torch.equal(learner.model.backbone.linear.weight, fresh.model.backbone.linear.weight)


@pytest.mark.parametrize("stop", range(1, 6))
def test_a_scaled_run_that_is_restored_ends_as_one_that_nobody_stopped(
    stop: int, tiny_scenario: Scenario
) -> None:
    whole = steep()
    records = list(learn(whole, tiny_scenario))
    left, resumed = steep(), steep()
    before = list(islice(learn(left, tiny_scenario), stop))
    tensors, numbers = state_of(left)
    assert ("scaling.scale" in tensors) == left.progress.in_stage
    restore(resumed, tiny_scenario.stages, tensors, numbers)
    assert fingerprint_of(resumed) == fingerprint_of(left)
    assert before + list(learn(resumed, tiny_scenario)) == records
    assert fingerprint_of(resumed) == fingerprint_of(whole)


def test_a_run_in_float32_saves_no_scaling(
    tiny_scenario: Scenario,
) -> None:
    learner = tiny_learner(Learner, TINY)
    next(learn(learner, tiny_scenario))
    assert not [name for name in state_of(learner)[0] if name.startswith("scaling")]
