"""The tool that clicks: a selector turns clicks into a mask, and what is selected can be taken, moved, scaled and turned."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from dragonkit.errors import MaskError
from dragonkit.imaging.strokes import Point, Rect
from dragonkit.jupyter.marks.shapes import Arrow, Grip, Shape
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.marks.undo import Click, Drag
from dragonkit.jupyter.tools.arrows import NUDGES, nudged, within
from dragonkit.jupyter.tools.base import Tool
from dragonkit.jupyter.tools.frame import Frame, Pull, When

__all__ = ["Pick", "Selector"]

Selector: TypeAlias = Callable[[list[Click]], np.ndarray | None]
"""Clicks (x, y, on the object) to a mask, bool (H, W); None when the mask will be set later, by a thread perhaps."""


class Pick(Tool):
    """Clicks on an object, which `selector` turns into a mask. Further clicks correct it; Escape goes on to another object.

    What is selected can be taken and moved: a press inside the mask and a way from there are an arrow, which replaces the one before; taken
    where it shall go, the arrow goes on. What is lit up under the pointer is selected instead and taken at once; what is not looked up
    yet is taken all the same, and is selected meanwhile. The frame round it has handles.
    A selector that is changed in between gets all clicks on the object, and its mask replaces the one before.

    Args:
        selector: see `Selector`. It runs while the hand waits: let it return None and use a thread if it takes seconds. Without one,
            clicks are only kept.
        positive: whether clicks are on the object, or on what is not the object.

    Attributes:
        lit: gives the clicks and the mask of what is lit up at a place, or None.
        awaits: told of clicks; begins to select what they are on, and tells whether it will come, to be taken where the first one is.
        frame: gives the frame round what is selected, or None.
        pull: told which handle is pulled, by how much since the press, and whether the hand presses, moves or releases.
    """

    name, shortcut, cursor = "pick", "k", "pointer"

    def __init__(self, selector: Selector | None = None, positive: bool = True) -> None:
        self.selector, self.positive = selector, positive
        self._pressed: Point | None = None
        self._taken: Drag | None = None  # the arrow as it was when what it moves was taken
        self._grabbed: Drag | None = None
        self._selected: tuple[list[Click], np.ndarray | None] = ([], None)
        self.lit: Callable[[float, float], tuple[list[Click], np.ndarray] | None] = lambda x, y: None
        self.awaits: Callable[[list[Click]], bool] = lambda clicks: False
        self.frame: Callable[[MarkState], Frame | None] = lambda state: None
        self.pull: Callable[[Pull, float, When], None] = lambda pull, by, now: None
        self._framed: Frame | None = None
        self._pulled: Pull | None = None

    @property
    def busy(self) -> bool:  # type: ignore[override]
        return self._grabbed is not None or self._pulled is not None

    @property
    def start(self) -> Point | None:
        """Where what is selected was taken, while it is being moved; None otherwise."""
        return None if self._grabbed is None else self._pressed

    @property
    def moved_before(self) -> Point:
        """How far it had been moved when it was taken."""
        (x, y), (to_x, to_y) = self._taken or ((0.0, 0.0), (0.0, 0.0))
        return to_x - x, to_y - y

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pressed, self._grabbed, self._taken = (x, y), None, None
        self._framed = self.frame(state)
        self._pulled = self._framed.handle_at((x, y), self.reach) if self._framed is not None else None
        if self._pulled is not None:
            self.pull(self._pulled, 0.0, "press")
        return None

    def move(self, state: MarkState, x: float, y: float) -> Rect | None:
        pressed = self._pressed
        if pressed is None:
            return None
        if self._pulled is not None and self._framed is not None:
            self._pull_to(x, y, "move")
            return None
        changed = None
        if self._grabbed is None and math.dist(pressed, (x, y)) > self.reach:
            self._taken = self._takes(state, pressed)
            if self._taken is None and (lit := self.lit(*pressed)) is not None:
                self._selected, self._taken = lit, (pressed, pressed)
                changed = state.change(lit[1], points=lit[0], drags=())
            elif self._taken is None and self.positive and self.awaits(clicks := state.points or [(*pressed, True)]):
                self._taken = (pressed, pressed)
                state.change(points=clicks)
        if self._taken is not None:
            start, end = self._taken
            self._grabbed = start, within((end[0] + x - pressed[0], end[1] + y - pressed[1]), state.size)
        return changed

    def up(self, state: MarkState, x: float, y: float) -> Rect | None:
        if self._pulled is not None:
            self._pull_to(x, y, "release")
            self._pulled = self._pressed = None
            return None
        self.move(state, x, y)
        pressed, self._pressed = self._pressed, None
        if self._grabbed is not None:
            grabbed, self._grabbed = self._grabbed, None
            return state.change(drags=[grabbed])
        inside = 0 <= x <= state.size[0] and 0 <= y <= state.size[1]
        if pressed is None or not inside or math.dist(pressed, (x, y)) > self.reach:
            return None
        clicks = [*state.points, (x, y, self.positive)]
        before, after = self._mask_of(state, state.points), self._mask_of(state, clicks)
        mask = state.mask if before is None else state.mask & ~before  # what was painted by hand elsewhere stays
        return state.change(None if after is None else mask | after, points=clicks)  # None: it comes later

    def cursor_at(self, state: MarkState, x: float, y: float) -> str:
        frame = self.frame(state)
        if frame is not None and (cursor := frame.cursor_at((x, y), self.reach)):
            return cursor
        there = frame.back((x, y)) if frame is not None else (x, y)
        return "move" if _holds(state.mask, there) or _holds(state.mask, (x, y)) else self.cursor

    def leave(self, state: MarkState, x: float, y: float) -> Rect | None:
        if self.busy:
            return self.up(state, x, y)
        self._pressed = None
        return None

    def key(self, state: MarkState, key: str) -> Rect | None:
        if key in NUDGES and not self.busy:
            return nudged(state, key)
        if self.busy or key != "Escape":
            return super().key(state, key)
        return state.change(points=())

    def cancel(self) -> None:
        pulled, self._pulled = self._pulled, None
        self._pressed = self._grabbed = self._taken = None
        if pulled is not None:
            self.pull(pulled, 1.0 if pulled == "scale" else 0.0, "release")

    def forget(self) -> None:
        """The picture is another one: the same clicks select something else there."""
        self.cancel()
        self._selected = ([], None)

    def preview(self, state: MarkState) -> list[Shape]:
        if self._grabbed is not None:
            return [Arrow(*self._grabbed)]
        frame = self.frame(state)
        return [] if frame is None else [Grip(frame.corners, frame.handles, frame.knob)]

    def _pull_to(self, x: float, y: float, now: When) -> None:
        assert self._pulled is not None and self._framed is not None and self._pressed is not None
        if (x, y) != self._pressed:
            self.pull(self._pulled, self._framed.pulled(self._pulled, self._pressed, (x, y)), now)

    def _takes(self, state: MarkState, point: Point) -> Drag | None:
        """The arrow that a way from here goes on with; None where there is nothing to be taken."""
        if self._framed is not None and self._framed.moved and state.drags and _holds(state.mask, self._framed.back(point)):
            return state.drags[0]
        return (point, point) if _holds(state.mask, point) else None

    def _mask_of(self, state: MarkState, clicks: list[Click]) -> np.ndarray | None:
        if self._selected[0] != clicks:
            mask = self.selector(list(clicks)) if self.selector and clicks else None
            if mask is not None and (mask.dtype != np.bool_ or mask.shape != state.mask.shape):
                raise MaskError(
                    f"the selector gave {mask.dtype} {mask.shape}, but the picture's masks are bool {state.mask.shape}. "
                    "Give it the picture that is shown, and return (height, width)."
                )
            self._selected = (clicks, mask)
        return self._selected[1]


def _holds(mask: np.ndarray, point: Point) -> bool:
    """Whether a point lies in a mask; what lies beside the picture does not."""
    row, column = math.floor(point[1]), math.floor(point[0])
    return 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and bool(mask[row, column])
