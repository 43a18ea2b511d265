"""A model's name with its revision and the LoRA put on it: `sd15@a1b2c3+style.safetensors@0.8`, one text for edit files and shells."""

from __future__ import annotations

import os
from collections.abc import Iterable

__all__ = ["split_lora", "split_model", "split_revision", "with_lora", "with_revision"]


def with_lora(model: str | os.PathLike[str], lora: Iterable[str | os.PathLike[str]]) -> str:
    """The name of a model with these on."""
    return "+".join(os.fspath(part) for part in (model, *lora))


def with_revision(model: str | os.PathLike[str], revision: str) -> str:
    """The name of a model as it was at a branch, a tag or a commit of the hub."""
    base, lora = split_model(os.fspath(model))
    return with_lora(f"{base}@{revision}", lora)


def split_revision(name: str) -> tuple[str, str | None]:
    """The model itself, and its revision where one is said. What exists under the whole name is a model without."""
    base, at, revision = name.rpartition("@")
    if not (at and base and revision) or os.path.exists(os.path.expanduser(name)):
        return name, None
    return base, revision


def split_model(name: str) -> tuple[str, tuple[str, ...]]:
    """The model itself, and the LoRA on it. What exists under the whole name is a model without."""
    if "+" not in name or os.path.exists(os.path.expanduser(name)):
        return name, ()
    model, *lora = name.split("+")
    return model, tuple(lora)


def split_lora(text: str) -> tuple[str, float]:
    """Its file, folder or hub id, and its weight: 1 where none is said."""
    source, at, weight = text.rpartition("@")
    try:
        return (source, float(weight)) if at and source else (text, 1.0)
    except ValueError:
        return text, 1.0
