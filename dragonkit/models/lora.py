"""LoRA put on a pipeline by name."""

from __future__ import annotations

import importlib.util
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dragonkit.edits.naming import split_lora
from dragonkit.errors import ModelError, ModelNotFoundError
from dragonkit.plugins.blame import is_out_of_memory
from dragonkit.words import first_line, short

__all__ = ["check_lora", "put_on"]


def check_lora(names: Sequence[str]) -> None:
    """What can be told before a model is loaded. Raises as `put_on` does."""
    for name in names:
        source, weight = split_lora(name)
        path = Path(os.path.expanduser(source))
        if not source or not math.isfinite(weight):
            raise ModelNotFoundError(f"a LoRA is called {short(name)}, but must be a file, a folder or a hub id, with @weight or without")
        is_id = source.count("/") == 1 and not source.startswith((".", "/", "~")) and not source.endswith(".safetensors")
        if not path.exists() and not is_id:
            raise ModelNotFoundError(f"there is no LoRA {short(source)}; give a .safetensors file, a folder or a hub id such as owner/name")
        if path.is_file() and path.suffix != ".safetensors":
            raise ModelNotFoundError(f"the LoRA {short(source)} is no .safetensors file, and other kinds may run code; convert it")
    if names and importlib.util.find_spec("peft") is None:
        raise ModelError("a LoRA needs PEFT, which is not installed; get it with: pip install 'dragonkit[lora]'")


def put_on(pipeline: Any, names: Sequence[str]) -> None:
    """Load several LoRA, each a .safetensors file, a folder or a hub id, with `@weight` where it is not 1.

    Raises:
        ModelNotFoundError: one cannot be had or read.
        ModelError: one does not fit the model, or PEFT is not installed.
    """
    check_lora(names)
    weights = dict[str, float]()
    for number, name in enumerate(names):
        source, weight = split_lora(name)
        _load(pipeline, source, f"lora{number}")
        weights[f"lora{number}"] = weight
    if weights:
        pipeline.set_adapters([*weights], [*weights.values()])


def _load(pipeline: Any, source: str, adapter: str) -> None:
    path = Path(os.path.expanduser(source))
    where = {"weight_name": path.name} if path.is_file() else {}
    folder = str(path.parent) if path.is_file() else str(path) if path.exists() else source
    advice = "check the file" if path.exists() else f"fetch it with: hf download {source} --include '*.safetensors'"
    try:
        pipeline.load_lora_weights(folder, adapter_name=adapter, use_safetensors=True, local_files_only=path.exists(), **where)
    except Exception as error:  # whatever the libraries say of files that are broken, or of another model
        if is_out_of_memory(error):
            raise
        raise ModelNotFoundError(f"the LoRA {short(source)} could not be put on ({first_line(error)}); {advice}") from error
    if not any(adapter in there for there in pipeline.get_list_adapters().values()):
        raise ModelError(f"the LoRA {short(source)} has nothing for this model, as it was made for another kind; give one for this kind")
