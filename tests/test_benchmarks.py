"""What the benchmarks reckon, on contenders and clocks that are made up."""

import pytest
from benchmarks import growth, step
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


@pytest.mark.parametrize("power", [0.0, 1.0, 2.0])
def test_the_exponent_of_a_pure_power_is_that_power(power: float) -> None:
    sizes = [10, 30, 100, 300]
    assert growth.exponent(sizes, [7 * size**power for size in sizes]) == pytest.approx(power)


def test_the_exponent_takes_no_notice_of_what_small_sizes_cost() -> None:
    sizes = [5.0, 10.0, 20.0, 50.0]
    assert growth.exponent(sizes, [1000.0, *sizes[1:]]) == pytest.approx(1)


def test_a_curve_reaches_its_goal_where_it_grows_no_faster_than_asked() -> None:
    curve = growth.Curve("stages", "it", 1, lambda size, folder: list)
    times = {size: Timing(wall=float(size), cpu=float(size) ** 2) for size in (5, 10, 20, 50)}
    row = growth.row_of(curve, times)
    assert (row.ratio, row.by_wall) == (pytest.approx(2), pytest.approx(1))
    assert row.reached == "no"


def test_an_image_costs_the_flops_that_its_layers_add_up_to() -> None:
    # ResNet-32: multiply-adds of the first convolution, of 10 + 9 + 9 wide ones, of two that halve
    # the image, of the classifier
    first, wide, halving = 32 * 32 * 16 * 3 * 9, 32 * 32 * 16 * 16 * 9, 16 * 16 * 32 * 16 * 9
    assert step.flops_of_an_image() == 6 * (first + 28 * wide + 2 * halving + 10 * 64)


def test_a_share_of_the_ceiling_compares_rates() -> None:
    flops, ceiling = step.BATCH * step.flops_of_an_image(), 2 * step.SIDE**3
    half = step.share("float32", 1, Timing(2 * flops, 2 * flops), Timing(ceiling, ceiling))
    assert half.ratio == pytest.approx(50)
