"""The figure of shares in chapter 9 counts as torch and as cilkit do."""

import pytest

from cilkit.teaching import shares_by_processes
from cilkit.teaching.chapters.shares import accuracy_of, exact, padded


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 5, 6])
def test_an_exact_share_holds_each_image_once(processes: int) -> None:
    dealt = [image for share in exact(21, processes) for image in share]
    assert sorted(dealt) == list(range(21))


def test_padding_gives_each_process_as_many_and_counts_the_first_images_again() -> None:
    shares = padded(21, 4)
    assert [len(share) for share in shares] == [6, 6, 6, 6]
    assert sorted(image for share in shares for image in share) == sorted([*range(21), 0, 1, 2])


def test_an_image_that_is_counted_twice_changes_the_accuracy() -> None:
    right = [False, True, True]
    assert accuracy_of(exact(3, 2), right) == pytest.approx(200 / 3)
    assert accuracy_of(padded(3, 2), right) == pytest.approx(50)


def test_the_figure_says_both_accuracies_and_marks_what_is_counted_twice() -> None:
    shown = shares_by_processes([False, True, True]).draw(images=3, processes=2)
    assert shown.says == (
        "3 images, 2 processes: padded, 1 counted twice, accuracy 50.0 %; each once: 66.7 %"
    )
    assert [marks.count("stroke-dasharray") for marks in shown.marks] == [1, 0]
