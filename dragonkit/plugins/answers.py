"""The plain values that plugins hand to the engine before the denoising loop starts.

The loop knows no plugin and no mode: it sees masks, energy terms and an attention plan. Importing this loads no torch.
Everything is checked where it is made, so that an error points at the plugin and not at step 37 of a run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from dragonkit.edits.prompts import checked_prompt
from dragonkit.errors import EditError, ShapeError
from dragonkit.imaging.masks import Grid
from dragonkit.words import short

if TYPE_CHECKING:
    from torch import Tensor

    from dragonkit.imaging.images import ImageSource

__all__ = ["AttentionPlan", "EditMasks", "EnergyTerm", "Features", "Reference", "identity_correspondence"]

AttentionForm = Literal["replace", "concatenate"]
GradientRegion = Literal["everywhere", "target", "elsewhere"]


@dataclass(frozen=True, eq=False)
class EditMasks:
    """What an edit touches, all on one grid; masks are numpy bool (grid.height, grid.width).

    Attributes:
        grid: the raster that all arrays lie on.
        source: where the content is in the source picture.
        target: where it shall be in the result.
        preserve: what must not change.
        vacated: what the moved content uncovers.
        surroundings: what the vacated place shall resemble.
        correspondence: float32 (h, w, 2), the backward map: for each cell, the (x, y) its content comes from, in cells with
            cell centres at integer + 0.5. Identity where nothing moves: start from `identity_correspondence(grid)`. For an edit
            with a reference picture (`dragonkit_reference`) these are places in that picture, still in cells as large as `grid`'s.
        reference_mask: bool (H', W') on the reference picture's own pixels: the object taken from it; None where there is none.

    Raises:
        ShapeError: an array does not fit the grid.
        EditError: an array has another dtype, or the correspondence is not finite.
    """

    grid: Grid
    source: np.ndarray
    target: np.ndarray
    preserve: np.ndarray
    vacated: np.ndarray
    surroundings: np.ndarray
    correspondence: np.ndarray
    reference_mask: np.ndarray | None = None

    def __post_init__(self) -> None:
        for part in fields(self)[1:-1]:
            array = getattr(self, part.name)
            what = f"EditMasks.{part.name}"
            is_map = part.name == "correspondence"
            shape, dtype = ((*self.grid.shape, 2), np.float32) if is_map else (self.grid.shape, np.bool_)
            if not isinstance(array, np.ndarray):
                raise EditError(f"{what} must be a numpy array, got {type(array).__name__}. Convert it with numpy.asarray.")
            if array.shape != shape:
                raise ShapeError(shape, array.shape, what, "Bring it onto the grid with dragonkit.imaging.masks.to_grid.")
            if array.dtype != dtype:
                raise EditError(f"{what} must have dtype {np.dtype(dtype)}, got {array.dtype}. Convert it with .astype.")
            if is_map and not np.isfinite(array).all():
                raise EditError(f"{what} holds NaN or infinite positions. Start from identity_correspondence(grid).")

    def places_content(self, from_reference: bool = False) -> bool:
        """Whether places alone say what the edit asks for: content comes from elsewhere, or goes and nothing takes its place. A change of
        look in its place they do not.

        Args:
            from_reference: whether places are in a reference picture, where the same place holds something else.
        """
        if from_reference and (self.target & ~self.source).any():
            return True
        if not self.target.any():
            return bool(self.source.any())
        rows, columns = np.nonzero(self.target)
        return not np.array_equal(self.correspondence[rows, columns], np.stack([columns, rows], axis=1) + np.float32(0.5))

    def correspondence_on(self, other: Grid) -> np.ndarray:
        """The correspondence counted in the cells of another raster, such as the reference's: float32 (grid.height, grid.width, 2)."""
        scale = (self.grid.cell_width / other.cell_width, self.grid.cell_height / other.cell_height)
        return self.correspondence * np.array(scale, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class Reference:
    """The second picture of an edit, which the engine inverts as it does the first.

    Attributes:
        image: path, PIL image, array or tensor, of any size.
        prompt: what it shows; None for the source's own prompt.
    """

    image: ImageSource
    prompt: str | None = None

    def __post_init__(self) -> None:
        if self.prompt is not None:
            checked_prompt(self.prompt, "Reference.prompt")


@dataclass(frozen=True, eq=False)
class Features:
    """Decoder features of one layer on the common feature grid: what an energy function sees.

    Attributes:
        generated: (c, h, w) of the picture in the making; carries the gradient.
        source: (c, h, w) of the source picture at the same noise level; no gradient.
        reference: (c, h', w') of the reference picture at the same noise level, for modes that have one; no gradient.
        layer: name of the layer that the features come from, such as "up.1".
        reference_grid: the raster (w', h') that `reference` lies on, laid over the reference picture's pixels.

    Raises:
        ShapeError: `generated` and `source` differ in shape, or a map is not three-dimensional.
    """

    generated: Tensor
    source: Tensor
    reference: Tensor | None
    layer: str
    reference_grid: Grid | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.generated.shape)
        if len(shape) != 3:
            raise ShapeError("(channels, height, width)", shape, "Features.generated", "Pass one picture without the batch axis.")
        if tuple(self.source.shape) != shape:
            raise ShapeError(shape, tuple(self.source.shape), "Features.source", "Interpolate both to the common feature grid.")
        if self.reference is not None and (self.reference.ndim != 3 or self.reference.shape[0] != shape[0]):
            raise ShapeError(
                f"({shape[0]}, height, width)",
                tuple(self.reference.shape),
                "Features.reference",
                "Take it from the same layer as the others.",
            )


@dataclass(frozen=True, eq=False)
class EnergyTerm:
    """One summand of the energy.

    Attributes:
        name: shows up in reports; unique within its plugin and edit.
        function: Features to a scalar tensor, lower is better; differentiable in `features.generated`.
        weight: the factor in the sum.
        region: where its gradient may act when the schedule asks for regional gradients (DiffEditor, arXiv 2402.02583): in the edit's
            target cells, outside them, or everywhere.

    Raises:
        EditError: a field is unusable.
    """

    name: str
    function: Callable[[Features], Tensor]
    weight: float = 1.0
    region: GradientRegion = "everywhere"

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name.strip():
            raise EditError(f"EnergyTerm.name must be a non-empty string, got {self.name!r}. Name the term for the reports.")
        if not callable(self.function):
            raise EditError(f"EnergyTerm {self.name!r}: function must be callable, got {self.function!r}. Pass Features -> scalar.")
        if not math.isfinite(self.weight):
            raise EditError(f"EnergyTerm {self.name!r}: weight must be finite, got {self.weight}. Use 0 to switch the term off.")
        _one_of(f"EnergyTerm {self.name!r}: region", self.region, get_args(GradientRegion))


@dataclass(frozen=True)
class AttentionPlan:
    """Whose keys and values the decoder's self-attention reads.

    Attributes:
        form: "replace" reads recorded ones only; "concatenate" reads its own as well.
        start, stop: fractions of the steps, 0 <= start <= stop <= 1, between which the plan holds.
        source_mask: bool (h, w) on any raster over the source picture: which of its places are read; None for all.
        reference_mask: bool (h', w') on any raster over the reference picture: which of its places are read; None for none.

    Raises:
        EditError: another form, fractions out of order, or a mask that is no boolean array.
    """

    form: AttentionForm = "replace"
    start: float = 0.1
    stop: float = 1.0
    source_mask: np.ndarray | None = field(default=None, compare=False)
    reference_mask: np.ndarray | None = field(default=None, compare=False)

    def holds(self, index: int, steps: int) -> bool:
        """Whether it holds at step `index` of `steps`, counted from 0."""
        return _step(self.start, steps) <= index < _step(self.stop, steps)

    def __post_init__(self) -> None:
        _one_of("AttentionPlan.form", self.form, get_args(AttentionForm))
        if not 0.0 <= self.start <= self.stop <= 1.0:
            raise EditError(f"AttentionPlan needs 0 <= start <= stop <= 1, got start={self.start}, stop={self.stop}. These are fractions.")
        for what in ("source_mask", "reference_mask"):
            mask = getattr(self, what)
            if mask is not None and (not isinstance(mask, np.ndarray) or mask.ndim != 2 or mask.dtype != np.bool_):
                raise EditError(f"AttentionPlan.{what} must be a bool array (height, width), got {short(mask)}. Use .astype(bool).")


def identity_correspondence(grid: Grid) -> np.ndarray:
    """The backward map of an edit that moves nothing: every cell's own centre, float32 (grid.height, grid.width, 2)."""
    places = np.empty((*grid.shape, 2), np.float32)
    places[..., 0] = np.arange(grid.width) + 0.5
    places[..., 1] = (np.arange(grid.height) + 0.5)[:, None]
    return places


def _step(fraction: float, steps: int) -> int:
    """The first step, counted from 0, that begins at this fraction of the run or later."""
    return math.ceil(fraction * steps - 1e-9)  # 0.28 of 25 steps is 7.000000000000001


def _one_of(what: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise EditError(f"{what} must be one of {', '.join(allowed)}, got {value!r}. Choose one of these.")
