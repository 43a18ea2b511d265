"""The parts of a pipeline in diffusers' format, loaded one by one, so that what is missing in their files is found out."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from dragonkit.errors import ModelError, UnsupportedModelError
from dragonkit.models.hub import UNUSED, VARIANT

__all__ = ["load_parts", "networks_of", "pipeline_class", "refuse_family", "refuse_meta", "unused_in"]

PARTS = ("text_encoder", "text_encoder_2", "unet", "vae")
SMALL = 256 << 20
"""Bytes of a part's files up to which it may be built in another precision than it is wanted in: larger ones cost too much memory."""
LIBRARIES = ("diffusers", "transformers")
_PLAIN = re.compile(r"(?:model|pytorch_model|diffusion_pytorch_model)(?:-\d+-of-\d+)?\.(?:safetensors|bin)")


def index_of(folder: Path) -> Mapping[str, Any]:
    """What the folder's `model_index.json` says; nothing where it cannot be read, which whoever loads it says better."""
    try:
        index = json.loads((folder / "model_index.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return index if isinstance(index, dict) else {}


def refuse_family(name: str, folder: Path) -> None:
    """Refuse a model whose `model_index.json` names no UNet, before anything large is read. Raises UnsupportedModelError."""
    index = index_of(folder)
    kind = index.get("_class_name")
    if isinstance(kind, str) and "unet" not in index and any(part in index for part in ("transformer", "prior", "decoder", "unets")):
        raise UnsupportedModelError(
            f"the model {name!r} is a {kind}, and only models with a UNet of the kind of Stable Diffusion 1, 2 or XL are edited with; "
            "choose one of these"
        )


def pipeline_class(folder: Path) -> Any:
    """The class that the folder's index names; Stable Diffusion's where it names none."""
    import diffusers

    return getattr(diffusers, str(index_of(folder).get("_class_name")), diffusers.StableDiffusionPipeline)


def unused_in(folder: Path) -> dict[str, Any]:
    """What a pipeline is told so that it does without the parts that edits do not use, whether they are there or deleted."""
    index = index_of(folder)
    unused: dict[str, Any] = {part: None for part in UNUSED if part in index}
    return unused | ({"requires_safety_checker": False} if "safety_checker" in index else {})


def networks_of(pipeline: Any) -> dict[str, torch.nn.Module]:
    """Its networks that edits use, by part."""
    parts = {part: getattr(pipeline, part, None) for part in PARTS}
    return {part: network for part, network in parts.items() if isinstance(network, torch.nn.Module)}


def load_parts(name: str, folder: Path, dtype: torch.dtype, variant: str | None = None) -> dict[str, Any]:
    """The networks of the folder's `model_index.json`, by part, and None for parts that are not used.

    The libraries would fill what is missing with random numbers.

    Args:
        name: the model's, for messages.
        variant: of the weights' files, for the parts that have it.

    Raises:
        ModelError: weights are missing; or no part has that variant.
    """
    from diffusers import DiffusionPipeline

    if variant and not any(variant in _variants_of(folder / part) for part in PARTS):
        raise ModelError(f"the model {name!r} has no variant {variant!r}: no part has a file such as model.{variant}.safetensors")
    index, parts = DiffusionPipeline.load_config(str(folder)), dict[str, Any]()
    for part in PARTS:
        library, kind = index.get(part) or (None, None)
        if library not in LIBRARIES or not isinstance(kind, str):  # the pipeline knows what to do, or to say
            continue
        # as long as a part is built in another precision than PyTorch's default, every thread's new tensors have it
        built = torch.get_default_dtype() if _size_of(folder / part) <= SMALL else dtype
        parts[part], told = getattr(importlib.import_module(library), kind).from_pretrained(
            str(folder / part), torch_dtype=built, output_loading_info=True, local_files_only=True, **_variant_of(folder / part, variant)
        )
        _refuse(name, part, told["missing_keys"])
        parts[part].to(dtype)
    return {**parts, **unused_in(folder)}


def _size_of(part: Path) -> int:
    return sum(file.stat().st_size for file in part.iterdir() if file.is_file()) if part.is_dir() else 0


def _variant_of(part: Path, wanted: str | None = None) -> dict[str, str]:
    """The variant that is wanted, where a part's weights have it; else what they come in, such as fp16, where they come in no other."""
    variants = _variants_of(part)
    if wanted in variants:
        return {"variant": str(wanted)}
    return {} if not variants or any(_PLAIN.fullmatch(file.name) for file in part.iterdir()) else {"variant": variants[0]}


def _variants_of(part: Path) -> list[str]:
    names = sorted(file.name for file in part.iterdir()) if part.is_dir() else []
    return [match[1] for name in names if (match := VARIANT.fullmatch(name))]


def refuse_meta(name: str, pipeline: Any) -> None:
    """Refuse networks with weights that were never read: they lie on the meta device, which has no numbers. Raises ModelError."""
    for part, network in networks_of(pipeline).items():
        _refuse(name, part, [key for key, weight in network.state_dict().items() if weight.is_meta])


def _refuse(name: str, part: str, missing: Iterable[str]) -> None:
    keys = sorted(missing)
    if keys:
        more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
        raise ModelError(
            f"the {part} of the model {name!r} lacks {len(keys)} of its tensors: {', '.join(keys[:3])}{more}; "
            "random numbers would stand in for them, so fetch the model again, or choose another one"
        )
