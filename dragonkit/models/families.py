"""Which settings suit a checkpoint that has no card: its shape says which family it is of, whatever it is called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.plugins.card import ModelCard

__all__ = ["card_of", "with_family"]

WIDTHS = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 2048: "Stable Diffusion XL"}
"""Families by how wide the words' features are."""


def card_of(backbone: Backbone, name: str) -> ModelCard:
    """A card for a model that is in hand."""
    return with_family(ModelCard(name, name), backbone)


def with_family(card: ModelCard, backbone: Backbone) -> ModelCard:
    """The card with its family's settings, where it has none of its own."""
    if card.settings or not isinstance(backbone, StableDiffusion):
        return card
    config = backbone.unet.config
    # as the paper: the outputs at half of the latents' size and at all of it; with four up blocks that is up.1 and up.2
    settings: dict[str, Any] = {"layers": backbone.feature_layers[-3:-1] or backbone.feature_layers[:1]}
    family = WIDTHS.get(config.cross_attention_dim) if isinstance(config.cross_attention_dim, int) else None
    if family is not None:
        distilled = config.get("time_cond_proj_dim") is not None  # guided already: it is told the scale
        settings |= {} if distilled else {"guidance_scale": 4.0}
    return replace(card, settings=settings, description=card.description or f"a model of the shape of {family or 'Stable Diffusion'}")
