"""What no checkpoint would hold is refused: a resumed run would go on without it."""

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import kill
import numpy as np
import pytest
import torch
from conftest import MakeLearner

from cilkit import METHODS, InputError, Learner, Stage, run
from cilkit.state import check_all_is_saved

Patch = pytest.MonkeyPatch


class Holder:
    """Anything that holds something."""

    def __init__(self, thing: object) -> None:
        self.thing = thing


OWNED = {
    "a tensor": lambda: torch.ones(2),
    "an array": lambda: np.ones(2),
    "in a list": lambda: [0, torch.ones(2)],
    "in a dict": lambda: {"layer": {"weight": torch.ones(2)}},
    "in an object": lambda: Holder((torch.ones(2),)),
    "a module": lambda: torch.nn.Linear(2, 2),
    "an optimizer": lambda: torch.optim.SGD([torch.ones(2)]),
    "a generator": lambda: torch.Generator(),
}


@pytest.mark.parametrize("thing", OWNED)
def test_a_learner_that_owns_what_no_checkpoint_would_hold_is_refused(
    thing: str, tmp_path: Path, monkeypatch: Patch
) -> None:
    class EWC(Learner):
        def end(self, stage: Stage) -> dict[str, float]:
            self.fisher = OWNED[thing]()
            return super().end(stage)

    monkeypatch.setitem(METHODS, "springs", EWC)
    config = replace(kill.QUICK, method="springs", base=5, increment=5, epochs=1)
    with pytest.raises(InputError, match=r"no checkpoint would hold EWC\.fisher, and a resumed"):
        run(config, tmp_path)
    assert [record.kind for record in run(config)] == ["run", "epoch", "stage", "epoch", "stage"]


def test_what_a_model_is_given_beside_its_weights_is_refused(make_learner: MakeLearner) -> None:
    learner = make_learner("wa")
    # What `nn.Module` has no type for is the mistake.
    learner.model.fisher = [torch.ones(2)]  # type: ignore[assignment]
    with pytest.raises(InputError, match=r"no checkpoint would hold WA\.model\.fisher"):
        check_all_is_saved(learner)


def test_an_optimizer_that_remembers_more_than_momentum_is_refused(
    tmp_path: Path, monkeypatch: Patch
) -> None:
    class ByAdam(Learner):
        def stepped(self) -> None:
            if not isinstance(self.progress.optimizer, torch.optim.AdamW):
                self.progress.optimizer = torch.optim.AdamW(self.model.parameters())

    monkeypatch.setitem(METHODS, "adam", ByAdam)
    with pytest.raises(InputError, match=r"no checkpoint would hold ByAdam\.optimizer\.step"):
        run(replace(kill.QUICK, method="adam"), tmp_path)


def test_what_is_made_anew_need_not_be_saved(make_learner: MakeLearner) -> None:
    # A class out of a registry is no name that mypy knows.
    class Heir(METHODS["wa"]):  # type: ignore[misc]
        remade: ClassVar[tuple[str, ...]] = ("scale",)

    class Grandchild(Heir):
        remade: ClassVar[tuple[str, ...]] = ("shift",)

    wa = make_learner("wa")
    learner = Grandchild(wa.model, wa.config)
    learner.scale = learner.shift = torch.ones(2)
    check_all_is_saved(learner)
