"""Touches as what a mouse does: one finger presses and moves, two fingers push the picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dragonkit.imaging.strokes import Point

__all__ = ["Fingers"]


class Fingers:
    """Takes a browser's touch events, each with all fingers that are on the canvas then.

    Args:
        pointer: told "down", "move", "up", "leave" and, when a press turns out to be something else, "cancel", with a position.
        pan: told by how much two fingers moved.
    """

    def __init__(self, pointer: Callable[[str, float, float], None], pan: Callable[[float, float], None]) -> None:
        self._pointer, self._pan = pointer, pan
        self._last: Point = (0.0, 0.0)
        self._panning = False

    def start(self, touches: Sequence[Point]) -> None:
        self._last = _middle(touches)
        if len(touches) > 1:
            self._panning = True
            self._pointer("cancel", *self._last)
        else:
            self._panning = False
            self._pointer("down", *self._last)

    def move(self, touches: Sequence[Point]) -> None:
        before, self._last = self._last, _middle(touches)
        if not self._panning:
            self._pointer("move", *self._last)
        elif len(touches) > 1:
            self._pan(self._last[0] - before[0], self._last[1] - before[1])

    def end(self, touches: Sequence[Point]) -> None:
        """A finger was lifted. The event says which ones are left, so a stroke ends where its finger was last."""
        if touches:
            self._last = _middle(touches)
        elif not self._panning:
            self._pointer("up", *self._last)
            self._pointer("leave", *self._last)  # no finger hovers

    def stop(self, touches: Sequence[Point]) -> None:
        """The system took the touch for something else."""
        self._pointer("cancel", *self._last)


def _middle(touches: Sequence[Point]) -> Point:
    return sum(x for x, _ in touches) / len(touches), sum(y for _, y in touches) / len(touches)
