"""From a model's name to its backbone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragonkit.errors import DragonkitError, ModelError, ModelNotFoundError, UnsupportedModelError
from dragonkit.plugins.blame import is_out_of_memory
from dragonkit.plugins.card import ModelCard

if TYPE_CHECKING:
    import torch

    from dragonkit.diffusion.backbone import Backbone

__all__ = ["default_dtype", "find_card", "load_backbone", "load_pipeline"]


def find_card(model: str, cards: Mapping[str, ModelCard]) -> ModelCard:
    """The card called `model`, or a new one for a folder, file or hub id.

    Raises:
        ModelNotFoundError: no card has the name and nothing else fits.
    """
    if model in cards:
        return cards[model]
    path = Path(model).expanduser()
    if model and path.exists():
        return ModelCard(name=model, source=str(path))
    if model.count("/") == 1 and not model.startswith((".", "/", "~")) and not model.endswith(".safetensors"):
        return ModelCard(name=model, source=model)
    raise ModelNotFoundError(
        f"no model, folder or file is called {model!r}; use one of {', '.join(sorted(cards))}, a folder in diffusers' format, "
        "a .safetensors file or a hub id such as owner/name"
    )


def load_backbone(card: ModelCard, device: torch.device, dtype: torch.dtype) -> Backbone:
    """The model of a card, by the function that the card names, or as Stable Diffusion.

    Raises:
        ModelNotFoundError: the weights cannot be had.
        UnsupportedModelError: what is there is not a Stable Diffusion pipeline.
        ModelError: `card.load` names no function, or what it names fails or gives no backbone.
    """
    import torch

    from dragonkit.diffusion.backbone import Backbone
    from dragonkit.diffusion.stable_diffusion import StableDiffusion

    if card.load is None:
        return StableDiffusion(load_pipeline(card, device, dtype))
    loader = f"the model {card.name!r} is to be loaded by {card.load!r}"
    try:
        module, _, name = card.load.partition(":")
        function = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever a stranger's module does while it is imported
        raise ModelError(
            f"{loader}, which cannot be found ({type(error).__name__}: {_first_line(error)}); "
            "ModelCard.load must be 'module:function', of an installed module"
        ) from error
    try:
        backbone = function(card, device, dtype)
    except DragonkitError:
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{loader}, which failed ({type(error).__name__}: {_first_line(error)}); tell its plugin's author") from error
    if not isinstance(backbone, Backbone):
        raise ModelError(f"{loader}, which gave a {type(backbone).__name__}; it must give a dragonkit.plugin_api.Backbone")
    return backbone


def default_dtype(device: torch.device) -> torch.dtype:
    """The precision a model runs in where nobody asks for another: float16 on CUDA; bfloat16 on a CPU that multiplies it natively, which
    is a sixth faster there and slower elsewhere; float32 otherwise."""
    import torch

    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu":
        capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.10 cannot say
        if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
            return torch.bfloat16
    return torch.float32


def load_pipeline(card: ModelCard, device: str | torch.device, dtype: torch.dtype) -> Any:
    """The `StableDiffusionPipeline` of a card.

    Raises:
        ModelNotFoundError: the weights cannot be had.
        UnsupportedModelError: what is there is not a Stable Diffusion pipeline.
    """
    import torch

    with _quiet():
        pipeline = _load(card, dtype).to(device)
    if torch.device(device).type == "cpu":
        for part in (pipeline.unet, pipeline.vae):  # convolutions are faster this way: a twentieth in the UNet, a third in the autoencoder
            part.to(memory_format=torch.channels_last)
    return pipeline


def _load(card: ModelCard, dtype: torch.dtype) -> Any:
    from diffusers import DiffusionPipeline, StableDiffusionPipeline
    from safetensors import SafetensorError

    path = Path(card.source)
    try:
        if path.is_file():
            pipeline = StableDiffusionPipeline.from_single_file(str(path), dtype=dtype)
        else:
            pipeline = DiffusionPipeline.from_pretrained(card.source, dtype=dtype)
    except (AttributeError, KeyError, OSError, RuntimeError, SafetensorError, ValueError) as error:
        advice = (
            "check the folder"
            if path.is_dir()
            else "check the file"
            if path.exists()
            else "check the name and the network, or give a folder"
        )
        raise ModelNotFoundError(
            f"the model {card.name!r} could not be loaded from {card.source}: {_first_line(error)}; {advice}"
        ) from error
    if not isinstance(pipeline, StableDiffusionPipeline):
        raise UnsupportedModelError(
            f"the model {card.name!r} is a {type(pipeline).__name__}; dragonkit edits with models of the StableDiffusionPipeline kind"
        )
    return pipeline


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps the libraries' progress bars and remarks about optional packages off the screen while a model is loaded."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    libraries = (diffusers_logging, transformers_logging)
    states = [(library.get_verbosity(), library.is_progress_bar_enabled()) for library in libraries]
    for library in libraries:
        library.set_verbosity_error()
        library.disable_progress_bar()
    try:
        yield
    finally:
        for library, (level, bars) in zip(libraries, states, strict=True):
            library.set_verbosity(level)
            if bars:
                library.enable_progress_bar()


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
