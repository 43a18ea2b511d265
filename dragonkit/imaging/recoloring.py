"""An object under the surface of another one: what a change of appearance starts from. Pixels and numpy only.

Every pixel of an object is explained by one of the object's few paints or a mixture of two, and by something seen over or beside it:

    colour = shade * paint + share * other

Inside, `other` is white, the gloss (the dichromatic reflection model, Shafer 1985); on the rim it is the background behind it. The paint
is exchanged; shade, gloss and background stay. So light, dark lines and outline are the object's own, and no old colour is left on the rim.
"""

from __future__ import annotations

from itertools import combinations
from typing import Literal

import numpy as np
from PIL import Image

from dragonkit.imaging.masks import Grid, bounding_box, center_of, dilate, erode, to_grid

__all__ = ["Pattern", "paints_of", "recolored"]

Pattern = Literal["texture", "colors"]
Explanation = tuple[np.ndarray, np.ndarray, np.ndarray]

PAINTS = 3  # a surface with more reads as one with three
LEAST = 0.2  # the share of an object's area from which a colour is a paint, not a part of its own such as an eye
DARKEST = 0.35  # of the brightest: below this a colour is a shadow or a line, whatever its hue
SAME = 0.005  # squared difference up to which a colour is another one, lighter or darker
SAMPLES = 4096  # pixels that tell the paints
INNER_RIM, OUTER_RIM = 2.0, 1.0  # pixels inside and outside the mask that may be mixtures with the background
SURE_OF_RIM, SURE_OF_GLOSS = 0.01, 0.05  # squared colour difference for which the share of `other` leaves its expected value
SOFTNESS = 0.01  # squared colour difference up to which paints are mixed
TOO_BRIGHT = 1.1  # shade above which another paint is likelier
MIXED, DIM = 0.003, 0.2  # what a mixture must explain better than a pure paint by, and per squared lack of light: a shadow is no mixture
SHARES = (0.25, 0.5, 0.75)  # of one paint in mixtures of two, where they meet or run into each other
_NOTHING = 1e-4  # black has a shade of 1 under a black paint
_BAND = 1 << 18  # pixels explained at once: bounds the memory, whatever the picture's size


def recolored(
    picture: np.ndarray, mask: np.ndarray, reference: np.ndarray, reference_mask: np.ndarray, pattern: Pattern = "texture"
) -> np.ndarray:
    """The picture with the object under `mask` painted like the object under `reference_mask` of the reference.

    Args:
        picture: float (H, W, 3) in [0, 1].
        mask: bool (H, W), not empty.
        reference: float (H', W', 3) in [0, 1].
        reference_mask: bool (H', W'), not empty.
        pattern: "texture" lays the reference object's surface over the object, scaled to its area, centre on centre; "colors" keeps
            the object's own pattern and exchanges its paints, the largest for the largest.

    Returns:
        float32 (H, W, 3) in [0, 1]; further than a pixel outside the mask it is the picture itself.

    Raises:
        MaskError: a mask is empty or no bool array.
    """
    touched = dilate(mask, OUTER_RIM)
    left, top, right, bottom = bounding_box(dilate(mask, OUTER_RIM + 2))  # two more: there has to be background to look at
    window = np.s_[top:bottom, left:right]
    inside, rim = touched[window], touched[window] & ~erode(mask, INNER_RIM)[window]
    colors = picture[window].astype(np.float32)
    other, expected = np.ones_like(colors), np.zeros(inside.shape, np.float32)
    if not inside.all():
        other[rim] = colors[_nearest(~inside)][rim]
        expected[rim] = 1 - _blurred(mask[window])[rim]

    own, theirs = paints_of(picture, mask), paints_of(reference, reference_mask)
    seen, behind = colors[inside], other[inside]
    weights, shade, share = _explained(seen, own, behind, expected[inside])
    if pattern == "colors":
        exchanged = weights @ theirs[np.minimum(np.arange(len(own)), len(theirs) - 1)]
    else:
        surface, (center_x, center_y) = _surface(reference, reference_mask, theirs, mask)
        x, y = center_of(mask)
        rows, columns = np.nonzero(inside)
        rows, columns = np.floor(rows + 0.5 + top - y + center_y).astype(int), np.floor(columns + 0.5 + left - x + center_x).astype(int)
        exchanged = surface[rows.clip(0, surface.shape[0] - 1), columns.clip(0, surface.shape[1] - 1)]
    painted = shade[:, None] * exchanged + share[:, None] * behind
    # what the model leaves unexplained belongs to the background as far as that is seen
    unexplained = seen - shade[:, None] * (weights @ own) - share[:, None] * behind
    painted += np.where(rim[inside], share, 0)[:, None] * unexplained

    result = picture.astype(np.float32)
    result[window][inside] = painted.clip(0, 1)
    return result


def paints_of(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The one to three main colours under the mask, largest area first: float32 (n, 3), by k-means without its dark pixels."""
    left, top, right, bottom = bounding_box(mask)
    window = np.s_[top:bottom, left:right]
    colors = picture[window][_core(mask[window])].astype(np.float32)
    colors = colors[:: -(-len(colors) // SAMPLES)]
    brightness = colors.max(1)
    colors = colors[brightness >= DARKEST * np.quantile(brightness, 0.95)]
    centers = np.median(colors, axis=0)[None]
    while len(centers) < PAINTS:  # the colour furthest from all others starts the next
        centers = np.vstack([centers, colors[_squared_differences(colors, centers).min(1).argmax()]])
    for _ in range(12):
        nearest = _squared_differences(colors, centers).argmin(1)
        centers = np.array([colors[nearest == k].mean(0) if (nearest == k).any() else centers[k] for k in range(PAINTS)])
    areas = np.bincount(_squared_differences(colors, centers).argmin(1), minlength=PAINTS) / len(colors)
    order = np.argsort(-areas, kind="stable")
    paints: list[np.ndarray] = []
    for paint in centers[order[areas[order] >= min(LEAST, areas.max())]]:
        shades = (paint @ other / (other @ other + _NOTHING) * other for other in paints)
        if all(((paint - shade) ** 2).sum() > SAME for shade in shades):
            paints.append(paint)
    return np.array(paints)


def _surface(reference: np.ndarray, mask: np.ndarray, paints: np.ndarray, like: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """The reference object without light and shade, scaled to the area of the mask `like` and continued outwards.

    Returns:
        float32 (h, w, 3), and the (x, y) in it of the object's centre.
    """
    left, top, right, bottom = bounding_box(mask)
    mask = mask[top:bottom, left:right]
    box = bounding_box(like)
    longest = max(box[2] - box[0], box[3] - box[1])
    scale = min(np.sqrt(like.sum() / mask.sum()), 2 * longest / max(mask.shape))  # a thin object would become huge
    height, width = (max(1, round(scale * side)) for side in mask.shape)
    cut = Image.fromarray(np.rint(reference[top:bottom, left:right] * 255).astype(np.uint8))
    colors = np.asarray(cut.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32) / 255
    mask = to_grid(mask, Grid(width, height, mask.shape[1], mask.shape[0]))
    core = _core(mask)
    seen = colors[core]
    surface = np.zeros_like(colors)
    surface[core] = _explained(seen, paints, np.ones_like(seen), np.zeros(len(seen), np.float32))[0] @ paints
    return surface[_nearest(core)], center_of(mask)


def _explained(colors: np.ndarray, paints: np.ndarray, other: np.ndarray, expected: np.ndarray) -> Explanation:
    """Fit colours (n, 3) by shade * paint + share * other, with `share` near `expected` (n,) where colours do not tell.

    Returns:
        How far each paint explains the colour, (n, paints) with sum 1; shade (n,) of at least 0; share (n,) in [0, 1].
    """
    bands = [slice(start, start + _BAND) for start in range(0, len(colors), _BAND)]
    parts = [_fit(colors[band], paints, other[band], expected[band]) for band in bands]
    weights, shade, share = (np.concatenate(values) for values in zip(*parts, strict=True))
    return weights, shade, share


def _fit(colors: np.ndarray, paints: np.ndarray, other: np.ndarray, expected: np.ndarray) -> Explanation:
    """Ridge regression on two unknowns, for every pixel and every paint or mixture of two."""
    sure = np.where(expected > 0, SURE_OF_RIM, SURE_OF_GLOSS)[:, None].astype(np.float32)
    recipes = _recipes(len(paints))
    mixed = recipes @ paints
    # aa, ab, ... are the products of paint (a), other (b) and colour (c) that the normal equations are made of
    aa = (mixed**2).sum(1) + _NOTHING
    ab = other @ mixed.T
    bb = (other**2).sum(1, keepdims=True) + sure
    ac, bc = colors @ mixed.T + _NOTHING, (colors * other).sum(1, keepdims=True) + sure * expected[:, None]
    share = ((aa * bc - ab * ac) / (aa * bb - ab**2)).clip(0, 1)
    shade = ((ac - share * ab) / aa).clip(0)
    fitted = shade[..., None] * mixed + share[..., None] * other[:, None]
    misfit = ((colors[:, None] - fitted) ** 2).sum(2) + sure * (share - expected[:, None]) ** 2
    misfit += 0.5 * np.maximum(shade - TOO_BRIGHT, 0) ** 2
    misfit[:, len(paints) :] += MIXED + DIM * np.maximum(1 - shade[:, len(paints) :], 0) ** 2
    weights = np.exp((misfit.min(1, keepdims=True) - misfit) / SOFTNESS)
    weights /= weights.sum(1, keepdims=True)
    return weights @ recipes, (weights * shade).sum(1), (weights * share).sum(1)


def _recipes(paints: int) -> np.ndarray:
    """What is made of which paint: the paints themselves, then mixtures of every two, float32 (n, paints) with rows that sum to 1."""
    pure = np.eye(paints, dtype=np.float32)
    mixtures = [share * pure[a] + (1 - share) * pure[b] for a, b in combinations(range(paints), 2) for share in SHARES]
    return np.concatenate([pure, np.array(mixtures, np.float32).reshape(-1, paints)])


def _core(mask: np.ndarray) -> np.ndarray:
    """The mask without its outermost pixels, which are mixtures; all of it where nothing else is left."""
    core = erode(mask, 1)
    return core if core.any() else mask


def _blurred(mask: np.ndarray) -> np.ndarray:
    """How much of each pixel a smooth outline around the mask would cover: float64 (H, W)."""
    padded = np.pad(mask.astype(float), 1, mode="edge")
    rows = padded[:-2] + 2 * padded[1:-1] + padded[2:]
    return (rows[:, :-2] + 2 * rows[:, 1:-1] + rows[:, 2:]) / 16


def _nearest(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For every pixel the row and column of a pixel inside `known` near it: the nearest of its row or of its column."""
    rows, columns = np.indices(known.shape)
    (y0, x0), (x1, y1) = _nearest_in_row(known), (part.T for part in _nearest_in_row(known.T))
    nearer = (y0 - rows) ** 2 + (x0 - columns) ** 2 <= (y1 - rows) ** 2 + (x1 - columns) ** 2
    return np.where(nearer, y0, y1), np.where(nearer, x0, x1)


def _nearest_in_row(known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Row and column of the nearest pixel inside in the pixel's own row; where that has none, in the nearest row that does."""
    column = _nearest_along(known)
    row = _nearest_along(np.atleast_2d(known.any(axis=1)))[0]
    return np.repeat(row[:, None], known.shape[1], 1), column[row]


def _nearest_along(known: np.ndarray) -> np.ndarray:
    """The index along axis 1 of the nearest True; meaningless in rows without one."""
    here, far = np.arange(known.shape[1]), 4 * known.shape[1]
    before = np.maximum.accumulate(np.where(known, here, -far), axis=1)
    after = np.minimum.accumulate(np.where(known, here, far)[:, ::-1], axis=1)[:, ::-1]
    return np.where(here - before <= after - here, before, after)


def _squared_differences(colors: np.ndarray, centers: np.ndarray) -> np.ndarray:
    return ((colors[:, None] - centers) ** 2).sum(2)
