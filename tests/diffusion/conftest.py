"""One random-weight model per number format and prediction type, and words for it."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from dragonkit import testing
from dragonkit.diffusion.stable_diffusion import StableDiffusion


@pytest.fixture(scope="session")
def tiny_pipelines(tiny_pipeline: Any) -> dict[str, Any]:
    """By prediction type, float32."""
    return {"v_prediction": tiny_pipeline, "epsilon": testing.tiny_pipeline("epsilon")}


@pytest.fixture(scope="session")
def tiny_pipeline64() -> Any:
    """v-prediction in float64, where finite differences are worth something."""
    return testing.tiny_pipeline(dtype=torch.float64)


@pytest.fixture
def backbone(tiny_pipeline: Any) -> StableDiffusion:
    return StableDiffusion(tiny_pipeline)


@pytest.fixture
def backbone64(tiny_pipeline64: Any) -> StableDiffusion:
    return StableDiffusion(tiny_pipeline64)


@pytest.fixture
def embeds(backbone: StableDiffusion) -> torch.Tensor:
    return backbone.condition(["a red fish"], (32, 32))


@pytest.fixture
def latents() -> torch.Tensor:
    """Two unlike pictures' worth of noise, (2, 4, 8, 8)."""
    return torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))
