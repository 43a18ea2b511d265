"""From the latents that the loop ends with to the picture that the user gets."""

from __future__ import annotations

import numpy as np

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.source import Source
from dragonkit.editing.pasting import blend, with_detail
from dragonkit.editing.planning import EditPlan
from dragonkit.imaging.images import to_image
from dragonkit.imaging.photos import Photo
from dragonkit.shapes import Latents

__all__ = ["finish"]


def finish(backbone: Backbone, latents: Latents, plan: EditPlan, source: Source, keep_pixels: bool) -> Photo:
    """Decode z_0 (1, c, h, w) at the picture's size, in its own kind.

    Args:
        keep_pixels: give the pasted picture's own detail back, and outside of the edit region the source's pixels, bit for bit.
    """
    decoded = backbone.decode(latents).cpu()
    if not keep_pixels:
        return source.photo.edited(np.asarray(to_image(decoded, source.image_size)), plan.alpha)
    round_trip = backbone.decode(plan.given_latents).cpu()
    decoded = with_detail(decoded, round_trip, plan.pasted, plan.known, plan.free)
    edited = np.asarray(to_image(decoded, source.image_size), dtype=np.float32)
    return source.photo.edited(blend(edited, source.pixels, plan.region), plan.alpha)
