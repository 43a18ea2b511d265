"""One scene, and the edits whose right answer is to draw it again with other numbers.

Points are (x, y) in pixels, origin top left, as in edits and masks: the middle of the first pixel is (0.5, 0.5), and what lies at (x, y)
is `mask[int(y), int(x)]`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from dragonkit.errors import EditError, PointError
from dragonkit.toybox.drawing.colors import COLORS, PATTERNS
from dragonkit.toybox.drawing.objects import BY_NUMBER, keypoints
from dragonkit.toybox.drawing.rendering import check_size, render_with_masks
from dragonkit.toybox.parameters import SceneBatch, sample, snap
from dragonkit.toybox.sentences import captions
from dragonkit.toybox.solve import solve

Point = tuple[float, float]
_LARGEST = 4.0  # half size beyond which an object is only a colour


def scene(seed: int, size: int = 128, objects: int | None = None) -> Scene:
    """The scene of a seed: the same on every machine. `size` is the picture's width and height in pixels, `objects` forces 1 to 3 objects.

    Raises EditError for a negative seed, a size outside 8 to 4096, or another number of objects.

    Example:
        >>> boat = scene(7)
        >>> boat.caption
        'a blue boat on a pink smooth background'
        >>> boat.objects[0].mask.shape
        (128, 128)
    """
    return Scene(sample(1, seed, objects), size)


@dataclass(frozen=True)
class SceneObject:
    """An object as it appears in its scene."""

    category: str
    color: str
    pattern: str
    center: Point
    """Centre (x, y) in pixels."""
    keypoints: Mapping[str, Point]
    """Named places on the object, (x, y) in pixels."""
    params: Mapping[str, float]
    """`half_size` in pixels, `angle` in degrees clockwise, `mirror` (1 or -1), and the category's shape numbers, each in [0, 1]."""
    index: int
    _scene: Scene = field(repr=False, compare=False)

    @property
    def coverage(self) -> np.ndarray:
        """The object's visible share of each pixel: float32 (size, size) in [0, 1]."""
        return self._scene._drawn[1][self.index]

    @property
    def mask(self) -> np.ndarray:
        """Pixels that show the object: bool (size, size), coverage of at least a half. Masks of a scene's objects are disjoint."""
        visible = self.coverage >= 0.5
        for later in self._scene._drawn[1][self.index + 1 :]:
            visible &= ~(later >= 0.5)  # on a tie of two halves the pixel goes to the object in front
        return visible


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture of one to three objects of which everything is known. Edits give a new scene; a scene itself never changes."""

    batch: SceneBatch = field(repr=False)
    """The numbers behind the scene: a batch of one row."""
    size: int
    """Width and height of the picture in pixels."""

    def __post_init__(self) -> None:
        if len(self.batch) != 1:
            raise EditError(f"a Scene is one row of a SceneBatch, got {len(self.batch)} rows; pass batch.rows(i)")
        check_size(self.size)

    @property
    def image(self) -> Image.Image:
        """The picture, RGB."""
        return Image.fromarray(self._drawn[0])

    @property
    def caption(self) -> str:
        """One sentence in the words of `toybox.vocabulary()`."""
        return captions(self.batch)[0]

    @cached_property
    def objects(self) -> tuple[SceneObject, ...]:
        """The objects, back to front."""
        return tuple(self._object(k) for k in range(int(self.batch.objects)))

    # -- edits ---------------------------------------------------------------------------------------------------------------------------

    def moved(self, i: int, shift: Point) -> Scene:
        """Object `i` shifted by `shift` = (dx, dy) pixels."""
        i = self._index(i)
        return self._with(i, place=self.batch.place[0, i] + snap(_pair(shift, "shift") * (2 / self.size)))

    def resized(self, i: int, scale: float) -> Scene:
        """Object `i` made `scale` times as large about its centre. Raises EditError unless 0 < scale and the result is drawable."""
        i = self._index(i)
        if not (math.isfinite(scale) and scale > 0):
            raise EditError(f"an object is resized by a positive factor, got scale={scale!r}; pass for instance 1.5")
        larger = self.batch.scale[0, i] * scale
        if larger > _LARGEST:
            raise EditError(f"scale={scale!r} would make object {i} {float(larger):.1f} pictures wide; keep it below {_LARGEST:.0f}")
        return self._with(i, scale=larger)

    def rotated(self, i: int, degrees: float) -> Scene:
        """Object `i` turned about its centre by `degrees`, clockwise as seen. EditError unless they are finite."""
        i = self._index(i)
        if not math.isfinite(degrees):
            raise EditError(f"an object is rotated by a finite number of degrees, got {degrees!r}; pass for instance 30")
        turned = self.batch.angle[0, i] + snap(torch.tensor(degrees, dtype=torch.float64))
        return self._with(i, angle=turned - 360 * torch.round(turned / 360))

    def dressed_like(self, i: int, other: Scene, j: int) -> Scene:
        """Object `i` in its own shape with the colours and the pattern of `other`'s object `j`."""
        i, j = self._index(i), other._index(j)
        return self._with(i, **{name: getattr(other.batch, name)[0, j] for name in ("color", "paint", "pattern", "weave")})

    def rewoven(self, i: int, seed: int) -> Scene:
        """Object `i` with the same colours and kind of pattern, laid over it anew: at another angle and from another start."""
        i = self._index(i)
        weave = self.batch.weave[0, i].clone()
        weave[0], weave[2] = torch.rand(2, dtype=weave.dtype, generator=torch.Generator().manual_seed(seed)) * torch.tensor([math.pi, 1.0])
        return self._with(i, weave=weave)

    def dragged(self, i: int, keypoint: str, target: Point) -> Scene:
        """Object `i` with its shape changed such that `keypoint` comes as near as the shape allows to `target` = (x, y) in pixels.

        Position, size and angle stay. Raises PointError for a keypoint that the object does not have.
        """
        i = self._index(i)
        category = int(self.batch.category[0, i])
        names = tuple(self.objects[i].keypoints)
        if keypoint not in names:
            raise PointError(f"a {BY_NUMBER[category].name} has no keypoint {keypoint!r}; choose one of {', '.join(names)}")
        own = self._to_own(i, _pair(target, "target"))
        return self._with(i, shape=solve(category, self.batch.shape[0, i], names.index(keypoint), own))

    def pasted(self, other: Scene, j: int, center: Point) -> Scene:
        """A copy of `other`'s object `j`, as many pixels large as there, added in front of everything and centred at `center` = (x, y)."""
        j = other._index(j)
        place = _pair(center, "center") * (2 / self.size) - 1
        columns = {}
        for f in fields(SceneBatch):
            mine, theirs = getattr(self.batch, f.name), getattr(other.batch, f.name)
            if f.name in _PER_OBJECT:
                columns[f.name] = torch.cat([mine[:, : len(self.objects)], theirs[:, j : j + 1]], 1)
            else:
                columns[f.name] = mine
        added = Scene(SceneBatch(**{**columns, "objects": self.batch.objects + 1}), self.size)
        last = len(self.objects)
        return added._with(last, place=snap(place), scale=added.batch.scale[0, last] * (other.size / self.size))

    def without(self, i: int) -> Scene:
        """The scene as it is when object `i` was never there; later objects come one number lower."""
        i = self._index(i)
        order = [*(k for k in range(self.batch.most) if k != i), i]  # behind the last object, columns are unused
        columns = {name: getattr(self.batch, name)[:, order] for name in _PER_OBJECT}
        return replace(self, batch=replace(self.batch, objects=self.batch.objects - 1, **columns))

    def resampled(self, size: int) -> Scene:
        """The same scene as a picture of another size."""
        return Scene(self.batch, size)

    # -- inside --------------------------------------------------------------------------------------------------------------------------

    @cached_property
    def _drawn(self) -> tuple[np.ndarray, np.ndarray]:
        """The picture, uint8 (size, size, 3), and the visible coverage, float32 (objects, size, size)."""
        pictures, coverage = render_with_masks(self.batch, self.size)
        pixels = (pictures[0].permute(1, 2, 0) * 255 + 0.5).to(torch.uint8).numpy()
        covers = coverage[0, : len(self.objects)].numpy()
        covers.flags.writeable = False  # cached
        return pixels, covers

    def _object(self, i: int) -> SceneObject:
        b = self.batch
        category = BY_NUMBER[int(b.category[0, i])]
        names, places = keypoints(int(b.category[0, i]), b.shape[0, i : i + 1])
        x, y = self._to_pixels(b.place[0, i]).tolist()
        params = {"half_size": float(b.scale[0, i]) * self.size / 2, "angle": float(b.angle[0, i]), "mirror": float(b.mirror[0, i])}
        params |= dict(zip(category.shape, b.shape[0, i].tolist(), strict=True))
        points = {name: (float(px), float(py)) for name, (px, py) in zip(names, self._from_own(i, places[0]).tolist(), strict=True)}
        return SceneObject(
            category.name, COLORS[int(b.color[0, i])], PATTERNS[int(b.pattern[0, i])], (x, y),
            points, params, i, self,
        )  # fmt: skip

    def _index(self, i: int) -> int:
        count = len(self.objects)
        try:
            number = operator.index(i)
        except TypeError:
            number = -1
        if not 0 <= number < count:
            raise EditError(f"there is no object {i!r} among this scene's {count}; pass a whole number from 0 to {count - 1}")
        return number

    def _with(self, i: int, **values: Tensor) -> Scene:
        """This scene with some of object i's numbers replaced."""
        changed = {}
        for name, value in values.items():
            changed[name] = getattr(self.batch, name).clone()
            changed[name][0, i] = value
        return replace(self, batch=replace(self.batch, **changed))

    def _to_pixels(self, place: Tensor) -> Tensor:
        return (place + 1) * (self.size / 2)

    def _frame(self, i: int) -> Tensor:
        """Matrix (2, 2) that takes the object's own frame, as a column, to the picture's units."""
        turn = torch.deg2rad(self.batch.angle[0, i])
        cos, sin, mirror = torch.cos(turn), torch.sin(turn), self.batch.mirror[0, i]
        return self.batch.scale[0, i] * torch.stack([torch.stack([cos * mirror, -sin]), torch.stack([sin * mirror, cos])])

    def _from_own(self, i: int, points: Tensor) -> Tensor:
        """Own-frame points (k, 2) in pixels."""
        return self._to_pixels(points @ self._frame(i).T + self.batch.place[0, i])

    def _to_own(self, i: int, pixels: Tensor) -> Tensor:
        """A point (2,) in pixels in object i's own frame."""
        return torch.linalg.solve(self._frame(i), pixels * (2 / self.size) - 1 - self.batch.place[0, i])


_PER_OBJECT = frozenset({"category", "place", "scale", "angle", "mirror", "shape", "color", "paint", "pattern", "weave"})


def _pair(value: Point, what: str) -> Tensor:
    try:
        x, y = (float(v) for v in value)
    except (TypeError, ValueError):
        raise PointError(f"{what} is a pair (x, y) of pixels, got {value!r}; pass for instance (20, 0)") from None
    if not (math.isfinite(x) and math.isfinite(y)):
        raise PointError(f"{what} is a pair of finite numbers, got {value!r}; pass for instance (20, 0)")
    return torch.tensor([x, y], dtype=torch.float64)
