"""The parts of a pipeline in diffusers' format, loaded one by one, so that what is missing in their files is found out."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from dragonkit.errors import ModelError

__all__ = ["load_parts", "refuse_meta"]

PARTS = ("text_encoder", "unet", "vae")
LIBRARIES = ("diffusers", "transformers")


def load_parts(name: str, folder: Path, dtype: torch.dtype) -> dict[str, Any]:
    """The networks of the folder's `model_index.json`, by part. The libraries would fill what is missing with random numbers.

    Args:
        name: the model's, for messages.

    Raises:
        ModelError: weights are missing.
    """
    from diffusers import DiffusionPipeline

    index, parts = DiffusionPipeline.load_config(str(folder)), dict[str, Any]()
    for part in PARTS:
        library, kind = index.get(part) or (None, None)
        if library not in LIBRARIES or not isinstance(kind, str):  # the pipeline knows what to do, or to say
            continue
        parts[part], told = getattr(importlib.import_module(library), kind).from_pretrained(
            str(folder / part), torch_dtype=dtype, output_loading_info=True, local_files_only=True
        )
        _refuse(name, part, told["missing_keys"])
    return parts


def refuse_meta(name: str, pipeline: Any) -> None:
    """Refuse networks with weights that were never read: they lie on the meta device, which has no numbers. Raises ModelError."""
    parts: Mapping[str, Any] = {part: getattr(pipeline, part, None) for part in PARTS}
    for part, network in parts.items():
        if isinstance(network, torch.nn.Module):
            _refuse(name, part, [key for key, weight in network.state_dict().items() if weight.is_meta])


def _refuse(name: str, part: str, missing: Iterable[str]) -> None:
    keys = sorted(missing)
    if keys:
        more = f" and {len(keys) - 3} more" if len(keys) > 3 else ""
        raise ModelError(
            f"the {part} of the model {name!r} lacks {len(keys)} of its tensors: {', '.join(keys[:3])}{more}; "
            "random numbers would stand in for them, so fetch the model again, or choose another one"
        )
