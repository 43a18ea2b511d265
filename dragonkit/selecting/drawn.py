"""Box, brush, lasso and polygon: what was drawn is what is selected, whatever the picture shows."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image
from pydantic import Field

from dragonkit.imaging.strokes import Region, polygon, rectangle, stroke
from dragonkit.plugins.selector import Box, Options, Point, Selector

__all__ = ["BOX", "BRUSH", "LASSO", "POLYGON", "BrushOptions"]


class BrushOptions(Options):
    """How thick the brush is."""

    radius: float = Field(default=8.0, ge=0.5, le=500, description="half the brush's width in pixels")


def select_box(image: Image.Image, box: Box) -> np.ndarray:
    """Every pixel that the box touches."""
    left, top, right, bottom = box
    return _mask(rectangle((math.floor(left), math.floor(top), math.ceil(right), math.ceil(bottom)), image.size), image)


def select_stroke(image: Image.Image, points: list[Point], *, radius: float) -> np.ndarray:
    """Every pixel whose centre is at most `radius` from the way between the points, and the pixels that the points lie in."""
    return _mask(stroke(points, 2 * radius, image.size), image)


def select_outline(image: Image.Image, points: list[Point]) -> np.ndarray:
    """Every pixel whose centre the closed outline goes round, in straight lines from point to point (non-zero winding rule)."""
    return _mask(polygon(points, image.size), image)


BOX = Selector("box", "all pixels of a box", "box", select_box)
BRUSH = Selector("brush", "what a round brush paints over", "stroke", select_stroke, BrushOptions)
LASSO = Selector("lasso", "what a line drawn by hand goes round", "outline", select_outline)
POLYGON = Selector("polygon", "what straight lines from corner to corner go round", "outline", select_outline)


def _mask(region: Region | None, image: Image.Image) -> np.ndarray:
    mask = np.zeros((image.height, image.width), bool)
    if region is not None:
        (left, top, right, bottom), bits = region
        mask[top:bottom, left:right] = bits
    return mask
