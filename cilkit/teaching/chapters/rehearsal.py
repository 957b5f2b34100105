"""The memory, stage by stage: which images are at hand, and which leave. Chapter 3."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor

from cilkit.data.samples import Samples
from cilkit.data.scenario import Scenario
from cilkit.memory import Memory, positions_by_class
from cilkit.teaching.moving import Frame, Moving
from cilkit.teaching.svg import rect, text
from cilkit.teaching.thumbnails import address, drawn

LEFT, SIDE, ROW, TOP = 44, 12, 25, 30  # pixels of the figure: images begin, an image, a class
MOST = 40  # images drawn of one class


class Held(NamedTuple):
    """Of one class in one stage: how many images are there to train on, and how many stay."""

    at_hand: int
    stays: int
    is_new: bool


def memory_by_stage(
    scenario: Scenario, memory: Memory, features: Callable[[Samples], Tensor]
) -> Moving:
    """Show what each stage may train on and what is left of it at its end, as a memory chooses.

    `memory` is an empty one, and is filled; `features` are what it looks at, (N, D) of N samples.
    Two frames for each stage. There is room for ten classes.
    """
    shelf, frames = Shelf(scenario.class_names), list[Frame]()
    for stage in scenario.stages:
        held = held_in(stage.train, memory, features, stage.n_seen)
        shelf.order(stage.train, memory)
        name = f"stage {stage.index + 1}"
        frames.append(Frame(f"{name}, in training", trained_on(held), shelf.draw(held, False)))
        frames.append(Frame(f"{name}, at its end", left_of(held), shelf.draw(held, True)))
    return Moving(
        "Which images are at hand, and which leave?",
        "A row for each class: images to train on in a stage, orange for new classes, blue for the "
        "exemplars of old ones, with their number. At the end of the stage those that leave "
        f"are pale. Of a class with more than {MOST} images, {MOST} are drawn.",
        "moment",
        frames,
        width=640,
        height=TOP + ROW * len(scenario.class_names) + 4,
        printed=2,
    )


def held_in(
    new: Samples, memory: Memory, features: Callable[[Samples], Tensor], n_seen: int
) -> list[Held]:
    """Let a stage of `new` images pass: fill the memory, and return what each class had and has."""
    before = [len(samples) for samples in memory.by_class]
    there = before + [len(rows) for rows in positions_by_class(new.labels).values()]
    memory.add(new, features(new), n_seen)
    after = [len(samples) for samples in memory.by_class]
    pairs = enumerate(zip(there, after, strict=True))
    return [Held(had, has, label >= len(before)) for label, (had, has) in pairs]


def trained_on(held: Sequence[Held]) -> str:
    """Say what a stage may train on."""
    new = sum(one.at_hand for one in held if one.is_new)
    old = [one.at_hand for one in held if not one.is_new]
    kept = f" and {sum(old)} exemplars, {old[0]} of each old class" if old else ", nothing else"
    return f"{new} new images{kept}"


def left_of(held: Sequence[Held]) -> str:
    """Say what is left at a stage's end."""
    new = sum(one.at_hand - one.stays for one in held if one.is_new)
    old = sum(one.at_hand - one.stays for one in held if not one.is_new)
    stay = f"{sum(one.stays for one in held)} stay, {held[0].stays} of each class"
    leave = f"{new} new images" + (f" and {old} exemplars" if old else "")
    return f"{stay}; {leave} leave"


@dataclass
class Shelf:
    """A row of images for each class, the best ones first, so that what leaves is on the right."""

    names: Sequence[str]
    rows: list[Tensor] = field(default_factory=list)  # (at most MOST, C, H, W) of each class

    def order(self, new: Samples, memory: Memory) -> None:
        """Put the images of new classes on the shelf: those that the memory keeps come first."""
        for label, positions in positions_by_class(new.labels).items():
            kept = memory.by_class[label].images()
            every = new.take(positions).images()
            same = (every.flatten(1)[:, None] == kept.flatten(1)[None]).all(2).any(1)
            self.rows.append(torch.cat([kept, every[~same]])[:MOST])

    def draw(self, held: Sequence[Held], leaving: bool) -> str:
        """Draw all classes: those that are known, and the names of those to come."""
        marks = text(LEFT, 16, "at the end: what leaves is pale" if leaving else "to train on")
        for label, name in enumerate(self.names):
            y = TOP + ROW * label
            look = "" if label < len(held) else ' class="faint"'
            marks += text(LEFT - 12, y + 13, name, "end", look)
            marks += self.of_class(label, held[label], leaving, y) if label < len(held) else ""
        return marks

    def of_class(self, label: int, held: Held, leaving: bool, y: float) -> str:
        """Draw one class's images in a frame, and those that leave beside it."""
        row = self.rows[label]
        inside = min(held.stays if leaving else held.at_hand, MOST)
        marks = strip(row[:inside], LEFT, y)
        marks += rect(LEFT - 2, y - 2, SIDE * inside + 4, SIDE + 4, f"line {look_of(held)}")
        if leaving and (gone := row[inside : held.at_hand]).numel():
            marks += f'<g class="faint">{strip(gone, LEFT + SIDE * inside + 6, y)}</g>'
        number = f"{held.stays} of {held.at_hand}" if leaving else f"{held.at_hand} {look_of(held)}"
        return marks + text(632, y + 13, number, "end")


def look_of(held: Held) -> str:
    """Return the colour of a class."""
    return "new" if held.is_new else "old"


def strip(images: Tensor, x: float, y: float) -> str:
    """Draw images, (N, C, H, W) uint8, side by side as one."""
    wide = images.permute(1, 2, 0, 3).flatten(2)
    return drawn(address(wide, "png"), x, y, SIDE * len(images), SIDE)
