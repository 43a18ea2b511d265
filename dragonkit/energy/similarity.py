"""The formulas: similarities between decoder features, and the energies made of them (DragonDiffusion, arXiv 2307.02421, equations 4 to 8).

All functions are pure and differentiable in their first argument; the second one, the source's features, gets no gradient.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float
from torch import Tensor

from dragonkit.shapes import FeatureMap, GridMask, Scalar

__all__ = ["gather", "global_similarity", "inverse_energy", "local_similarity"]


def gather(features: FeatureMap, mask: GridMask | Bool[Tensor, "grid_height grid_width"]) -> Float[Tensor, "features n"]:
    """F[m]: the feature vectors where the mask is True, in row order.

    Example:
        >>> features, mask = torch.arange(8.0).reshape(2, 2, 2), torch.eye(2, dtype=torch.bool)
        >>> gather(features, mask)
        tensor([[0., 3.],
                [4., 7.]])
    """
    return features[:, torch.as_tensor(mask, device=features.device)]


def local_similarity(generated: Float[Tensor, "features n"], source: Float[Tensor, "features n"]) -> Scalar:
    """Equation 4: (mean_p cos(generated_p, sg source_p) + 1) / 2, in [0, 1]; both list the same positions in corresponding order.

    Example:
        >>> here = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        >>> there = torch.tensor([[1.0, 1.0], [0.0, 0.0]])  # agrees at the first place only
        >>> local_similarity(here, there)
        tensor(0.7500)
    """
    return (F.cosine_similarity(generated, source.detach(), dim=0).mean() + 1) / 2


def global_similarity(generated: Float[Tensor, "features n"], source: Float[Tensor, "features m"]) -> Scalar:
    """Equations 8 and 10: (cos(mean generated, sg mean source) + 1) / 2, in [0, 1]; the regions may differ in size.

    Example:
        >>> global_similarity(torch.tensor([[1.0], [0.0]]), torch.tensor([[3.0, 1.0], [1.0, -1.0]]))
        tensor(1.)
    """
    return (F.cosine_similarity(generated.mean(1), source.detach().mean(1), dim=0) + 1) / 2


def inverse_energy(similarity: Scalar, alpha: float = 1.0, beta: float = 4.0) -> Scalar:
    """Equation 5's shape: 1 / (alpha + beta S). High where things differ, and ever flatter as they agree.

    Example:
        >>> inverse_energy(torch.tensor(0.0)), inverse_energy(torch.tensor(1.0))
        (tensor(1.), tensor(0.2000))
    """
    return 1 / (alpha + beta * similarity)
