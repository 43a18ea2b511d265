"""A model by name: where its weights are, what loads them, and which settings suit it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dragonkit.errors import EditError
from dragonkit.words import short

__all__ = ["ModelCard"]


@dataclass(frozen=True)
class ModelCard:
    """What dragonkit knows of a model.

    Attributes:
        name: what users call it.
        source: a hub id, a folder in diffusers' format, or a single .safetensors file; with `load`, whatever that function reads.
        description: one line.
        settings: fields of `Settings` whose defaults differ for this model.
        load: "module:function", for a model of another family than Stable Diffusion: `function(card, device, dtype)` gives its
            `dragonkit.plugin_api.Backbone`. The module is imported when the model is loaded.
        lora: what is put on a model of Stable Diffusion's kind: .safetensors files, folders or hub ids, each with `@weight` where it is
            not 1.
        revision: branch, tag or commit of a model on the hub; its newest when left out.
        variant: of the weights' files, such as "fp16", where there are several; the plain ones when left out, or what there is.
        autoencoder_psnr: dB of the autoencoder's round trip of pictures of the model's own kind; None where nobody measured it.

    Raises:
        EditError: a field is unusable.
    """

    name: str
    source: str
    description: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    load: str | None = None
    autoencoder_psnr: float | None = None
    lora: tuple[str, ...] = ()
    revision: str | None = None
    variant: str | None = None

    def __post_init__(self) -> None:
        for name, value in {"name": self.name, "source": self.source, "description": self.description, "load": self.load}.items():
            if not isinstance(value, str) and (name != "load" or value is not None):
                raise EditError(f"ModelCard.{name} must be text, got {short(value)}. Write it as a string.")
        if not self.name.strip():
            raise EditError(f"ModelCard.name is {self.name!r}, but must not be empty. Write what users shall call the model.")
        if not isinstance(self.settings, Mapping):
            raise EditError(
                f"ModelCard.settings must be a dict of fields of Settings, got {short(self.settings)}. Write {{'steps': 30}}, say."
            )
