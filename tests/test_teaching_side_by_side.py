"""The Welcome's figure shows what the records say."""

import re

import pytest

from cilkit.metrics import accuracy_matrix, stage_accuracy
from cilkit.runs.records import stage_records
from cilkit.teaching import stored
from cilkit.teaching.chapters.side_by_side import WIDTH, accuracy_by_class


@pytest.fixture(scope="module")
def runs():
    return {method: stored("digits")[method][0] for method in ("finetune", "wa")}


def test_each_frame_reads_the_accuracy_after_its_stage(runs) -> None:
    frames = accuracy_by_class(runs).frames
    for i, frame in enumerate(frames):
        shown = [float(number) for number in re.findall(r"([\d.]+) %", frame.says)]
        wanted = [stage_accuracy(stage_records(records)[i]) for records in runs.values()]
        assert shown == pytest.approx(wanted, abs=0.05)
        assert frame.at == f"stage {i + 1}"


def test_a_bar_is_as_high_as_the_class_is_right(runs) -> None:
    """Fine-tuning knows the newest two digits alone: eight bars of no height, two of full."""
    marks = accuracy_by_class({"finetune": runs["finetune"]}).frames[-1].marks
    bars = re.findall(r"M\S+ (\S+)V(\S+)H", marks)
    heights = [float(foot) - float(head) for foot, head in bars]
    assert accuracy_matrix(runs["finetune"])[-1].tolist() == [0, 0, 0, 0, 100]
    assert heights == [0.0] * 8 + [pytest.approx(260 - 44 - 28)] * 2


def test_panels_stand_beside_each_other(runs) -> None:
    figure = accuracy_by_class(runs)
    assert figure.width == 2 * WIDTH
    for drawing in (figure.backdrop, figure.frames[0].marks):
        assert re.findall(r"translate\((\d+)\)", drawing) == ["0", str(WIDTH)]


def test_the_reader_is_asked_for_what_the_last_frame_says_of_the_last_run(runs) -> None:
    figure = accuracy_by_class(runs)
    assert figure.frames[-1].says.endswith(f", wa {figure.guess.answer:.1f} %")
    assert " of wa at the end" in figure.guess.asks


def test_paper_shows_the_last_stage(runs) -> None:
    assert accuracy_by_class(runs).printed == 4
