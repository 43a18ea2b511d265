"""dragonkit: grab a thing in a picture and move it, with a diffusion model that nobody had to fine-tune.

    import dragonkit as dk

    editor = dk.Editor.from_pretrained()
    editor.edit("photo.png", dk.Move(mask="fish.png", shift=(40, 0))).save("moved.png")

Names are loaded when they are first used, so that importing the package costs next to nothing and loads no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragonkit.lazy import loader

__version__ = "0.1.0"

_HOMES = {
    "Appearance": "modes.appearance",
    "AttentionPlan": "plugins.answers",
    "Cancelled": "errors",
    "CustomEdit": "modes.custom",
    "Drag": "modes.drag",
    "DragonkitError": "errors",
    "Edit": "edits.edit",
    "EditError": "errors",
    "EditFile": "edits.file",
    "EditMasks": "plugins.answers",
    "EditResult": "editing.results",
    "Editor": "editing.editor",
    "EnergyTerm": "plugins.answers",
    "Features": "plugins.answers",
    "Grid": "imaging.masks",
    "GuidanceSchedule": "edits.schedules",
    "Inversion": "plugins.inversion",
    "Mask": "edits.values",
    "ModelCard": "plugins.card",
    "Move": "modes.move",
    "Picture": "edits.values",
    "Placement": "plugins.placement",
    "Points": "edits.values",
    "Reference": "plugins.answers",
    "ReferenceMask": "modes.referring",
    "Region": "edits.values",
    "Remove": "modes.remove",
    "Report": "editing.results",
    "Resize": "modes.resize",
    "Selector": "plugins.selector",
    "Settings": "edits.settings",
    "Shift": "edits.values",
    "Source": "diffusion.source",
    "batch": "batching.run",
    "hookimpl": "plugins.specs",
    "register": "plugins.registry",
    "side_by_side": "imaging.sheets",
}
_OPTIONAL = {"EditorWidget": "jupyter.editor_widget"}  # needs the extra "jupyter", so `import *` must not ask for it
_MODULES = {"energy": "energy", "errors": "errors", "images": "imaging.images", "masks": "imaging.masks", "toybox": "toybox"}

__all__ = [*_HOMES, *_MODULES, "__version__"]

if TYPE_CHECKING:
    from dragonkit import energy, errors, toybox
    from dragonkit.batching.run import batch
    from dragonkit.diffusion.source import Source
    from dragonkit.editing.editor import Editor
    from dragonkit.editing.results import EditResult, Report
    from dragonkit.edits.edit import Edit
    from dragonkit.edits.file import EditFile
    from dragonkit.edits.schedules import GuidanceSchedule
    from dragonkit.edits.settings import Settings
    from dragonkit.edits.values import Mask, Picture, Points, Region, Shift
    from dragonkit.errors import Cancelled, DragonkitError, EditError
    from dragonkit.imaging import images, masks
    from dragonkit.imaging.masks import Grid
    from dragonkit.imaging.sheets import side_by_side
    from dragonkit.jupyter.editor_widget import EditorWidget
    from dragonkit.modes.appearance import Appearance
    from dragonkit.modes.custom import CustomEdit
    from dragonkit.modes.drag import Drag
    from dragonkit.modes.move import Move
    from dragonkit.modes.referring import ReferenceMask
    from dragonkit.modes.remove import Remove
    from dragonkit.modes.resize import Resize
    from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Features, Reference
    from dragonkit.plugins.card import ModelCard
    from dragonkit.plugins.inversion import Inversion
    from dragonkit.plugins.placement import Placement
    from dragonkit.plugins.registry import register
    from dragonkit.plugins.selector import Selector
    from dragonkit.plugins.specs import hookimpl
else:

    def _elsewhere(name: str) -> str:
        """Where an installed plugin has an edit of that name; looked up only for names that can be classes."""
        from dragonkit.plugins.registry import get_registry

        for edit_type in get_registry().edit_types().values() if name[:1].isupper() else ():
            package = edit_type.__module__.partition(".")[0]
            if edit_type.__name__ == name and package != __name__:
                return f" A plugin has: from {package} import {name}."
        return ""

    __getattr__ = loader(__name__, {**_HOMES, **_OPTIONAL, **_MODULES}, _elsewhere)


def __dir__() -> list[str]:
    return sorted([*__all__, *_OPTIONAL])
