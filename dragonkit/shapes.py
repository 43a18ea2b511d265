"""Names for the shapes that travel through dragonkit, as jaxtyping aliases.

    def denoise(latents: Latents, prompt_embeds: PromptEmbeds) -> Latents: ...

They document everywhere and are enforced (jaxtyping + beartype) in tests only. One axis name means one length within a call.
This module imports torch: floors that must load without it import these names under TYPE_CHECKING.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = [
    "Correspondence",
    "FeatureMap",
    "GridMask",
    "ImageTensor",
    "Latents",
    "PromptEmbeds",
    "Scalar",
    "Tokens",
    "Trajectory",
]

ImageTensor = Float[Tensor, "batch 3 image_height image_width"]  # in [-1, 1]
Latents = Float[Tensor, "batch channels height width"]  # z_t, and every noise_pred
Trajectory = Float[Tensor, "levels channels height width"]  # z_0 to z_T of one picture, clean first
PromptEmbeds = Float[Tensor, "prompts words embedding"]
Tokens = Float[Tensor, "batch positions embedding"]  # inputs, keys or values of an attention layer
FeatureMap = Float[Tensor, "features feature_height feature_width"]  # one picture, one decoder level
GridMask = Bool[np.ndarray, "grid_height grid_width"]
Correspondence = Float[np.ndarray, "grid_height grid_width 2"]  # (x, y) in cells
Scalar = Float[Tensor, ""]
