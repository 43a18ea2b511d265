"""Edits done with scissors and paste, in pixels: cutting out, filling, laying on, blending, and how much of each pixel may change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from dragonkit.imaging.ground import fill_hole
from dragonkit.imaging.lookup import warp
from dragonkit.imaging.masks import bounding_box, dilate, feather
from dragonkit.imaging.matting import RIM, matte
from dragonkit.plugins.answers import EditMasks
from dragonkit.shapes import GridMask, ImageTensor

__all__ = ["Cutout", "blend", "cut_and_paste", "edit_region", "free_pixels", "margin", "resized", "to_mask", "with_detail"]


ANOTHER = 0.2
"""Difference in [-1, 1] from which the model is said to have drawn something else than it was given."""


@dataclass(frozen=True, eq=False)
class Cutout:
    """What one edit contributes to the pasted picture.

    Attributes:
        masks: on the grid of the picture's own pixels.
        back: of the edit's placement, which knows where the content beside the target comes from; without it edges are hard.
        picture: (1, 3, H', W'), the reference that the content is taken from; None for the picture itself.
        draft: (1, 3, H, W), the content ready-made; None for what the correspondence says.
        with_ground: of the edit's placement: whether the ground comes along with the content.
    """

    masks: EditMasks
    back: Callable[[np.ndarray], np.ndarray] | None = None
    picture: ImageTensor | None = None
    draft: ImageTensor | None = None
    with_ground: bool = False


def cut_and_paste(image: ImageTensor, *cutouts: Cutout) -> ImageTensor:
    """The picture with the content of every edit moved as its `correspondence` says, and the vacated places filled smoothly.

    All content is taken from the pictures as given, so that two objects may change places.

    Args:
        image: (1, 3, H, W).
    """
    if not cutouts:
        return image
    sources, targets = (np.logical_or.reduce([getattr(cutout.masks, part) for cutout in cutouts]) for part in ("source", "target"))
    background = fill_hole(image, dilate(sources, RIM))
    pasted = torch.where(to_mask(dilate(sources & ~targets, RIM), image), background, image)
    for cutout in sorted(cutouts, key=lambda cutout: cutout.draft is None):
        if cutout.draft is None:
            _lay_on(pasted, image, background, cutout)
        else:
            # a draft knows the rim, too, where pixels are mixtures with the object; what is pasted afterwards wins there
            pasted = torch.where(to_mask(dilate(cutout.masks.target, 1), image), cutout.draft, pasted)
    return pasted


def _lay_on(pasted: ImageTensor, image: ImageTensor, background: ImageTensor, cutout: Cutout) -> None:
    """Lay moved content on the pasted picture, in place: with soft edges, so that nothing of its old background comes along."""
    masks = cutout.masks
    picture, mask = (image, masks.source) if cutout.picture is None else (cutout.picture, masks.reference_mask)
    mask = None if cutout.with_ground else mask
    soft = masks.target if mask is None or cutout.back is None else dilate(masks.target, 2 * RIM)
    if not soft.any():
        return
    left, top, right, bottom = bounding_box(soft)
    window = np.s_[..., top:bottom, left:right]
    places = masks.correspondence[top:bottom, left:right].copy()
    if cutout.back is not None:  # the correspondence knows the target only
        rows, columns = np.nonzero((soft & ~masks.target)[top:bottom, left:right])
        places[rows, columns] = cutout.back(np.stack([columns + left + 0.5, rows + top + 0.5], axis=-1))
    area = to_mask(soft[window], image)
    if mask is None:
        content, share = _looked_up(picture, places, masks.target[window]), area.to(image)
    else:
        behind = background if cutout.picture is None else fill_hole(picture, dilate(mask, RIM))
        x0, y0, x1, y1 = bounding_box(dilate(mask, 2 * RIM))
        part = np.s_[..., y0:y1, x0:x1]
        layers = _layers(picture[part], mask[part], behind[part])
        looked_up = _looked_up(layers, places - np.array([x0, y0], np.float32), masks.target[window])
        content, share = looked_up[:, :3], looked_up[:, 3:].clamp(0, 1)
    pasted[window] = torch.where(area, content + (1 - share) * pasted[window], pasted[window])


def _layers(picture: ImageTensor, mask: GridMask, background: ImageTensor) -> Tensor:
    """The object apart from its background, (1, 4, H, W): colours in [-1, 1] times their share of each pixel, and the share."""
    pixels, behind = (part[0].permute(1, 2, 0).float().cpu().numpy() / 2 + 0.5 for part in (picture, background))
    foreground, alpha = (torch.from_numpy(part).to(picture) for part in matte(pixels, mask, behind))
    colors = foreground.permute(2, 0, 1) * 2 - 1
    return torch.cat([colors * alpha, alpha[None]])[None]


def _looked_up(picture: Tensor, places: np.ndarray, target: GridMask) -> Tensor:
    """What is at the places (h, w, 2) of a picture averaged as coarsely as the content shrinks: single pixels would sparkle."""
    # a content that turns is looked up along both axes, so the whole step counts
    steps = np.diff(places, axis=1)[target[:, 1:] & target[:, :-1]]
    shrink = max(1, int(np.median(np.hypot(*np.abs(steps).T)) + 1e-3)) if steps.size else 1
    if shrink > 1:
        picture = F.avg_pool2d(picture, shrink, ceil_mode=True, count_include_pad=False)
    # bicubic: a drag of a drag of a drag stays sharper
    return warp(picture[0], places / np.float32(shrink), mode="bicubic")[None].clamp(-1, 1)


def with_detail(decoded: ImageTensor, round_trip: ImageTensor, pasted: ImageTensor, known: np.ndarray, free: np.ndarray) -> ImageTensor:
    """Give a decoded picture the detail that the autoencoder, or the model's smaller size, cannot carry.

    What the model changed is the difference between the decoded result and the round trip of the latents that were given to it. Where the
    pasted picture is right about the content (`known` is 1), that difference is added to its own, sharp pixels, as far as the model
    was free to change something there: a decoder spreads a change of one cell over many, and what is held shall not change with it.
    Where the model was free and drew something else, the detail of what was pasted has no place, and the model's own pixels stay.

    Args:
        decoded, round_trip: (1, 3, h, w) at the model's size.
        pasted: (1, 3, H, W) at the picture's size.
        known: float32 (H, W) in [0, 1].
        free: float32 (H, W) in [0, 1], as `free_pixels` makes it.
    """
    size = (pasted.shape[3], pasted.shape[2])
    known_part, free_part = (torch.from_numpy(part).to(pasted) for part in (known, free))
    model, given = resized(decoded, size), resized(round_trip, size)
    detail = 1 - free_part * (1 - resized(_alike(decoded, round_trip), size))
    sharp = model + detail * (pasted - given) - (1 - free_part) * (model - given)
    return torch.lerp(model, sharp, known_part).clamp(-1, 1)


def _alike(decoded: ImageTensor, round_trip: ImageTensor) -> Tensor:
    """How alike the two pictures are about each pixel, (1, 1, h, w): 1 where they are equal, near 0 from `ANOTHER` on."""
    apart = F.max_pool2d((decoded - round_trip).float().abs().amax(1, keepdim=True), 3, 1, 1)
    return torch.exp(-((F.avg_pool2d(apart, 5, 1, 2, count_include_pad=False) / ANOTHER) ** 2)).to(decoded.dtype)


def free_pixels(held: GridMask, cell: float) -> np.ndarray:
    """How free the model was at each pixel: float32 (H, W), 0 on what is given to the end and on its rim, 1 half a latent cell further.

    Args:
        held: bool (H, W), content that the model was given at every step.
        cell: the side of a latent cell in pixels of the picture.
    """
    return 1 - feather(dilate(held, RIM), margin(cell) - RIM)


def resized(image: ImageTensor, size: tuple[int, int]) -> ImageTensor:
    """The picture at another (width, height), antialiased; itself where the size is the same."""
    if (image.shape[3], image.shape[2]) == size:
        return image
    return F.interpolate(image, size=(size[1], size[0]), mode="bicubic", antialias=True, align_corners=False).clamp(-1, 1)


def margin(cell: float) -> float:
    """How far from what an edit touches a pixel may change at most, in pixels: the rim, and a fade of half a latent cell.

    Args:
        cell: the side of a latent cell in pixels of the picture.
    """
    return RIM + max(cell / 2, 1.0)


def edit_region(touched: GridMask, cell: float) -> np.ndarray:
    """How much of each pixel may change: float32 (H, W), 1 on what the edit touches and its rim, falling to exactly 0 at `margin(cell)`."""
    return feather(dilate(touched, RIM), margin(cell) - RIM)


def blend(edited: np.ndarray, original: np.ndarray, region: np.ndarray) -> np.ndarray:
    """uint8 (H, W, 3): the original bit for bit where `region` is 0, the edited picture where it is 1."""
    weight = region[..., None]
    return np.where(weight > 0, np.rint(edited * weight + original * (1.0 - weight)), original).astype(np.uint8)


def to_mask(mask: GridMask, like: Tensor) -> Tensor:
    """A numpy mask as a bool tensor on the device of `like`."""
    return torch.from_numpy(mask).to(like.device)
