"""What happens on a canvas, for whoever wants to be told."""

from __future__ import annotations

from collections.abc import Callable

from dragonkit.jupyter.canvas.callbacks import Callbacks

__all__ = ["Events"]


class Events:
    """Takes callbacks; whoever derives from it notifies them."""

    def __init__(self) -> None:
        self._callbacks = Callbacks()

    def on_change(self, callback: Callable[[], None]) -> None:
        """Called after every change of the marks that was made by a tool, by a key or through `apply`."""
        self._callbacks.add("change", callback)

    def on_pointer(self, callback: Callable[[str, float, float], None]) -> None:
        """Called with "down", "move" (while pressed) or "up", and the picture position. Leaving the canvas is an "up"."""
        self._callbacks.add("pointer", callback)

    def on_hover(self, callback: Callable[[float, float, bool], None]) -> None:
        """Called with the picture position of a pointer that is not pressed, and whether it is on the canvas still."""
        self._callbacks.add("hover", callback)

    def on_slide(self, callback: Callable[[float], None]) -> None:
        """Called with the share of the result that somebody wants to see, who pushes the line between before and after."""
        self._callbacks.add("slide", callback)

    def on_copied(self, callback: Callable[[bool], None]) -> None:
        """Called with whether the clipboard has what was given to `front.copy`."""
        self._callbacks.add("copied", callback)

    def on_key(self, callback: Callable[[str], None]) -> None:
        """Called after a key was dealt with, with its name as `keys.chord` gives it."""
        self._callbacks.add("key", callback)

    def on_zoom(self, callback: Callable[[], None]) -> None:
        """Called after the wheel changed how large the picture is."""
        self._callbacks.add("zoom", callback)

    def on_error(self, callback: Callable[[Exception], None]) -> None:
        """Called with whatever is raised while the browser's events are handled, by other callbacks too."""
        self._callbacks.add("error", callback)
