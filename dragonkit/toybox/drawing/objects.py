"""The categories: one drawing function each, and what is known of it without drawing.

A drawing function takes own-frame coordinates `x`, `y` and four shape numbers in [0, 1], all broadcastable (n, h, w) or (n, 1, 1), and
gives a `Drawing`: its layers and its keypoints, computed from the same few lines, so that a keypoint cannot drift away from its shape.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from dragonkit.toybox.drawing import animals, nature, things
from dragonkit.toybox.drawing.layers import Drawing

REACH = 1.2
"""No object goes further than this from its centre, in own-frame units; the window it is drawn in is this large."""


@dataclass(frozen=True)
class Category:
    """A kind of object."""

    name: str
    draw: Callable[..., Drawing]
    shape: tuple[str, str, str, str]
    """Names of the four shape numbers."""
    tilt: float
    """Scenes turn it by up to this many degrees either way."""


_TABLE = [
    Category("mushroom", nature.mushroom, ("cap_width", "cap_height", "stem", "lean"), 14),
    Category("fish", animals.fish, ("tail_swing", "length", "height", "fin"), 24),
    Category("house", things.house, ("roof_height", "apex", "width", "chimney"), 6),
    Category("tree", nature.tree, ("crown_width", "crown_height", "trunk", "lean"), 8),
    Category("boat", things.boat, ("mast", "lean", "length", "depth"), 12),
    Category("balloon", things.balloon, ("width", "height", "swing", "string"), 14),
    Category("car", things.car, ("roof", "cabin", "length", "wheels"), 12),
    Category("cup", things.cup, ("height", "width", "handle", "taper"), 10),
    Category("flower", nature.flower, ("petals", "bend", "stem", "leaves"), 12),
    Category("rocket", things.rocket, ("nose", "width", "fins", "flame"), 40),
    Category("apple", nature.apple, ("width", "height", "leaf", "stem"), 14),
    Category("umbrella", things.umbrella, ("width", "height", "handle", "hook"), 18),
    Category("snowman", animals.snowman, ("head", "belly", "arms", "hat"), 8),
    Category("cactus", nature.cactus, ("height", "left_arm", "right_arm", "width"), 8),
    Category("duck", animals.duck, ("head", "bill", "tail", "body"), 10),
    Category("butterfly", animals.butterfly, ("spread", "lift", "lower", "body"), 30),
]
BY_NUMBER: tuple[Category, ...] = tuple(_TABLE)
CATEGORIES: tuple[str, ...] = tuple(category.name for category in _TABLE)


def keypoints(category: int, shape: Tensor) -> tuple[tuple[str, ...], Tensor]:
    """Names of a category's k keypoints, and where they are in its own frame: (n, k, 2) for shape numbers (n, 4) in [0, 1]."""
    origin = shape.new_zeros(1)
    points = BY_NUMBER[category].draw(origin, origin, *shape.unbind(-1)).points
    places = [torch.stack([_full(px, shape), _full(py, shape)], -1) for px, py in points.values()]
    return tuple(points), torch.stack(places, 1)


def _full(value: float | Tensor, shape: Tensor) -> Tensor:
    return value.expand(len(shape)) if isinstance(value, Tensor) else shape.new_full((len(shape),), value)
