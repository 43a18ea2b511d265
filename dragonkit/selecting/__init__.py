"""The selectors that come along: masks from gestures, without any weights. A plugin like any other.

`drawn`: box, brush, lasso and polygon. `wand`: pixels of like colour. `objects`: a whole object from a click.
"""

from __future__ import annotations

from dragonkit.plugins.selector import Selector
from dragonkit.plugins.specs import hookimpl
from dragonkit.selecting.drawn import BOX, BRUSH, LASSO, POLYGON
from dragonkit.selecting.objects import OBJECT
from dragonkit.selecting.wand import WAND

__all__ = ["BOX", "BRUSH", "LASSO", "OBJECT", "POLYGON", "WAND"]


@hookimpl
def dragonkit_selectors() -> list[Selector]:
    return [BOX, BRUSH, LASSO, POLYGON, WAND, OBJECT]
