"""Numbers that geometry can compute with: places and lengths in pixels, finite and no farther than any picture reaches."""

from __future__ import annotations

import math
from numbers import Real
from typing import Any

import numpy as np

from dragonkit.errors import EditError, PointError
from dragonkit.words import short

__all__ = ["FAR", "checked_numbers", "checked_places", "is_number"]

FAR = 1e9
"""Pixels, or times a size, beyond which nothing is meant; squares of such numbers are still exact enough to compare."""


def checked_places(points: Any, what: str = "points") -> np.ndarray:
    """Places as float64 (n, 2), n at least 1. PointError unless they are pairs of numbers within `FAR`."""
    try:
        places = np.asarray(points, dtype=np.float64)
    except (OverflowError, TypeError, ValueError):
        places = np.empty(0)
    if places.ndim != 2 or places.shape[1:] != (2,) or not len(places) or not (np.abs(places) <= FAR).all():
        raise PointError(f"{what} must be pairs (x, y) of numbers from {-FAR:g} to {FAR:g}, got {short(points)}. Give them in pixels.")
    return places


def checked_numbers(advice: str, **numbers: Any) -> None:
    """EditError unless all are real numbers within `FAR`; `advice` says what to give instead."""
    for name, value in numbers.items():
        if not is_number(value) or abs(value) > FAR:
            raise EditError(f"{name} must be a number from {-FAR:g} to {FAR:g}, got {short(value)}. {advice}")


def is_number(value: Any) -> bool:
    """Whether a value is a real and finite number that a float can hold."""
    try:
        return isinstance(value, (Real, np.floating, np.integer)) and math.isfinite(value)
    except OverflowError:  # an integer too large for a float
        return False
