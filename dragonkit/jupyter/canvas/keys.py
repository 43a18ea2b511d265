"""What the keys do on a canvas: a table from a key to the name of what the canvas shall do."""

from __future__ import annotations

__all__ = ["ACTIONS", "PUSHES", "chord"]

ACTIONS = {"ctrl+z": "undo", "ctrl+shift+z": "redo", "ctrl+y": "redo", "Tab": "leave"}
"""Methods of `CanvasView` by key. Keys that stand in neither table take the tool of that shortcut in hand, or are the tool's own."""

PUSHES = {"ArrowLeft": (1, 0), "ArrowRight": (-1, 0), "ArrowUp": (0, 1), "ArrowDown": (0, -1)}
"""Where the arrow keys push the picture."""


def chord(key: str, shift: bool, ctrl: bool, meta: bool) -> str:
    """One name for keys pressed together: "b", "[", "Escape", "ctrl+z", "ctrl+shift+z"; the Mac's command key is "ctrl" too."""
    key = key.lower() if len(key) == 1 else key
    return f"ctrl+{'shift+' if shift else ''}{key}" if ctrl or meta else key
