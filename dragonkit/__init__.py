"""dragonkit: grab a thing in a picture and move it, with a diffusion model that nobody had to fine-tune.

    import dragonkit as dk

    editor = dk.Editor.from_pretrained()
    editor.edit("photo.png", dk.Move(mask="fish.png", shift=(40, 0))).save("moved.png")

Names are loaded when they are first used, so that importing the package costs next to nothing and loads no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "Appearance": "modes.appearance",
    "AttentionPlan": "plan",
    "Cancelled": "errors",
    "CustomEdit": "modes.custom",
    "Drag": "modes.drag",
    "DragonkitError": "errors",
    "Edit": "edits",
    "EditError": "errors",
    "EditFile": "edits",
    "EditMasks": "plan",
    "EditResult": "results",
    "Editor": "editor",
    "EnergyTerm": "plan",
    "Features": "plan",
    "Grid": "masks",
    "GuidanceSchedule": "schedules",
    "Mask": "edits",
    "ModelCard": "models.cards",
    "Move": "modes.move",
    "Picture": "fields",
    "Reference": "plan",
    "Report": "results",
    "Resize": "modes.resize",
    "Selector": "selectors",
    "Settings": "edits",
    "Source": "diffusion.source",
    "hookimpl": "hookspecs",
    "register": "plugins",
}
_OPTIONAL = {"EditorWidget": "jupyter.editor_widget"}  # needs the extra "jupyter", so `import *` must not ask for it
_MODULES = ("energy", "errors", "images", "masks", "toybox")

__all__ = [*_HOMES, *_MODULES, "__version__"]

if TYPE_CHECKING:
    from dragonkit import energy, errors, images, masks, toybox
    from dragonkit.diffusion.source import Source
    from dragonkit.editor import Editor
    from dragonkit.edits import Edit, EditFile, Mask, Settings
    from dragonkit.errors import Cancelled, DragonkitError, EditError
    from dragonkit.fields import Picture
    from dragonkit.hookspecs import hookimpl
    from dragonkit.jupyter.editor_widget import EditorWidget
    from dragonkit.masks import Grid
    from dragonkit.models.cards import ModelCard
    from dragonkit.modes.appearance import Appearance
    from dragonkit.modes.custom import CustomEdit
    from dragonkit.modes.drag import Drag
    from dragonkit.modes.move import Move
    from dragonkit.modes.resize import Resize
    from dragonkit.plan import AttentionPlan, EditMasks, EnergyTerm, Features, Reference
    from dragonkit.plugins import register
    from dragonkit.results import EditResult, Report
    from dragonkit.schedules import GuidanceSchedule
    from dragonkit.selectors import Selector


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name) or _OPTIONAL.get(name)
    if home:
        return getattr(importlib.import_module(f"dragonkit.{home}"), name)
    if name in _MODULES:
        return importlib.import_module(f"dragonkit.{name}")
    raise AttributeError(f"dragonkit has no {name!r}; see dragonkit.__all__ for what it has")


def __dir__() -> list[str]:
    return sorted([*__all__, *_OPTIONAL])
