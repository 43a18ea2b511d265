"""What somebody has marked on a picture: a mask, boxes, drags and clicks, with undo. It knows no widgets."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dragonkit.errors import EditError, MaskError, PointError
from dragonkit.imaging.masks import decode_mask, encode_mask
from dragonkit.imaging.strokes import Point, Rect, Region, trimmed
from dragonkit.jupyter.marks.undo import Click, Drag, Marks, Step, UndoStack

__all__ = ["MarkState"]


class MarkState:
    """A mask at the picture's own resolution, boxes, drags and clicks. Every change can be undone; threads may share it.

    Methods that change something return the rectangle of mask pixels that changed, or None when none did. What `mask` returns never
    changes afterwards: later changes make a new array.

    Args:
        size: (width, height) of the picture in pixels.
        undo_bytes: how much memory undo may take; beyond it the oldest steps are forgotten.

    Attributes:
        version: grows with every change, undo and redo included.
    """

    def __init__(self, size: tuple[int, int], *, undo_bytes: int = 64 * 2**20) -> None:
        if min(size) < 1:
            raise EditError(f"a picture's size must be positive, got {size}. Pass (width, height) in pixels.")
        self.size = (int(size[0]), int(size[1]))
        self.version = 0
        self._mask = np.zeros((self.size[1], self.size[0]), bool)
        self._mask.flags.writeable = False
        self._marks = Marks()
        self._steps = UndoStack(undo_bytes)
        self._lock = threading.RLock()

    @property
    def mask(self) -> np.ndarray:
        """bool (height, width), read-only."""
        return self._mask

    @property
    def boxes(self) -> list[Rect]:
        """(left, top, right, bottom) each, in whole pixels; right and bottom exclusive."""
        return list(self._marks.boxes)

    @property
    def drags(self) -> list[Drag]:
        """(from, to) each; one that goes nowhere holds its place."""
        return list(self._marks.drags)

    @property
    def points(self) -> list[Click]:
        """(x, y, on the object) each."""
        return list(self._marks.points)

    @property
    def can_undo(self) -> bool:
        return bool(self._steps.done)

    @property
    def can_redo(self) -> bool:
        return bool(self._steps.undone)

    def change(
        self,
        mask: np.ndarray | None = None,
        *,
        boxes: Iterable[Rect] | None = None,
        drags: Iterable[Drag] | None = None,
        points: Iterable[Click] | None = None,
    ) -> Rect | None:
        """Replace whatever is given, as one step for undo. What changes nothing makes no step.

        Raises:
            MaskError: the mask is not bool (height, width). EditError: a box without a pixel in the picture.
            PointError: a drag or a click outside the picture.
        """
        with self._lock:
            marks = self._marks
            if boxes is not None:
                marks = replace(marks, boxes=tuple(self._checked_box(box) for box in boxes))
            if drags is not None:
                marks = replace(marks, drags=tuple((self._inside(start), self._inside(end)) for start, end in drags))
            if points is not None:
                marks = replace(marks, points=tuple((*self._inside((x, y)), bool(positive)) for x, y, positive in points))
            changed = None if mask is None else trimmed((0, 0), self._checked_mask(mask) != self._mask)
            return self._do(changed, marks)

    def paint(self, region: np.ndarray | Region, value: bool = True) -> Rect | None:
        """Set the region's pixels to `value`. A region is bool (height, width), or a rectangle within the picture with its bits."""
        rect, bits = region if isinstance(region, tuple) else ((0, 0, *self.size), self._checked_mask(region))
        with self._lock:
            here = self._mask[rect[1] : rect[3], rect[0] : rect[2]]
            if bits.dtype != np.bool_ or bits.shape != here.shape:
                raise MaskError(f"a region of {bits.dtype} {bits.shape} does not fit its rectangle {rect}. Pass bool (height, width).")
            return self._do(trimmed(rect[:2], bits & (here != value)), self._marks)

    def set_mask(self, mask: np.ndarray) -> Rect | None:
        """Replace the mask by bool (height, width)."""
        return self.change(mask)

    def invert(self) -> Rect | None:
        """What was outside is inside, and the other way round."""
        with self._lock:
            return self.change(~self._mask)

    def clear(self) -> Rect | None:
        """Remove everything, as one step."""
        return self.change(np.zeros_like(self._mask), boxes=(), drags=(), points=())

    def undo(self) -> Rect | None:
        """Take the last change back; nothing happens when there is none."""
        with self._lock:
            step = self._steps.undo()
            return None if step is None else self._apply(step, step.before)

    def redo(self) -> Rect | None:
        """Do again what was undone last; nothing happens when there is none."""
        with self._lock:
            step = self._steps.redo()
            return None if step is None else self._apply(step, step.after)

    def to_json(self) -> dict[str, Any]:
        """All marks as JSON values, the mask as a base64 PNG. Undo steps stay behind."""
        with self._lock:
            marks = self._marks
            return {
                "size": list(self.size),
                "mask": {"png": encode_mask(self._mask)},
                "boxes": [list(box) for box in marks.boxes],
                "drags": [[list(start), list(end)] for start, end in marks.drags],
                "points": [list(point) for point in marks.points],
            }

    @classmethod
    def holding(cls, mask: np.ndarray) -> MarkState:
        """This mask, bool (height, width), and nothing else, with nothing to undo."""
        state = cls((mask.shape[1], mask.shape[0]))
        state.change(mask)
        state._steps = UndoStack(state._steps.limit)
        return state

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MarkState:
        """The marks that `to_json` wrote, with nothing to undo. Raises EditError, MaskError or PointError for a bad part of it."""
        try:
            state = cls(tuple(data["size"]))
            state.change(decode_mask(data["mask"]["png"], state.size), boxes=data["boxes"], drags=data["drags"], points=data["points"])
        except EditError:
            raise
        except (LookupError, TypeError, ValueError) as error:
            raise EditError(f"these are no marks ({type(error).__name__}: {error}). Pass what MarkState.to_json returned.") from error
        state._steps = UndoStack(state._steps.limit)
        return state

    def _do(self, flipped: Region | None, marks: Marks) -> Rect | None:
        """Flip the region's pixels and replace the marks, as a new step."""
        if flipped is None and marks == self._marks:
            return None
        step = Step.of(flipped, self._marks, marks)
        self._steps.add(step)
        return self._apply(step, marks)

    def _apply(self, step: Step, marks: Marks) -> Rect | None:
        self._mask, self._marks = step.flip(self._mask), marks
        self.version += 1
        return step.rect

    def _checked_mask(self, mask: np.ndarray) -> np.ndarray:
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != self._mask.shape:
            got = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
            raise MaskError(f"the mask must be a bool array {self._mask.shape}, got {got}. Use load_mask to make one.")
        return mask

    def _checked_box(self, box: Rect) -> Rect:
        left, top, right, bottom = (int(edge) for edge in box)
        if not (0 <= left < right <= self.size[0] and 0 <= top < bottom <= self.size[1]):
            raise EditError(
                f"the box {tuple(box)} is no rectangle within the {self.size[0]}x{self.size[1]} picture. "
                "Pass (left, top, right, bottom) in whole pixels."
            )
        return left, top, right, bottom

    def _inside(self, point: Point) -> Point:
        x, y = (float(part) for part in point)
        if not (math.isfinite(x + y) and 0 <= x <= self.size[0] and 0 <= y <= self.size[1]):
            raise PointError(f"the point ({x:g}, {y:g}) lies outside the {self.size[0]}x{self.size[1]} picture. Pass pixels inside it.")
        return x, y
