"""Where an edit acts, in pixels of the picture: what a mode answers, once, and how it comes onto any grid.

Importing this loads no torch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields

import numpy as np

from dragonkit.errors import EditError, ShapeError
from dragonkit.imaging.masks import Grid, to_grid
from dragonkit.plugins.answers import EditMasks, identity_correspondence
from dragonkit.words import short

__all__ = ["Placement"]

TOUCHED = 0.02
"""The share of a cell from which content touches it: such a cell may change."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Where an edit acts and where content comes from. Masks are numpy bool (H, W) on the pixels of the picture.

    Attributes:
        source: where the content is in the picture; empty where nothing comes from it.
        target: where it shall be in the result; what shall change. Empty for content that is taken away.
        touched: what may change, at least source and target; None for just these.
        surroundings: what the place that the content leaves shall resemble; None for all that is not touched.
        back: places (n, 2) in the result to the places (n, 2) that their content comes from, (x, y) in pixels, pixel centres at
            integer + 0.5; None for an edit in its place. For an edit with a reference picture these are places in that picture.
        certain: the part of the target whose content `back` tells exactly; elsewhere it is a first guess, which the model may improve on.
            None for all of it.
        reference_mask: bool (H', W') on the reference picture's own pixels: the object taken from it; None where there is none.
        with_ground: whether the ground comes along, as in a warp of all that is there; else what lies in `source` is cut out of it.

    Raises:
        EditError: a mask is no bool array, or `back` cannot be called.
        ShapeError: the masks differ in size.

    Example:
        Placement(source=mask, target=shift_mask(mask, 10, 0), back=lambda places: places - (10, 0))
    """

    source: np.ndarray
    target: np.ndarray
    touched: np.ndarray | None = None
    surroundings: np.ndarray | None = None
    back: Callable[[np.ndarray], np.ndarray] | None = None
    reference_mask: np.ndarray | None = None
    certain: np.ndarray | None = None
    with_ground: bool = False

    def __post_init__(self) -> None:
        for part in fields(self):
            value, what = getattr(self, part.name), f"Placement.{part.name}"
            if part.name in ("back", "with_ground") or (value is None and part.default is None):
                continue
            if not isinstance(value, np.ndarray) or value.dtype != np.bool_ or value.ndim != 2:
                raise EditError(f"{what} must be a bool array (height, width), got {_kind(value)}. Make it with load_mask.")
            if part.name != "reference_mask" and value.shape != self.source.shape:
                raise ShapeError(self.source.shape, value.shape, what, "All masks lie on the picture's own pixels.")
        if self.back is not None and not callable(self.back):
            raise EditError(f"Placement.back must be a function of places (n, 2), got {short(self.back)}. None leaves all in place.")

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the picture."""
        return self.source.shape[1], self.source.shape[0]

    def on(self, grid: Grid) -> EditMasks:
        """The same on the cells of a grid over the picture.

        A cell is in a mask when half of it is, and preserved unless it is touched. A cell of the target looks its content up where its
        centre comes from.

        Raises:
            MaskError: the grid lies over a picture of another size.
            EditError: `back` gives something else than finite places.
        """
        touched = self.source | self.target if self.touched is None else self.touched
        source, target = to_grid(self.source, grid), to_grid(self.target, grid)
        around = ~touched if self.surroundings is None else self.surroundings
        correspondence = identity_correspondence(grid)
        if self.back is not None:
            cell = np.array([grid.cell_width, grid.cell_height])
            correspondence[target] = self._origins(correspondence[target] * cell) / cell
        return EditMasks(
            grid=grid,
            source=source,
            target=target,
            preserve=~(to_grid(touched, grid, TOUCHED) | source | target),
            vacated=source & ~target,
            surroundings=to_grid(around, grid) if around.any() else ~source,
            correspondence=correspondence,
            reference_mask=self.reference_mask,
        )

    def _origins(self, places: np.ndarray) -> np.ndarray:
        """Where the content of places (n, 2) comes from, float64 (n, 2)."""
        assert self.back is not None
        origins = np.asarray(self.back(places))
        if origins.shape != places.shape or origins.dtype.kind not in "fiu" or not np.isfinite(origins).all():
            raise EditError(
                f"Placement.back must give a finite place (x, y) for each of {len(places)} places, got {_kind(origins)}. "
                "It maps an array (n, 2) to an array (n, 2), in pixels."
            )
        return origins


def _kind(value: object) -> str:
    if not isinstance(value, np.ndarray):
        return short(value)
    what = "NaN or infinite places in " if value.dtype.kind == "f" and not np.isfinite(value).all() else ""
    return f"{what}{value.dtype} {value.shape}"
