"""The results that are farthest from their answers, and a line on why."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dragonkit.bench.measures.measure import Measures, Record, fraction

__all__ = ["Failure", "why", "worst"]

HALF = 0.5
"""An edit that went less than this fraction of the way from the untouched source to the ceiling has failed."""


@dataclass(frozen=True, eq=False)
class Failure:
    """A result that is far from its answer.

    Attributes:
        way: the fraction of the way from the untouched source to the autoencoder's round trip of the answer, in PSNR where they differ.
        reason: what is wrong with it, by its measures.
    """

    record: Record
    way: float
    reason: str


def worst(records: Iterable[Record], row: str = "default") -> list[Failure]:
    """The failures among the results of a row, worst first. Needs the rows "untouched" and "ceiling" of the same tasks."""
    records, found = list(records), list[Failure]()
    psnr = {(one.row, one.task, one.seed): one.measures.psnr_changed for one in records}
    for record in records:
        values = [psnr.get((which, record.task, record.seed), math.nan) for which in (row, "untouched", "ceiling")]
        if record.row == row and fraction(*values) < HALF:
            found.append(Failure(record, fraction(*values), why(record.measures)))
    return sorted(found, key=lambda failure: failure.way)


def why(measures: Measures) -> str:
    """What is wrong with a result, in words: at most two reasons, in the order in which people would notice them."""
    return "; ".join(list(_reasons(measures))[:2]) or "many small differences, none of them of a kind"


def _reasons(it: Measures) -> Iterator[str]:
    """nan, for what does not apply, compares as False."""
    if it.residual > 0.2:
        yield f"{it.residual:.0%} of the object is still at its old place"
    if it.placement > 1.5:
        yield f"the object is {it.placement:.1f} px off its place"
    if it.drag > max(1.5, it.drag_before / 4):
        yield f"what was dragged is {it.drag:.1f} px from its goal, of {it.drag_before:.1f} at first"
    if it.color > 0.6 * it.color_before:
        yield f"the colours are {it.color:.0f} from the reference's, {it.color_before:.0f} at first"
    if it.pattern > 0.8 * it.pattern_before:
        yield f"the pattern is {it.pattern:.0f} from the reference's, {it.pattern_before:.0f} at first"
    if it.outline < 0.7:
        yield f"the object's outline overlaps the right one by {it.outline:.0%} only"
    if it.psnr_vacated < 20:
        yield f"what the object uncovered is filled wrongly ({it.psnr_vacated:.1f} dB)"
    if it.psnr_target < 20:
        yield f"the object itself is drawn wrongly ({it.psnr_target:.1f} dB)"
