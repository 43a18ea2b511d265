"""From the latents that the loop ends with to the picture that the user gets."""

from __future__ import annotations

import numpy as np
from PIL import Image

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.source import Source
from dragonkit.editing.pasting import blend, with_detail
from dragonkit.editing.planning import EditPlan
from dragonkit.imaging.images import load_image, to_image
from dragonkit.shapes import Latents

__all__ = ["finish"]


def finish(backbone: Backbone, latents: Latents, plan: EditPlan, source: Source, keep_pixels: bool) -> Image.Image:
    """Decode z_0 (1, c, h, w) at the picture's size.

    Args:
        keep_pixels: give the pasted picture's own detail back, and outside of the edit region the source's pixels, bit for bit.
    """
    decoded = backbone.decode(latents).cpu()
    if not keep_pixels:
        return to_image(decoded, source.image_size)
    round_trip = backbone.decode(plan.given_latents).cpu()
    decoded = with_detail(decoded, round_trip, plan.pasted, plan.known, plan.free)
    edited = np.asarray(to_image(decoded, source.image_size), dtype=np.float32)
    return load_image(blend(edited, source.pixels, plan.region))
