"""What turns a gesture on a picture into a mask: the `Selector`, which plugins offer through the hook `dragonkit_selectors`.

Positions are (x, y) in pixels of the picture as given, origin top left; pixel (column i, row j) covers the square
[i, i + 1] x [j, j + 1]. The built-in selectors are in `dragonkit.selecting`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from dragonkit.edits.validation import Model
from dragonkit.errors import EditError, MaskError, PointError
from dragonkit.imaging.images import ImageSource, load_image
from dragonkit.words import closest, short

__all__ = ["Box", "Click", "Gesture", "Options", "Point", "Selector"]

Gesture = Literal["box", "stroke", "outline", "clicks"]
Box: TypeAlias = tuple[float, float, float, float]
"""(left, top, right, bottom)."""
Point: TypeAlias = tuple[float, float]
"""(x, y)."""
Click: TypeAlias = tuple[float, float, bool]
"""(x, y, whether this is on the object)."""

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_FORMS = {
    "box": "a box (x0, y0, x1, y1)",
    "stroke": "a list of (x, y), at least one",
    "outline": "a list of (x, y), at least three",
    "clicks": "a list of (x, y, positive), at least one of them with positive=True",
}


class Options(Model):
    """The base of a selector's options, and those of a selector that has none.

    Fields carry a default, a range and a description, so that a form can be made of them, as of an edit.
    """


@dataclass(frozen=True)
class Selector:
    """A way for people to say which part of a picture they mean.

    Attributes:
        name: what it is asked for by: lower-case letters, digits, "-" and "_".
        description: one line for people.
        gesture: what it needs, in pixels of the picture as given; the middle of the first is (0.5, 0.5). "box": (left, top, right, bottom),
            cut at the picture's border. "stroke": [(x, y), ...], at least one. "outline": [(x, y), ...], at least three, closed. "clicks":
            [(x, y, positive), ...] in the picture, at least one positive. A stroke or an outline may leave the picture.
        function: `function(image, gesture, **options)` with a PIL image in RGB and a checked gesture gives bool (H, W), True inside; the
            same mask for the same values.
        options: the class of its options. Its fields are the function's keyword arguments.

    Raises:
        EditError: a field is unusable.

    Example:
        Selector("box", "all pixels of a box", "box", select_box)
    """

    name: str
    description: str
    gesture: Gesture
    function: Callable[..., np.ndarray]
    options: type[Options] = Options

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise EditError(f"Selector.name is {short(self.name)}, but must be lower-case letters, digits, '-' and '_'. Rename it.")
        if not isinstance(self.description, str) or not self.description.strip():
            raise EditError(f"Selector {self.name!r}: description is {short(self.description)}. Say in one line what it selects.")
        if self.gesture not in get_args(Gesture):
            known = list(get_args(Gesture))
            guess = closest(self.gesture, known) if isinstance(self.gesture, str) else ""
            raise EditError(f"Selector {self.name!r}: gesture is {short(self.gesture)}, but must be one of {', '.join(known)}.{guess}")
        if not callable(self.function):
            raise EditError(f"Selector {self.name!r}: function must be callable, got {short(self.function)}. Pass one that gives a mask.")
        if not (isinstance(self.options, type) and issubclass(self.options, Options)):
            raise EditError(f"Selector {self.name!r}: options must be a class derived from Options, got {short(self.options)}.")

    def select(self, image: ImageSource, gesture: Any, **options: Any) -> np.ndarray:
        """The mask that a gesture means: bool (H, W) of the picture's size, never empty.

        Args:
            image: anything `load_image` takes.
            gesture: in the form of `self.gesture`.
            options: fields of `self.options`; defaults for those left out.

        Raises:
            PointError: the gesture has another form, is not finite, or lies outside the picture.
            MaskError: it selects nothing.
            EditError: an option is unknown or out of range.

        Example:
            wand.select("photo.png", [(31.5, 20.5, True)], tolerance=40)
        """
        chosen = dict(self.options(**options))
        picture = load_image(image)
        width, height = picture.size
        mask = self.function(picture, _checked(self.gesture, gesture, picture.size), **chosen)
        if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.shape != (height, width):
            received = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else short(mask)
            raise MaskError(f"the selector {self.name!r} must give a bool array {(height, width)}, but gave {received}. Mend its plugin.")
        if not mask.any():
            also = " or other options" if chosen else ""
            raise MaskError(
                f"the selector {self.name!r} selects no pixel of the {width}x{height} picture with {short(gesture)}. "
                f"Try another place{also}."
            )
        return mask


def _checked(kind: Gesture, value: Any, size: tuple[int, int]) -> Any:
    """The gesture as functions are given it; see `Selector.function`."""
    if kind == "box":
        return _box(value, size)
    if kind == "clicks":
        return _clicks(value, size)
    return _positions(value, kind)


def _box(value: Any, size: tuple[int, int]) -> Box:
    corners = _numbers(value, "box")
    if corners.shape != (4,):
        raise _wrong("box", value)
    (left, right), (top, bottom) = np.sort(corners[0::2]).tolist(), np.sort(corners[1::2]).tolist()
    if left == right or top == bottom:
        raise PointError(f"the box {short(value)} has no area. Draw it from one corner to the opposite one.")
    box = (max(left, 0.0), max(top, 0.0), min(right, float(size[0])), min(bottom, float(size[1])))
    if box[0] >= box[2] or box[1] >= box[3]:
        raise PointError(f"the box {short(value)} lies outside the {size[0]}x{size[1]} picture (width x height). Draw it over the picture.")
    return box


def _positions(value: Any, kind: Gesture) -> list[Point]:
    positions = _numbers(value, kind)
    if positions.ndim != 2 or positions.shape[1] != 2 or len(positions) < (3 if kind == "outline" else 1):
        raise _wrong(kind, value)
    return [(x, y) for x, y in positions.tolist()]


def _clicks(value: Any, size: tuple[int, int]) -> list[Click]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(click, (list, tuple)) and len(click) == 3 for click in value):
        raise _wrong("clicks", value)
    if not all(isinstance(positive, (bool, np.bool_)) for *_, positive in value):
        raise _wrong("clicks", value)
    clicks = []
    for *place, positive in value:
        x, y = _numbers(place, "clicks").tolist()
        if not (0 <= x <= size[0] and 0 <= y <= size[1]):
            raise PointError(f"the click at ({x:g}, {y:g}) is outside the {size[0]}x{size[1]} picture (width x height). Click inside it.")
        clicks.append((x, y, bool(positive)))
    if not any(positive for *_, positive in clicks):
        raise PointError(f"none of the {len(clicks)} clicks is on the object. Click on it first, with positive=True.")
    return clicks


def _numbers(value: Any, kind: Gesture) -> np.ndarray:
    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise _wrong(kind, value) from None
    if numbers.ndim == 0:
        raise _wrong(kind, value)
    if not np.isfinite(numbers).all():
        raise PointError(f"the {kind} {short(value)} must have finite numbers only. Pass pixels of the picture.")
    return numbers


def _wrong(kind: Gesture, value: Any) -> PointError:
    return PointError(f"the gesture is {short(value)}, but must be {_FORMS[kind]}, in pixels of the picture.")
