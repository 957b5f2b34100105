"""The benchmarks' harness, on contenders and clocks that are made up."""

import pytest

from benchmarks.harness import Row, Timing, interleaved, less_time, print_table, seconds


class FakeClock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_contenders_time_is_the_median_of_its_rounds_after_the_first() -> None:
    wall, cpu = FakeClock(), FakeClock()
    durations = iter([100.0, 3.0, 50.0, 4.0, 5.0])

    def contender() -> None:
        duration = next(durations)
        wall.now += duration
        cpu.now += 2 * duration

    found = interleaved({"it": contender}, rounds=4, wall_clock=wall, cpu_clock=cpu)
    assert found == {"it": Timing(wall=4.5, cpu=9.0)}


def test_the_contenders_take_turns() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "ab"}
    interleaved(contenders, rounds=2, warm_up=1)
    assert calls == ["a", "b"] * 3


def test_the_ratio_is_by_cpu_time_and_says_how_many_times_less_ours_takes() -> None:
    row = less_time("it", Timing(wall=1.0, cpu=2.0), Timing(wall=3.0, cpu=8.0), goal=4.0, unit=2)
    assert row == Row("it", "1 s", "4 s", 4.0, 4.0, ">=", by_wall=3.0)


@pytest.mark.parametrize(
    ("ratio", "better", "reached"),
    [(2.0, ">=", "yes"), (1.9, ">=", "no"), (2.0, "<=", "yes"), (2.1, "<=", "no")],
)
def test_a_goal_is_reached_on_its_better_side(ratio: float, better: str, reached: str) -> None:
    assert Row("it", "", "", ratio, goal=2.0, better=better).reached == reached


@pytest.mark.parametrize(("value", "text"), [(2.5, "2.5 s"), (0.0034, "3.4 ms"), (1.2e-5, "12 µs")])
def test_times_are_given_in_a_unit_that_suits_them(value: float, text: str) -> None:
    assert seconds(value) == text


def test_the_table_names_the_commit_and_torchs_version(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([Row("it", "1 s", "2 s", 2.0)])
    printed = capsys.readouterr().out
    assert "commit " in printed and "torch " in printed
