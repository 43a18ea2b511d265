"""What is drawn over a picture besides the mask, as plain values in picture pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dragonkit.imaging.strokes import Point, Rect
from dragonkit.jupyter.marks.state import MarkState

__all__ = ["Arrow", "Grip", "Handle", "Outline", "Ring", "Shape", "Spot", "Trail", "box_outline", "shapes_of"]


@dataclass(frozen=True)
class Trail:
    """The way of a round brush, `diameter` wide."""

    points: tuple[Point, ...]
    diameter: float
    erases: bool = False


@dataclass(frozen=True)
class Outline:
    """A thin line from point to point, and back to the first one if closed."""

    points: tuple[Point, ...]
    closed: bool = False


@dataclass(frozen=True)
class Arrow:
    """From `start` to `end`; a pin where they are the same."""

    start: Point
    end: Point


@dataclass(frozen=True)
class Handle:
    """An end of an arrow that can be taken elsewhere."""

    at: Point


@dataclass(frozen=True)
class Spot:
    """A click: plus where positive, minus where not, a plain spot where None."""

    at: Point
    positive: bool | None = None


@dataclass(frozen=True)
class Ring:
    """The outline of a brush that is not pressed."""

    center: Point
    diameter: float


@dataclass(frozen=True)
class Grip:
    """A box with a handle for each of its four corners, which may stand off, and a knob to turn it unless there is none."""

    corners: tuple[Point, ...]
    handles: tuple[Point, ...]
    knob: Point | None


Shape: TypeAlias = Trail | Outline | Arrow | Handle | Spot | Ring | Grip


def box_outline(box: Rect) -> Outline:
    left, top, right, bottom = box
    return Outline(((left, top), (right, top), (right, bottom), (left, bottom)), closed=True)


def shapes_of(state: MarkState) -> list[Shape]:
    """All marks but the mask."""
    boxes = [box_outline(box) for box in state.boxes]
    drags = [Arrow(start, end) for start, end in state.drags]
    return [*boxes, *drags, *(Spot((x, y), positive) for x, y, positive in state.points)]
