"""All tools by name. They take down, move, up, leave and key, and change a `MarkState`."""

from __future__ import annotations

from dragonkit.jupyter.tools.areas import Box, Brush, Eraser, Lasso, Polygon
from dragonkit.jupyter.tools.arrows import DragArrows
from dragonkit.jupyter.tools.base import Tool
from dragonkit.jupyter.tools.pick import Pick

__all__ = ["TOOLS"]

TOOLS: dict[str, type[Tool]] = {tool.name: tool for tool in (Brush, Eraser, Lasso, Polygon, Box, DragArrows, Pick)}
