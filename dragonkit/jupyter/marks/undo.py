"""Undo and redo of marks in bounded memory."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from dragonkit.imaging.strokes import Point, Rect, Region

__all__ = ["Click", "Drag", "Marks", "Step", "UndoStack"]

Drag: TypeAlias = tuple[Point, Point]
"""From where to where."""
Click: TypeAlias = tuple[float, float, bool]
"""(x, y), and whether it is on the object (True) or on what is not the object."""


@dataclass(frozen=True)
class Marks:
    """All that is marked and is not pixels. Immutable, so that a step may simply keep it."""

    boxes: tuple[Rect, ...] = ()
    drags: tuple[Drag, ...] = ()
    points: tuple[Click, ...] = ()

    @property
    def cost(self) -> int:
        """Bytes, roughly."""
        return 200 * (len(self.boxes) + len(self.drags) + len(self.points))


@dataclass(frozen=True)
class Step:
    """One change. Its part in the mask is its own inverse: which pixels of `rect` flipped, eight to a byte."""

    rect: Rect | None
    flipped: bytes
    before: Marks
    after: Marks

    @classmethod
    def of(cls, flipped: Region | None, before: Marks, after: Marks) -> Step:
        return cls(None, b"", before, after) if flipped is None else cls(flipped[0], np.packbits(flipped[1]).tobytes(), before, after)

    def flip(self, mask: np.ndarray) -> np.ndarray:
        """The mask, bool (H, W), with this step's pixels flipped; the array itself where there are none, a read-only one otherwise."""
        if self.rect is None:
            return mask
        left, top, right, bottom = self.rect
        bits = np.unpackbits(np.frombuffer(self.flipped, np.uint8), count=(bottom - top) * (right - left))
        mask = mask.copy()
        mask[top:bottom, left:right] ^= bits.reshape(bottom - top, right - left).astype(bool)
        mask.flags.writeable = False
        return mask

    @property
    def cost(self) -> int:
        """Bytes, roughly."""
        return 400 + len(self.flipped) + self.before.cost + self.after.cost


class UndoStack:
    """Steps that were done, and steps that were undone since.

    Args:
        limit: bytes that all done steps together may take; beyond it the oldest are forgotten, the last one never.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self._cost = limit, 0
        self.done: deque[Step] = deque()
        self.undone: list[Step] = []

    def add(self, step: Step) -> None:
        """A new step; what was undone before it can no longer be redone."""
        self.undone.clear()
        self.done.append(step)
        self._cost += step.cost
        while self._cost > self.limit and len(self.done) > 1:
            self._cost -= self.done.popleft().cost

    def undo(self) -> Step | None:
        """The step to take back, or None."""
        if not self.done:
            return None
        step = self.done.pop()
        self._cost -= step.cost
        self.undone.append(step)
        return step

    def redo(self) -> Step | None:
        """The step to do again, or None."""
        if not self.undone:
            return None
        step = self.undone.pop()
        self._cost += step.cost
        self.done.append(step)
        return step
