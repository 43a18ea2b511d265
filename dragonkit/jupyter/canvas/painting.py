"""Masks and shapes on a layer of a canvas. Lines are as thick on every zoom, and light on dark so that they show on any ground."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dragonkit.imaging.strokes import Point, Rect
from dragonkit.jupyter.canvas.overlay import MASK_COLOR, RGB, mask_overlay
from dragonkit.jupyter.canvas.viewport import Viewport
from dragonkit.jupyter.marks.shapes import Arrow, Grip, Handle, Outline, Ring, Shape, Spot, Trail

__all__ = ["draw_mask", "draw_shape"]

_ERASER = "rgba(255, 255, 255, 0.65)"
# with the mask's blue, colours that Okabe and Ito chose to be told apart by everybody
_ARROW, _ON, _OFF, _PLAIN = "#e69f00", "#0072b2", "#d55e00", "#ffffff"
_HEAD = 13.0  # length of an arrow's head, canvas pixels


def draw_mask(layer: Any, mask: np.ndarray, viewport: Viewport, rect: Rect, opacity: float, color: RGB = MASK_COLOR) -> None:
    """Draw a rectangle (canvas pixels) of the mask anew on an ipycanvas layer."""
    overlay = mask_overlay(mask, viewport, rect, opacity, color)
    layer.clear_rect(rect[0], rect[1], rect[2] - rect[0], rect[3] - rect[1])
    if overlay[..., 3].any():
        layer.put_image_data(overlay, rect[0], rect[1])


def draw_shape(layer: Any, shape: Shape, viewport: Viewport, color: RGB = MASK_COLOR) -> None:
    """Draw a shape on an ipycanvas layer; what is being painted has the mask's colour."""
    match shape:
        case Trail(points, diameter, erases):
            paint, width = _ERASER if erases else f"rgba({color[0]}, {color[1]}, {color[2]}, 0.55)", diameter * viewport.scale
            way = [viewport.to_canvas(*point) for point in points]
            if len(way) == 1:
                _disc(layer, way[0], width / 2, paint)
            else:
                _line(layer, way, width, paint)
        case Outline(points, closed):
            way = [viewport.to_canvas(*point) for point in points]
            _cased(layer, [*way, way[0]] if closed else way, 1.5, _PLAIN)
        case Ring(center, diameter):
            x, y = viewport.to_canvas(*center)
            for width, line in ((3.0, "#000000"), (1.0, _PLAIN)):
                layer.line_width, layer.stroke_style = width, line
                layer.stroke_circle(x, y, diameter * viewport.scale / 2)
        case Arrow(start, end):
            _arrow(layer, viewport.to_canvas(*start), viewport.to_canvas(*end))
        case Handle(at):
            for radius, fill in ((8.0, "#000000"), (6.5, _PLAIN), (4.0, "#000000"), (3.0, _ARROW)):
                _disc(layer, viewport.to_canvas(*at), radius, fill)
        case Grip(corners, handles, knob):
            box, grips = ([viewport.to_canvas(*point) for point in points] for points in (corners, handles))
            _grip(layer, box, grips, knob and viewport.to_canvas(*knob))
        case Spot(at, positive):
            _spot(layer, viewport.to_canvas(*at), positive)


def _arrow(layer: Any, start: Point, end: Point) -> None:
    length = math.dist(start, end)
    if length > 0:
        along = ((end[0] - start[0]) / length, (end[1] - start[1]) / length)
        head = min(_HEAD, length)
        back = (end[0] - head * along[0], end[1] - head * along[1])
        side = (-along[1] * head * 0.45, along[0] * head * 0.45)
        tip = [end, (back[0] + side[0], back[1] + side[1]), (back[0] - side[0], back[1] - side[1])]
        _cased(layer, [start, back], 3.0, _ARROW)
        _line(layer, [*tip, end], 3.0, "#000000")
        layer.fill_style = _ARROW
        layer.fill_polygon(tip)
    _disc(layer, start, 5.0, "#000000")
    _disc(layer, start, 3.5, _ARROW)


def _spot(layer: Any, at: Point, positive: bool | None) -> None:
    x, y = at
    _disc(layer, at, 7.0 if positive is not None else 5.0, "#000000")
    _disc(layer, at, 5.5 if positive is not None else 3.5, _PLAIN if positive is None else _ON if positive else _OFF)
    if positive is not None:
        _line(layer, [(x - 3.5, y), (x + 3.5, y)], 1.8, _PLAIN)
    if positive:
        _line(layer, [(x, y - 3.5), (x, y + 3.5)], 1.8, _PLAIN)


def _grip(layer: Any, corners: Sequence[Point], handles: Sequence[Point], knob: Point | None) -> None:
    _cased(layer, [*corners, corners[0]], 1.0, _PLAIN)
    if knob is not None:
        edges = [((a[0] + b[0]) / 2, (a[1] + b[1]) / 2) for a, b in zip(corners[::2], corners[1::2], strict=True)]  # upper and lower
        _cased(layer, [min(edges, key=lambda edge: math.dist(edge, knob)), knob], 1.0, _PLAIN)
        _disc(layer, knob, 7.0, "#000000")
        _disc(layer, knob, 5.5, _ARROW)
    for x, y in handles:
        for half, color in ((5.5, "#000000"), (4.0, _PLAIN)):
            layer.fill_style = color
            layer.fill_rect(x - half, y - half, 2 * half, 2 * half)


def _cased(layer: Any, way: Sequence[Point], width: float, color: str) -> None:
    _line(layer, way, width + 2, "#000000")
    _line(layer, way, width, color)


def _line(layer: Any, way: Sequence[Point], width: float, color: str) -> None:
    # one path for the whole way: translucent pieces would be darker where they meet
    layer.line_width, layer.line_cap, layer.line_join, layer.stroke_style = width, "round", "round", color
    layer.stroke_lines(list(way))


def _disc(layer: Any, center: Point, radius: float, color: str) -> None:
    layer.fill_style = color
    layer.fill_circle(*center, radius)
