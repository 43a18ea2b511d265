"""A whole object from a click on it, by GrabCut (Rother, Kolmogorov and Blake 2004, as in OpenCV). Needs no weights, but OpenCV.

GrabCut parts a picture by two mixtures of colours and a cut along its edges, but it needs a first guess. Here a small disc around each
click is known, the larger disc of radius `reach` is probably the object, all else is probably not, and what lies beyond the picture's
border is not. `dragonkit bench selectors` measures what becomes of one click.
"""

from __future__ import annotations

import math
from types import ModuleType

import numpy as np
from PIL import Image
from pydantic import Field

from dragonkit.errors import EditError, PointError
from dragonkit.plugins.selector import Click, Options, Selector

__all__ = ["OBJECT", "ObjectOptions"]

COARSE, FINE = 192, 768
"""Longest side, in pixels, at which the object is looked for, and at which the box around it is cut out again: for speed, and because
a small picture has less detail to be led astray by."""
KNOWN = 0.04
"""Radius of what a click says for certain, as a share of the picture's shorter side."""
BAND = 2
"""How many pixels of the coarse cut its outline may be off."""
ROUNDS = 3

OUTSIDE, INSIDE, PROBABLY_OUTSIDE, PROBABLY_INSIDE = 0, 1, 2, 3  # cv2.GC_BGD, GC_FGD, GC_PR_BGD, GC_PR_FGD: odd ones are the object


class ObjectOptions(Options):
    """Where to look for the object."""

    reach: float = Field(
        default=0.25, ge=0.02, le=1, description="how far the object goes from the click, as a share of the picture's shorter side"
    )


def select_object(image: Image.Image, clicks: list[Click], *, reach: float) -> np.ndarray:
    """The object that is clicked on, without holes; with several clicks, all that is clicked on.

    Raises:
        EditError: OpenCV is not installed.
        PointError: clicks contradict each other.
    """
    cv2 = _opencv()
    pixels = np.asarray(image)
    coarse = max(1.0, max(image.size) / COARSE)
    small = _resized(cv2, pixels, coarse)
    mask = _cut(cv2, small, _guess(small.shape[:2], [(x / coarse, y / coarse, positive) for x, y, positive in clicks], reach), ROUNDS)
    if coarse > 1:
        mask = _refined(cv2, pixels, _enlarged(cv2, mask, image.size), clicks, coarse)
    return _whole(cv2, mask, clicks)


OBJECT = Selector("object", "the object that is clicked on", "clicks", select_object, ObjectOptions)


def _opencv() -> ModuleType:
    try:
        import cv2
    except ModuleNotFoundError as error:
        raise EditError("the selector 'object' needs OpenCV, which is not installed. Run pip install 'dragonkit[select]'.") from error
    return cv2


def _guess(shape: tuple[int, int], clicks: list[Click], reach: float) -> np.ndarray:
    """What GrabCut starts from: uint8 (h, w). Where discs of clicks overlap, the nearest click decides."""
    rows, columns = np.indices(shape) + 0.5
    nearest = {
        kind: np.min([np.full(shape, np.inf), *(np.hypot(columns - x, rows - y) for x, y, positive in clicks if positive == kind)], axis=0)
        for kind in (True, False)
    }
    side, nearer = min(shape), nearest[True] <= nearest[False]
    guess = np.where(nearer & (nearest[True] <= reach * side), PROBABLY_INSIDE, PROBABLY_OUTSIDE).astype(np.uint8)
    known = max(KNOWN * side, 1.0)  # the centre of a clicked pixel is within 1, wherever it is clicked
    guess[nearer & (nearest[True] <= known)] = INSIDE
    guess[~nearer & (nearest[False] <= known)] = OUTSIDE
    return guess


def _cut(cv2: ModuleType, pixels: np.ndarray, guess: np.ndarray, rounds: int) -> np.ndarray:
    """GrabCut from a first guess, bool (h, w). The border is repeated once outside the picture, as background that is known."""
    if not (guess == INSIDE).any():
        raise PointError("every click on the object is next to one that says it is not. Move them apart.")
    bordered = cv2.copyMakeBorder(np.ascontiguousarray(pixels[..., ::-1]), 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    labels = np.pad(guess, 1, constant_values=OUTSIDE)
    cv2.setRNGSeed(0)  # its first clusters of colours are random
    cv2.grabCut(bordered, labels, None, np.zeros((1, 65)), np.zeros((1, 65)), rounds, cv2.GC_INIT_WITH_MASK)
    return (labels[1:-1, 1:-1] & 1).astype(bool)


def _refined(cv2: ModuleType, pixels: np.ndarray, mask: np.ndarray, clicks: list[Click], coarse: float) -> np.ndarray:
    """A cut made at 1 / `coarse` of the size, made again around its outline only, with more of the picture's pixels."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = math.ceil(4 * BAND * coarse)  # enough to know the colours around
    left, top = max(int(columns[0]) - margin, 0), max(int(rows[0]) - margin, 0)
    window = (slice(top, int(rows[-1]) + 1 + margin), slice(left, int(columns[-1]) + 1 + margin))
    cropped = mask[window]
    fine = max(1.0, max(cropped.shape) / FINE)
    inside = _resized(cv2, cropped.astype(np.float32), fine) >= 0.5
    reach = [cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5) for part in (inside, ~inside)]
    near = np.maximum(*reach) <= BAND * coarse / fine
    guess = np.where(near, PROBABLY_OUTSIDE, OUTSIDE) + inside
    for x, y, positive in clicks:
        row, column = int((y - top) / fine), int((x - left) / fine)
        if 0 <= row < guess.shape[0] and 0 <= column < guess.shape[1]:
            guess[row, column] = INSIDE if positive else OUTSIDE
    refined = mask.copy()
    height, width = cropped.shape
    refined[window] = _enlarged(cv2, _cut(cv2, _resized(cv2, pixels[window], fine), guess.astype(np.uint8), 1), (width, height))
    return refined


def _whole(cv2: ModuleType, mask: np.ndarray, clicks: list[Click]) -> np.ndarray:
    """The connected parts of a mask that are clicked on, their holes filled; holes that are clicked at stay."""
    height, width = mask.shape
    places = [(min(int(y), height - 1), min(int(x), width - 1), positive) for x, y, positive in clicks]
    count, parts = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    wanted = [parts[row, column] for row, column, positive in places if positive]
    kept = mask & _among(count, wanted)[parts]
    count, gaps = cv2.connectedComponents(np.pad(~kept, 1, constant_values=True).astype(np.uint8), connectivity=4)
    outside = [gaps[0, 0], *(gaps[row + 1, column + 1] for row, column, positive in places if not positive)]
    return kept | ~_among(count, outside)[gaps[1:-1, 1:-1]]


def _among(count: int, labels: list[int]) -> np.ndarray:
    """For each label from 0 whether it is one of these, bool (count,): numpy's own isin sorts what it looks through."""
    among = np.zeros(count, bool)
    among[labels] = True
    return among


def _resized(cv2: ModuleType, values: np.ndarray, factor: float) -> np.ndarray:
    """(h, w[, 3]) made `factor` times smaller, each value the mean of what it stands for."""
    height, width = values.shape[:2]
    if factor == 1:
        return values
    return cv2.resize(values, (max(1, round(width / factor)), max(1, round(height / factor))), interpolation=cv2.INTER_AREA)


def _enlarged(cv2: ModuleType, mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A bool mask at another (width, height), its outline straight between pixels."""
    return cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR) >= 0.5
