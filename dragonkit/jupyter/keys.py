"""What the keys do on a canvas."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragonkit.jupyter.marks import MarkState

if TYPE_CHECKING:
    from dragonkit.jupyter.canvas import CanvasView

__all__ = ["chord", "press"]

_PUSH = {"ArrowLeft": (1, 0), "ArrowRight": (-1, 0), "ArrowUp": (0, 1), "ArrowDown": (0, -1)}


def chord(key: str, shift: bool, ctrl: bool, meta: bool) -> str:
    """One name for keys pressed together: "b", "[", "Escape", "ctrl+z", "ctrl+shift+z"; the Mac's command key is "ctrl" too."""
    key = key.lower() if len(key) == 1 else key
    return f"ctrl+{'shift+' if shift else ''}{key}" if ctrl or meta else key


def press(view: CanvasView, keys: str) -> None:
    """Undo, redo, take another tool, push the picture, leave it; all else is the tool's."""
    named = [tool.name for tool in view.tools.values() if tool.shortcut == keys]
    if keys == "ctrl+z":  # what was begun is taken back first
        view.apply(lambda state: view.tool.key(state, "Backspace") if view.tool.busy else state.undo())
    elif keys in ("ctrl+shift+z", "ctrl+y"):
        view.apply(MarkState.redo)
    elif keys in _PUSH:
        width, height = view.viewport.canvas_size
        view.pan(_PUSH[keys][0] * width / 8, _PUSH[keys][1] * height / 8)
    elif keys == "Tab":
        view.widget.blur()  # the canvas swallows every key; once it has lost the focus, the next Tab goes on from there
    elif named:
        view.set_tool(named[0])
    else:
        view.apply(lambda state: view.tool.key(state, keys))
