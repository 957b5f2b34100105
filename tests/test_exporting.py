"""A trained model for other programs, which answers there as it does here."""

import errno
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import TINY, Finished, tiny
from doors import NearestMean
from torch import Tensor

from cilkit import METHODS, InputError, Learner, load, run
from cilkit.cli import main
from cilkit.machine.arithmetic import PLAIN
from cilkit.model import Seen
from cilkit.trained import exporting
from cilkit.trained.exporting import export


class Nearest(Learner):
    """A rule with tensors of its own."""

    def end(self, stage: object) -> dict[str, float]:
        self.own["mean"] = self.model.classifier.weight.detach().flip(0)
        return {}

    def scores(self, seen: Seen) -> Tensor:
        return seen.features @ self.own["mean"].T if "mean" in self.own else seen.logits


def images(shape: tuple[int, ...], count: int) -> Tensor:
    chance = torch.Generator().manual_seed(7)
    return torch.randint(256, (count, *shape), dtype=torch.uint8, generator=chance)


@pytest.mark.parametrize("count", [1, 2, 40])
def test_a_pt2_file_takes_any_number_of_images_and_answers_to_the_bit(
    count: int, finished: Finished, tmp_path: Path
) -> None:
    assert main(["export", str(finished[0]), str(tmp_path / "model.pt2")]) == 0
    names = {"class_names": ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=names).module()
    model, some = load(finished[0], "cpu"), images((1, 8, 8), count)
    with torch.no_grad():
        assert torch.equal(program(some), model.scores(some))
    assert json.loads(names["class_names"]) == list(model.class_names)
    assert [path.name for path in tmp_path.iterdir()] == ["model.pt2"]


@pytest.mark.parametrize("changes", [{}, {"method": "own"}, {"precision": "bf16"}])
def test_a_rule_goes_with_the_model_and_it_computes_in_float32(
    changes: dict[str, object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(METHODS, "own", Nearest)
    config = replace(TINY, backbone="mlp", epochs=1, threads=1)
    run(replace(config, **changes), tmp_path / "run", dataset=tiny())  # type: ignore[arg-type]
    export(tmp_path / "run", tmp_path / "model.pt2")
    model, some = load(tmp_path / "run", "cpu"), images((3, 8, 8), 9)
    model.learner.model.arithmetic = PLAIN
    with torch.no_grad():
        written = torch.export.load(tmp_path / "model.pt2").module()(some)
    assert torch.equal(written, model.scores(some))


@pytest.mark.parametrize("count", [1, 40])
def test_an_onnx_file_answers_as_torch_does(count: int, finished: Finished, tmp_path: Path) -> None:
    runtime = pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    export(finished[0], tmp_path / "model.onnx")
    session = runtime.InferenceSession(tmp_path / "model.onnx")
    model, some = load(finished[0], "cpu"), images((1, 8, 8), count)
    [scores] = session.run(None, {"images": some.numpy()})
    assert torch.allclose(torch.from_numpy(scores), model.scores(some), atol=1e-4)
    names = session.get_modelmeta().custom_metadata_map["class_names"]
    assert json.loads(names) == list(model.class_names)


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Return the sentence that the command is refused with."""
    assert main(["export", *map(str, words)]) == 2
    [line] = capsys.readouterr().err.splitlines()
    return line


def test_without_the_extra_it_says_what_to_install(
    finished: Finished,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    sentence = refused(capsys, finished[0], tmp_path / "model.onnx")
    assert "onnx is not installed; try: pip install onnx onnxscript onnxruntime" in sentence


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("model.tflite", "unknown ending '.tflite'; known: .pt2, .onnx"),
        ("taken.pt2", "taken.pt2' exists already, and nothing is overwritten; name another file"),
        ("taken.pt2/model.pt2", "cannot write to"),
    ],
)
def test_a_name_that_cannot_be_written_is_refused(
    name: str,
    sentence: str,
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "taken.pt2").write_bytes(b"mine")
    assert sentence in refused(capsys, finished[0], tmp_path / name)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"mine"]


def test_a_rule_that_torch_cannot_export_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The distances of torch change their way of computing with the number of images."""
    monkeypatch.setitem(METHODS, "nearest-mean", NearestMean)
    config = replace(TINY, method="nearest-mean", backbone="mlp", epochs=1, threads=1)
    run(config, tmp_path / "run", dataset=tiny())
    with pytest.raises(InputError, match="torch cannot export this model and its rule: "):
        export(tmp_path / "run", tmp_path / "model.pt2")
    assert not (tmp_path / "model.pt2").exists()


def test_what_answers_otherwise_than_torch_is_not_left_there(
    finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def strange(*given: object) -> tuple[bytes, Callable[[Tensor], Tensor]]:
        content, written = exporting.as_pt2(*given)  # type: ignore[arg-type]
        return content, lambda some: written(some) * 1.01

    monkeypatch.setitem(exporting.WRITERS, ".pt2", strange)
    with pytest.raises(InputError, match=r"otherwise than torch, by 0\.01 of the highest"):
        export(finished[0], tmp_path / "model.pt2")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_nothing_is_left_half_written(
    error: BaseException, finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(path: Path, content: bytes) -> None:
        path.write_bytes(content[:10])
        raise error

    monkeypatch.setattr("cilkit.runs.outputs.write", half)
    with pytest.raises(type(error)):
        export(finished[0], tmp_path / "model.pt2")
    assert not [*tmp_path.iterdir()]
