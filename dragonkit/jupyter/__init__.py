"""The notebook editor: grab things in a picture with the mouse, in Jupyter.

    import dragonkit as dk

    dk.EditorWidget("photo.png")

Importing this package needs `pip install 'dragonkit[jupyter]'`; without it an ImportError says so.
"""

from __future__ import annotations

from importlib.util import find_spec

_missing = [name for name in ("anywidget", "ipywidgets", "ipycanvas") if find_spec(name) is None]
if _missing:
    raise ImportError(
        f"the notebook editor needs {' and '.join(_missing)}, which is not installed: run pip install 'dragonkit[jupyter]' "
        "and restart the kernel"
    )
