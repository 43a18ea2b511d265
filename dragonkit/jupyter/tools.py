"""All tools by name. They take down, move, up, leave and key, and change a `MarkState`."""

from __future__ import annotations

from dragonkit.jupyter.area_tools import Box, Brush, Eraser, Lasso, Polygon
from dragonkit.jupyter.point_tools import DragArrows, Pick, Selector
from dragonkit.jupyter.tool import Tool

__all__ = ["TOOLS", "Box", "Brush", "DragArrows", "Eraser", "Lasso", "Pick", "Polygon", "Selector", "Tool"]

TOOLS: dict[str, type[Tool]] = {tool.name: tool for tool in (Brush, Eraser, Lasso, Polygon, Box, DragArrows, Pick)}
