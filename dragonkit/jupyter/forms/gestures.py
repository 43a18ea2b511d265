"""What a mode asks of the hand: a mask, arrows, a second picture. Taken from its fields, so a plugin's mode needs nothing of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from dragonkit.imaging.masks import center_of, load_mask
from dragonkit.imaging.strokes import Point
from dragonkit.jupyter.forms.roles import FormField

__all__ = ["Drags", "arrow_of", "marks_of", "missing", "suggested", "taken_from"]

Drags = Sequence[tuple[tuple[float, float], tuple[float, float]]]

_ASKED = {
    "mask": "mark what to edit: paint it, circle it, or click it",
    "points": "draw an arrow from where something is to where it shall be",
    "picture": "choose the second picture",
    "picture mask": "mark the object in the second picture",
}


def taken_from(fields: Sequence[FormField], mask: np.ndarray, drags: Drags, use_mask: bool = True) -> dict[str, Any]:
    """The fields that come from the marks on the picture; an empty mask and no arrows are left out.

    Args:
        mask: bool (H, W).
        drags: from and to, in pixels of the picture.
        use_mask: whether a mask that may be left out is given.
    """
    values: dict[str, Any] = {}
    for field in fields:
        if field.role == "mask" and mask.any() and (field.required or use_mask):
            values[field.name] = mask.copy()
        elif field.role == "points" and drags:
            values[field.name] = tuple((_point(start), _point(end)) for start, end in drags)
    return values


def marks_of(fields: Sequence[FormField], values: Mapping[str, Any], size: tuple[int, int]) -> tuple[np.ndarray, Drags]:
    """What `taken_from` takes such values from: the mask, bool (H, W), and the arrows. A shift has its arrow in the middle of the mask.

    Args:
        size: (width, height) of the picture.

    Raises:
        MaskError: the mask cannot be read, or is not of this size.
    """
    mask, drags = np.zeros((size[1], size[0]), bool), list[tuple[Point, Point]]()
    for field in fields:
        value = values.get(field.name)
        if field.role == "mask" and value is not None:
            mask = load_mask(value, size)
        elif field.role == "points" and value is not None:
            drags = [((start[0], start[1]), (end[0], end[1])) for start, end in value]
        elif field.role == "arrow" and value is not None and any(value) and mask.any():
            x, y = _point(center_of(mask))
            end = (x + value[0], y + value[1])
            drags = [((x, y), end)] if 0 <= end[0] <= size[0] and 0 <= end[1] <= size[1] else []
    return mask, drags


def arrow_of(drags: Drags) -> tuple[float, float] | None:
    """What the first arrow says of a shift, (dx, dy) in pixels; None when there is none."""
    if not drags:
        return None
    start, end = (_point(point) for point in drags[0])
    return round(end[0] - start[0], 1), round(end[1] - start[1], 1)


def missing(fields: Sequence[FormField], values: Mapping[str, Any]) -> list[str]:
    """What has to be done before the mode can run, in words."""
    asked = [field for field in fields if field.required or field.role == "picture mask"]  # which transparency may be, and then is marked
    return [_ASKED[field.role] for field in asked if field.name not in values and field.role in _ASKED]


def suggested(fields: Sequence[FormField], values: Mapping[str, Any]) -> list[str]:
    """What one would do next although the mode does not insist: draw the arrow of a shift while nothing else is asked for either."""
    plain = [field for field in fields if field.role in ("arrow", "value")]
    untouched = all(values.get(field.name, field.default) == field.default for field in plain)
    return ["draw an arrow to where it shall go"] if untouched and any(field.role == "arrow" for field in plain) else []


def _point(point: Sequence[float]) -> tuple[float, float]:
    # a tenth of a pixel is finer than any hand, and short to read in a script
    return round(float(point[0]), 1), round(float(point[1]), 1)
