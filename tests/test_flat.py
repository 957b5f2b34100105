"""`cilkit show`: a method as one class in one file, which does what the method does."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from conftest import MakeLearner
from doors import lines
from torch import Tensor

from cilkit.cli import main
from cilkit.config import Between, names_of
from cilkit.data.scenario import Scenario, Stage
from cilkit.errors import InputError
from cilkit.learner import Learner
from cilkit.loop import learn
from cilkit.methods import METHODS
from cilkit.methods.wa import WA
from cilkit.model import Seen
from cilkit.show.flat import flat

ROOT = Path(__file__).parent.parent


class Anchored(WA):
    """WA whose prototypes are held back to where the stage began."""

    @dataclass(frozen=True, kw_only=True)
    class Settings(WA.Settings):
        """How strong the springs are."""

        spring: Annotated[float, Between(0, 10)] = 0.5  # of each weight

        def contradictions(self) -> list[tuple[bool, str]]:
            """Return what does not go together."""
            return [*super().contradictions(), (self.spring == self.lr, "spring is lr")]

    config: Settings

    def begin(self, stage: Stage) -> None:
        """Remember where the prototypes are."""
        super().begin(stage)
        self.own["start"] = self.model.classifier.weight.detach().clone()

    def losses(self, seen: Seen, labels: Tensor) -> dict[str, Tensor]:
        """Add the springs' energy, from the second stage on."""
        if self.teacher is None:
            return super().losses(seen, labels)
        keep = self.config.spring  # a name that is taken further up
        energy = keep * (self.model.classifier.weight - self.own["start"]).pow(2).sum()
        return {**super().losses(seen, labels), "energy": energy}

    def end(self, stage: Stage) -> dict[str, float]:
        """Say how far the prototypes went."""
        way = (self.model.classifier.weight - self.own["start"]).norm().item()
        return super().end(stage) | {"way": way}


@pytest.fixture(autouse=True)
def with_a_method_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(METHODS, "anchored", Anchored)


ALL = [*METHODS, "anchored"]


def written(cls: type[Learner]) -> Any:
    """Return the class that is printed for another one."""
    names: dict[str, Any] = {"__name__": "printed"}
    exec(compile(flat(cls), "printed", "exec", dont_inherit=True), names)
    return names[cls.__name__]


@pytest.mark.parametrize("method", ALL)
def test_what_is_printed_learns_to_the_same_bits(
    method: str,
    make_learner: MakeLearner,
    tiny_scenario: Scenario,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = lines(learn(make_learner(method), tiny_scenario))
    monkeypatch.setitem(METHODS, "printed", written(METHODS[method]))
    if method == "finetune":  # which is printed as the `Learner` that all others start from
        monkeypatch.setattr("cilkit.inference.Learner", METHODS["printed"])
    assert lines(learn(make_learner("printed"), tiny_scenario)) == expected


@pytest.mark.parametrize("method", ALL)
def test_no_super_is_left_but_to_make_the_base_ready(method: str) -> None:
    tree = ast.parse(flat(METHODS[method]).replace("super().__init__", ""))  # docstrings may say it
    assert "super" not in {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


@pytest.mark.parametrize("method", ALL)
def test_settings_have_the_same_names_defaults_and_limits(
    method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = METHODS[method].Settings
    monkeypatch.setitem(METHODS, "printed", written(METHODS[method]))
    other = METHODS["printed"].Settings
    assert names_of(other) == names_of(one)
    assert other(method="printed").as_dict() | {"method": method} == one(method=method).as_dict()
    assert other.limits() == one.limits()


@pytest.mark.parametrize("method", ALL)
def test_what_is_printed_has_the_packages_style(method: str) -> None:
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *words, "--stdin-filename", "cilkit/printed.py", "-"],
            input=flat(METHODS[method]),
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert done.returncode == 0, done.stdout


def test_code_that_two_places_ask_for_gets_a_function_of_its_own() -> None:
    assert flat(WA).count("self._end_of_distilling(stage)") == 2


def test_code_that_one_place_asks_for_stands_there() -> None:
    assert "def _" not in flat(METHODS["lwf"])


def test_comments_stay_and_say_what_was_said_of_the_code_that_came() -> None:
    text = flat(METHODS["lwf"])
    assert "if self.teacher is None:  # the first stage has nothing to forget" in text
    assert "# Leave the old classes out: no image here is theirs" in text


class Sums(Learner):
    """A base for the chains below: no methods, but all that can be awkward in one."""

    log: ClassVar[list[Any]] = []

    def noted(self, what: Any) -> Any:
        """Keep in mind in which order things happen."""
        self.log.append(what)
        return what

    def total(self, numbers: Any) -> Any:
        total = 0
        for number in numbers:  # one after another
            total += number
        return total

    def early(self, number: Any) -> Any:
        if number > 2:
            return "much"
        return number

    def pair(self, one: Any, other: Any) -> Any:
        return [self.noted(one), self.noted(other), one]

    @property
    def half(self) -> Any:
        return 0.5 if self.log else 0.25

    def answer(self, number: Any) -> Any:
        return self.total([number, 1])


class Renamed(Sums):
    def total(self, numbers: Any) -> Any:
        total, number = 10, 20
        return super().total(numbers) + total * number


class Added(Sums):
    def total(self, numbers: Any) -> Any:
        total = 10
        value = super().total(numbers)
        total += value
        return total


class Often(Sums):
    def answer(self, number: Any) -> Any:
        found = []
        for total in range(3):
            value = super().total([total, number])
            found.append(value + total)
        return found, super().answer(number)


class Ordered(Sums):
    def answer(self, number: Any) -> Any:
        found = [self.noted("a"), super().pair(self.noted("b"), self.noted("c")), self.noted("d")]
        return found, self.log.copy(), super().pair(len(self.log), self.noted("e"))


class Tail(Sums):
    def early(self, number: Any) -> Any:
        number = number + 1
        return super().early(number * 2)

    def answer(self, number: Any) -> Any:
        return self.early(number), f"{super().early(number)}" if number else super().half


class Kinds(Sums):
    @property
    def half(self) -> Any:
        return super().half * 2

    def answer(self, number: Any) -> Any:
        ask = super().total
        try:
            return number and ask([1]), self.half, super().half, super().early(number)
        finally:
            self.noted(number)


class Shadowed(Kinds):
    def total(self, numbers: Any) -> Any:
        range = [*numbers, 5]
        return super().total(numbers=range)

    def answer(self, number: Any) -> Any:
        return super().answer(number + 1), {"a": 1} | {"a": number}


class Bound(Often):
    def answer(self, number: Any) -> Any:
        value = super().answer(number)
        found, total = value
        return [*super().pair(total, found), value]


@pytest.mark.parametrize("cls", [Renamed, Added, Often, Ordered, Tail, Kinds, Shadowed, Bound])
def test_what_is_written_out_does_the_same_in_the_same_order(cls: type[Learner]) -> None:
    answers: list[Any] = []
    for one in (cls, written(cls)):
        one.log = []
        learner = one.__new__(one)
        answers.append([[learner.answer(number) for number in (0, 1, 5)], one.log])
    assert answers[0] == answers[1]


def test_names_that_both_have_are_told_apart() -> None:
    assert "total_of_sums += number_of_sums" in flat(Renamed)


def test_code_at_the_end_goes_on_there_with_all_its_returns() -> None:
    code = """\
        number = number + 1
        number = number * 2
        if number > 2:
            return "much"
        return number
"""
    assert code in flat(Tail)


class Named(Sums):
    def answer(self, number: Any) -> Any:
        return Sums.answer(self, number)


class Distant(Sums):
    def answer(self, number: Any) -> Any:
        above = super()
        return above.answer(number)


def local() -> type[Learner]:
    inside = 3

    class Local(Learner):
        def stepped(self) -> None:
            self.inside = inside

    return Local


@pytest.mark.parametrize(
    ("cls", "sentence"),
    [
        (Named, "Named names Sums, which is written out; use super"),
        (Distant, r"Distant\.answer uses super\(\) otherwise than as super\(\)\.name"),
        (local(), "'inside' is known only inside of a function of test_flat"),
        (type("Made", (Learner,), {}), "the source of Made cannot be read; a method must be in a"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_cannot_be_written_out_is_refused_in_a_sentence(
    cls: type[Learner], sentence: str
) -> None:
    with pytest.raises(InputError, match=sentence):
        flat(cls)


def test_the_command_prints_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "wa"]) == 0
    assert capsys.readouterr().out == flat(WA)


def test_an_unknown_method_gets_the_list_of_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "wb"]) == 2
    assert "unknown method 'wb'; known: finetune, lwf, replay" in capsys.readouterr().err
