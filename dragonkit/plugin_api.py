"""Everything that a plugin needs, from one place: the one stable import for plugin packages and exported scripts.

    from dragonkit.plugin_api import Edit, EnergyTerm, hookimpl, load_mask

Names are loaded when they are first used. Those of `dragonkit.energy` and `dragonkit.diffusion`, and `warp`, load torch: import them
inside the functions that need them, since a plugin's module must import without it. What tests need is in `dragonkit.testing`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragonkit.lazy import loader

_HOMES = {
    "AttentionPlan": "plugins.answers",
    "Backbone": "diffusion.backbone",
    "Box": "plugins.selector",
    "Cancelled": "errors",
    "Cells": "energy.cells",
    "Click": "plugins.selector",
    "ContrastWeight": "modes.moving",
    "DragonkitError": "errors",
    "Edit": "edits.edit",
    "EditError": "errors",
    "EditFile": "edits.file",
    "EditFileError": "errors",
    "EditMasks": "plugins.answers",
    "EditWeight": "modes.moving",
    "EnergyTerm": "plugins.answers",
    "Features": "plugins.answers",
    "Fill": "modes.moving",
    "Grid": "imaging.masks",
    "ImageError": "errors",
    "InpaintWeight": "modes.moving",
    "Inversion": "plugins.inversion",
    "InversionOptions": "plugins.inversion",
    "Mask": "edits.values",
    "MaskError": "errors",
    "ModelCard": "plugins.card",
    "ModelError": "errors",
    "ModelNotFoundError": "errors",
    "MovingEdit": "modes.moving",
    "ObjectMask": "modes.moving",
    "Options": "plugins.selector",
    "Picture": "edits.values",
    "Placement": "plugins.placement",
    "PluginRegistry": "plugins.registry",
    "PointError": "errors",
    "Points": "edits.values",
    "Prediction": "diffusion.backbone",
    "PreserveWeight": "modes.moving",
    "Reference": "plugins.answers",
    "ReferenceMask": "modes.referring",
    "ReferencePicture": "modes.referring",
    "ReferencePrompt": "modes.referring",
    "ReferringEdit": "modes.referring",
    "Region": "edits.values",
    "Replay": "diffusion.replay",
    "Schedule": "diffusion.schedule",
    "Selector": "plugins.selector",
    "ShapeError": "errors",
    "Shift": "edits.values",
    "UnsupportedModelError": "errors",
    "affine_about": "imaging.affine",
    "affine_through": "imaging.affine",
    "bounding_box": "imaging.masks",
    "cell_coverage": "imaging.masks",
    "center_of": "imaging.masks",
    "contrast": "energy.terms",
    "dilate": "imaging.masks",
    "erode": "imaging.masks",
    "feather": "imaging.masks",
    "gather": "energy.similarity",
    "get_registry": "plugins.registry",
    "global_similarity": "energy.similarity",
    "hookimpl": "plugins.specs",
    "identity_correspondence": "plugins.answers",
    "inpaint": "energy.terms",
    "inverse_affine": "imaging.affine",
    "inverse_energy": "energy.similarity",
    "load_image": "imaging.images",
    "load_mask": "imaging.masks",
    "load_reference_mask": "modes.referring",
    "local_similarity": "energy.similarity",
    "map_points": "imaging.affine",
    "moved_along": "modes.geometry",
    "moving_terms": "energy.terms",
    "preserve": "energy.terms",
    "reference_attention": "modes.referring",
    "reference_features": "modes.referring",
    "register": "plugins.registry",
    "resemble_source": "energy.terms",
    "shift_mask": "imaging.masks",
    "source_attention": "modes.moving",
    "to_grid": "imaging.masks",
    "vacating_terms": "energy.terms",
    "warp": "imaging.lookup",
    "warp_mask": "imaging.affine",
}

__all__ = [
    "AttentionPlan",
    "Backbone",
    "Box",
    "Cancelled",
    "Cells",
    "Click",
    "ContrastWeight",
    "DragonkitError",
    "Edit",
    "EditError",
    "EditFile",
    "EditFileError",
    "EditMasks",
    "EditWeight",
    "EnergyTerm",
    "Features",
    "Fill",
    "Grid",
    "ImageError",
    "InpaintWeight",
    "Inversion",
    "InversionOptions",
    "Mask",
    "MaskError",
    "ModelCard",
    "ModelError",
    "ModelNotFoundError",
    "MovingEdit",
    "ObjectMask",
    "Options",
    "Picture",
    "Placement",
    "PluginRegistry",
    "PointError",
    "Points",
    "Prediction",
    "PreserveWeight",
    "Reference",
    "ReferenceMask",
    "ReferencePicture",
    "ReferencePrompt",
    "ReferringEdit",
    "Region",
    "Replay",
    "Schedule",
    "Selector",
    "ShapeError",
    "Shift",
    "UnsupportedModelError",
    "affine_about",
    "affine_through",
    "bounding_box",
    "cell_coverage",
    "center_of",
    "contrast",
    "dilate",
    "erode",
    "feather",
    "gather",
    "get_registry",
    "global_similarity",
    "hookimpl",
    "identity_correspondence",
    "inpaint",
    "inverse_affine",
    "inverse_energy",
    "load_image",
    "load_mask",
    "load_reference_mask",
    "local_similarity",
    "map_points",
    "moved_along",
    "moving_terms",
    "preserve",
    "reference_attention",
    "reference_features",
    "register",
    "resemble_source",
    "shift_mask",
    "source_attention",
    "to_grid",
    "vacating_terms",
    "warp",
    "warp_mask",
]

if TYPE_CHECKING:
    from dragonkit.diffusion.backbone import Backbone, Prediction
    from dragonkit.diffusion.replay import Replay
    from dragonkit.diffusion.schedule import Schedule
    from dragonkit.edits.edit import Edit
    from dragonkit.edits.file import EditFile
    from dragonkit.edits.values import Mask, Picture, Points, Region, Shift
    from dragonkit.energy.cells import Cells
    from dragonkit.energy.similarity import gather, global_similarity, inverse_energy, local_similarity
    from dragonkit.energy.terms import contrast, inpaint, moving_terms, preserve, resemble_source, vacating_terms
    from dragonkit.errors import (
        Cancelled,
        DragonkitError,
        EditError,
        EditFileError,
        ImageError,
        MaskError,
        ModelError,
        ModelNotFoundError,
        PointError,
        ShapeError,
        UnsupportedModelError,
    )
    from dragonkit.imaging.affine import affine_about, affine_through, inverse_affine, map_points, warp_mask
    from dragonkit.imaging.images import load_image
    from dragonkit.imaging.lookup import warp
    from dragonkit.imaging.masks import Grid, bounding_box, cell_coverage, center_of, dilate, erode, feather, load_mask, shift_mask, to_grid
    from dragonkit.modes.geometry import moved_along
    from dragonkit.modes.moving import (
        ContrastWeight,
        EditWeight,
        Fill,
        InpaintWeight,
        MovingEdit,
        ObjectMask,
        PreserveWeight,
        source_attention,
    )
    from dragonkit.modes.referring import (
        ReferenceMask,
        ReferencePicture,
        ReferencePrompt,
        ReferringEdit,
        load_reference_mask,
        reference_attention,
        reference_features,
    )
    from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Features, Reference, identity_correspondence
    from dragonkit.plugins.card import ModelCard
    from dragonkit.plugins.inversion import Inversion, InversionOptions
    from dragonkit.plugins.placement import Placement
    from dragonkit.plugins.registry import PluginRegistry, get_registry, register
    from dragonkit.plugins.selector import Box, Click, Options, Selector
    from dragonkit.plugins.specs import hookimpl
else:
    __getattr__ = loader(__name__, _HOMES)
