"""Where the edits of a layout act, in numbers and in sentences worth reading before they run. Loads no torch."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import BaseModel, ConfigDict

from dragonkit.editing.layout import Layout
from dragonkit.edits.edit import Edit
from dragonkit.edits.schema import fields_of
from dragonkit.imaging.masks import Grid
from dragonkit.plugins.answers import EditMasks
from dragonkit.plugins.placement import Placement

__all__ = ["PlaceReport", "advice_on_places", "places_of"]

MOST = 0.5
"""The share of a picture from which a mask is worth a question."""


class PlaceReport(BaseModel):
    """Where one edit acts.

    Attributes:
        mode: of the edit.
        covers: share of the picture that its content takes in the source: for most modes that is the mask.
        changes: share of the picture that may change.
        cut: the borders of the picture, of "left", "top", "right" and "bottom", beyond which the content would go on.
    """

    model_config = ConfigDict(frozen=True)

    mode: str
    covers: float
    changes: float
    cut: tuple[str, ...] = ()


def places_of(layout: Layout) -> tuple[PlaceReport, ...]:
    """A report for each edit. Raises what the modes raise when they are asked for places on the picture's pixels."""
    masks = layout.on(Grid(*layout.size, *layout.size))
    return tuple(map(_report, layout.edits, layout.placements, masks))


def advice_on_places(layout: Layout) -> Iterator[str]:
    """What is worth a look: masks that are probably inverted."""
    for edit, placement in zip(layout.edits, layout.placements, strict=True):
        if _needs_a_mask(edit):
            share, borders = float(placement.source.mean()), _touches_all_borders(placement.source)
            if share > MOST or borders:
                where = " and touches all its borders" if borders else ""
                yield (
                    f"the mask of the {edit.mode} covers {share:.0%} of the picture{where}; if it is inverted, "
                    "pass ~dk.masks.load_mask(mask, image.size), or --invert-mask in a shell"
                )
        lent = placement.reference_mask
        if lent is not None and lent.mean() > MOST and lent[:: max(len(lent) - 1, 1), :: max(lent.shape[1] - 1, 1)].all():
            yield (
                f"the reference_mask of the {edit.mode} covers {lent.mean():.0%} of the reference picture with all its corners; if it is "
                "inverted, pass ~dk.masks.load_mask(mask, reference.size)"
            )


def _report(edit: Edit, placement: Placement, masks: EditMasks) -> PlaceReport:
    touched = placement.source | placement.target if placement.touched is None else placement.touched
    return PlaceReport(
        mode=edit.mode, covers=float(placement.source.mean()), changes=float(touched.mean()), cut=tuple(_cut_by(placement, masks))
    )


def _cut_by(placement: Placement, masks: EditMasks) -> Iterator[str]:
    """The borders at which what would come from just beyond them is content as well."""
    if placement.back is None:
        return
    content = placement.source if placement.reference_mask is None else placement.reference_mask
    for side, border, next_to_it in (
        ("left", np.s_[:, 0], np.s_[:, 1:2]),
        ("top", np.s_[0], np.s_[1:2]),
        ("right", np.s_[:, -1], np.s_[:, -2:-1]),
        ("bottom", np.s_[-1], np.s_[-2:-1]),
    ):
        inner = masks.correspondence[next_to_it].reshape(-1, 2)
        there = masks.target[border] & masks.target[next_to_it].reshape(-1) if len(inner) else np.zeros(0, bool)
        beyond = np.floor(2 * masks.correspondence[border][there] - inner[there]).astype(int) if there.any() else np.zeros((0, 2), int)
        within = ((beyond >= 0) & (beyond < content.shape[::-1])).all(axis=1)
        column, row = beyond[within].T
        if content[row, column].any():
            yield side


def _needs_a_mask(edit: Edit) -> bool:
    """Whether a mask of the picture is required: then it is the object, and not merely where something may change."""
    return any(field.required and field.allowed.format == "mask" for field in fields_of(type(edit)))


def _touches_all_borders(mask: np.ndarray) -> bool:
    return bool(mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any())
