"""The notebook editor: grab things in a picture with the mouse, in Jupyter.

    import dragonkit as dk

    dk.EditorWidget("photo.png")

Importing this package needs `pip install 'dragonkit[jupyter]'`; without it an ImportError says so.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from dragonkit.lazy import loader

_missing = [name for name in ("ipywidgets", "ipycanvas") if find_spec(name) is None]
if _missing:
    raise ImportError(
        f"the notebook editor needs {' and '.join(_missing)}, which is not installed: run pip install 'dragonkit[jupyter]' "
        "and restart the kernel"
    )

_HOMES = {
    "CanvasView": "jupyter.canvas.view",
    "EditorWidget": "jupyter.editor_widget",
    "MarkState": "jupyter.marks.state",
}

__all__ = ["CanvasView", "EditorWidget", "MarkState"]

if TYPE_CHECKING:
    from dragonkit.jupyter.canvas.view import CanvasView
    from dragonkit.jupyter.editor_widget import EditorWidget
    from dragonkit.jupyter.marks.state import MarkState
else:
    __getattr__ = loader(__name__, _HOMES)
