"""Toybox: pictures of a small world of flat-shaded objects in which the right answer to every edit is known.

    from dragonkit import toybox
    scene = toybox.scene(seed=7, size=128)
    scene.moved(0, (20, 0)).image

A scene is numbers; a picture is a rendering of them; an edit changes the numbers. `sample`, `render` and `captions` do the same for whole
batches, for training.
"""

from dragonkit.toybox.drawing.colors import COLORS, PATTERNS
from dragonkit.toybox.drawing.objects import CATEGORIES
from dragonkit.toybox.drawing.rendering import render, render_with_masks
from dragonkit.toybox.parameters import SceneBatch, sample
from dragonkit.toybox.scenes import Scene, SceneObject, scene
from dragonkit.toybox.sentences import captions, vocabulary

__all__ = [
    "CATEGORIES",
    "COLORS",
    "PATTERNS",
    "Scene",
    "SceneBatch",
    "SceneObject",
    "captions",
    "render",
    "render_with_masks",
    "sample",
    "scene",
    "vocabulary",
]
