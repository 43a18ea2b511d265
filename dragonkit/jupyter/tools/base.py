"""What every tool has in common. Positions are pixels of the picture; tools know no widgets.

A tool is told of every press, move and release, and of the pointer leaving the canvas, after which no release will come. A right click
is a press without a release, so a press always begins afresh. Whoever holds a tool draws what `preview` gives.
"""

from __future__ import annotations

from typing import ClassVar

from dragonkit.imaging.strokes import Point, Rect
from dragonkit.jupyter.marks.shapes import Shape
from dragonkit.jupyter.marks.state import MarkState

__all__ = ["Stroke", "Tool"]


class Tool:
    """A tool that does nothing. The methods return which rectangle of the mask they changed, or None.

    Attributes:
        name, shortcut: how people call it, and the key that takes it.
        reach: how near counts as on it, in picture pixels; a canvas sets it at every press.
        busy: whether something was begun that is not in the marks yet.
        cursor: what the pointer looks like, as CSS calls it.
    """

    name: ClassVar[str] = ""
    shortcut: ClassVar[str] = ""
    reach: float = 4.0
    busy: bool = False
    cursor: ClassVar[str] = "crosshair"

    def cursor_at(self, state: MarkState, x: float, y: float) -> str:
        """What the pointer looks like there: what a press would do."""
        return self.cursor

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        return None

    def move(self, state: MarkState, x: float, y: float) -> Rect | None:
        """The pointer moved, pressed or not."""
        return None

    def up(self, state: MarkState, x: float, y: float) -> Rect | None:
        return None

    def leave(self, state: MarkState, x: float, y: float) -> Rect | None:
        return None

    def key(self, state: MarkState, key: str) -> Rect | None:
        """A key by its name in browsers, such as "[" or "Escape"."""
        if key in ("Escape", "Backspace"):
            self.cancel()
        return None

    def cancel(self) -> None:
        """Forget what was begun; the marks stay."""

    def preview(self, state: MarkState) -> list[Shape]:
        """What to draw for what was begun."""
        return []


class Stroke(Tool):
    """A press, a way and a release; leaving the canvas releases. Subclasses say in `_commit` what becomes of the way."""

    def __init__(self) -> None:
        self._way: list[Point] = []
        self._pointer: Point | None = None

    @property
    def busy(self) -> bool:  # type: ignore[override]
        return bool(self._way)

    def down(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pointer, self._way = (x, y), [(x, y)]
        return None

    def move(self, state: MarkState, x: float, y: float) -> Rect | None:
        self._pointer = (x, y)
        if self._way and self._way[-1] != (x, y):
            self._way.append((x, y))
        return None

    def up(self, state: MarkState, x: float, y: float) -> Rect | None:
        self.move(state, x, y)
        way, self._way = self._way, []
        return self._commit(state, way) if way else None

    def leave(self, state: MarkState, x: float, y: float) -> Rect | None:
        dirty = self.up(state, x, y)
        self._pointer = None
        return dirty

    def cancel(self) -> None:
        self._way = []

    def _commit(self, state: MarkState, way: list[Point]) -> Rect | None:
        raise NotImplementedError
