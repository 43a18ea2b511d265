"""From a model's name to its backbone."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dragonkit.edits.naming import split_model, split_revision
from dragonkit.errors import DragonkitError, ModelError, ModelNotFoundError, UnsupportedModelError
from dragonkit.models.hub import Fetched, fetch, fetch_command
from dragonkit.models.lora import check_lora, put_on
from dragonkit.plugins.blame import is_out_of_memory
from dragonkit.plugins.card import ModelCard
from dragonkit.words import closest, first_line, short

if TYPE_CHECKING:
    import torch

    from dragonkit.diffusion.backbone import Backbone

__all__ = ["find_card", "load_backbone", "load_pipeline"]

_ALONE = threading.RLock()
"""One model at a time: the libraries switch things of the whole process while they load one, as PyTorch's default precision, and back."""


def find_card(model: str | os.PathLike[str], cards: Mapping[str, ModelCard], suspects: str = "") -> ModelCard:
    """The card called `model`, or a new one for a folder, file or hub id.

    Args:
        suspects: who may have more cards, but cannot give them: `PluginRegistry.suspects("model")`, for the message.

    Raises:
        ModelNotFoundError: no card has the name and nothing else fits.
    """
    if hasattr(model, "components") and hasattr(model, "scheduler"):
        raise ModelNotFoundError(f"a model is named by text or a path, not by a {type(model).__name__}; give it to Editor.from_pipeline")
    if not isinstance(model, (str, os.PathLike)) or not isinstance(os.fspath(model), str):
        raise ModelNotFoundError(f"a model is named by text or a path, not by {short(model)}; use one of {', '.join(sorted(cards))}, say")
    model = os.fspath(model)
    if model in cards:
        return cards[model]
    path = os.path.expanduser(model)  # which, like os.path.exists, takes any text
    if model and os.path.exists(path):
        return ModelCard(name=model, source=path)
    base, lora = split_model(model)
    if lora:
        check_lora(lora)
        card = find_card(base, cards, suspects)
        return replace(card, name=model, lora=(*card.lora, *lora))
    base, revision = split_revision(model)
    if revision:
        card = find_card(base, cards, suspects)
        if card.load or os.path.exists(os.path.expanduser(card.source)):
            raise ModelNotFoundError(f"{short(base)} is on this machine, and only models of the hub have revisions; leave out @{revision}")
        return replace(card, name=model, revision=revision)
    if model.count("/") == 1 and not model.startswith((".", "/", "~")) and not model.endswith(".safetensors"):
        return ModelCard(name=model, source=model)
    raise ModelNotFoundError(
        f"no model, folder or file is called {short(model)}.{closest(model, list(cards))} Use one of {', '.join(sorted(cards))}, "
        f"a folder in diffusers' format, a .safetensors file or a hub id such as owner/name.{suspects}"
    )


def load_backbone(card: ModelCard, device: torch.device, dtype: torch.dtype, progress: Fetched | None = None) -> Backbone:
    """The model of a card, by the function that the card names, or as Stable Diffusion.

    Args:
        progress: called while it is fetched from the hub.

    Raises:
        ModelNotFoundError: the weights cannot be had.
        UnsupportedModelError: what is there is not of Stable Diffusion's kind.
        ModelError: some of its weights are missing; `card.load` names no function, or what it names fails or gives no backbone.
    """

    from dragonkit.diffusion.backbone import Backbone
    from dragonkit.diffusion.stable_diffusion_xl import backbone_of

    if card.load is None:
        return backbone_of(load_pipeline(card, device, dtype, progress))
    if card.lora:
        raise UnsupportedModelError(f"the model {card.name!r} is not of Stable Diffusion's kind, which alone takes LoRA; leave it out")
    loader = f"the model {card.name!r} is to be loaded by {card.load!r}"
    try:
        module, _, name = card.load.partition(":")
        function = getattr(importlib.import_module(module), name)
    except (Exception, SystemExit) as error:  # whatever a stranger's module does while it is imported
        raise ModelError(
            f"{loader}, which cannot be found ({type(error).__name__}: {first_line(error)}); "
            "ModelCard.load must be 'module:function', of an installed module"
        ) from error
    try:
        backbone = function(card, device, dtype)
    except DragonkitError:
        raise
    except (Exception, SystemExit) as error:
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{loader}, which failed ({type(error).__name__}: {first_line(error)}); tell its plugin's author") from error
    if not isinstance(backbone, Backbone):
        raise ModelError(f"{loader}, which gave a {type(backbone).__name__}; it must give a dragonkit.plugin_api.Backbone")
    return backbone


def load_pipeline(card: ModelCard, device: str | torch.device, dtype: torch.dtype, progress: Fetched | None = None) -> Any:
    """The pipeline of a card, of Stable Diffusion 1, 2 or XL, frozen, and without what edits do not use.

    Args:
        progress: called while it is fetched from the hub.

    Raises:
        ModelNotFoundError: the weights cannot be had.
        UnsupportedModelError: what is there is of another kind; found out before it is fetched, where that can be.
        ModelError: some of its weights are missing.
    """
    import torch

    from dragonkit.diffusion.fitting import refuse_pipeline
    from dragonkit.models.parts import networks_of

    with _ALONE, _quiet():
        pipeline = _load(card, torch.device(device), dtype, progress)
        refuse_pipeline(pipeline)
        put_on(pipeline, card.lora)
    for network in networks_of(pipeline).values():
        network.requires_grad_(False).eval()
    if torch.device(device).type == "cpu":
        for part in (pipeline.unet, pipeline.vae):  # convolutions are faster this way: a twentieth in the UNet, a third in the autoencoder
            part.to(memory_format=torch.channels_last)
    return pipeline


def _load(card: ModelCard, device: torch.device, dtype: torch.dtype, progress: Fetched | None) -> Any:
    from dragonkit.models.parts import refuse_family, refuse_meta

    path = Path(card.source).expanduser()
    if path.is_file():
        if card.variant:
            raise ModelError(f"{path} is a single file, which has no variants; leave out {card.variant!r}")
        advice = "check the file"
    elif path.exists():
        advice = "check the folder"
        refuse_family(card.name, path)
    else:
        refuse_family(card.name, fetch(card, progress, weights=False))
        path, advice = fetch(card, progress), f"fetch it again with: {fetch_command(card)}"
    try:
        pipeline = _from_file(card.name, path, dtype, progress) if path.is_file() else _from_folder(card, path, dtype)
        refuse_meta(card.name, pipeline)
        pipeline.to(device)
    except DragonkitError:
        raise
    except Exception as error:  # whatever the libraries say of files that are broken
        if is_out_of_memory(error):
            raise
        raise ModelNotFoundError(
            f"the model {card.name!r} could not be loaded from {card.source}: {first_line(error)}; {advice}"
        ) from error
    return pipeline


def _from_folder(card: ModelCard, folder: Path, dtype: torch.dtype) -> Any:
    from diffusers import DiffusionPipeline

    from dragonkit.models.parts import load_parts

    parts = load_parts(card.name, folder, dtype, card.variant)
    return DiffusionPipeline.from_pretrained(str(folder), dtype=dtype, local_files_only=True, **parts)


def _from_file(name: str, file: Path, dtype: torch.dtype, progress: Fetched | None) -> Any:
    """A single file holds weights only: how its networks are built is said by a model on the hub."""
    from diffusers.loaders.single_file_utils import fetch_diffusers_config, load_single_file_checkpoint

    from dragonkit.models.parts import pipeline_class, refuse_family, unused_in

    weights = load_single_file_checkpoint(str(file))
    if not any(name.startswith("model.diffusion_model.") for name in weights):
        raise ValueError(
            f"none of its {len(weights)} tensors is of a whole Stable Diffusion model, where many begin with model.diffusion_model"
        )
    like = fetch_diffusers_config(weights)["pretrained_model_name_or_path"]
    try:
        config = fetch(ModelCard(like, like), progress, weights=False)
    except ModelNotFoundError as error:
        raise ModelNotFoundError(f"{file} holds weights only, and how they fit together is said by a model on the hub: {error}") from error
    refuse_family(name, config)
    kind = pipeline_class(config)
    return kind.from_single_file(str(file), dtype=dtype, config=str(config), local_files_only=True, **unused_in(config))


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
