"""Registries and editors that see only what a test gives them, whatever is installed on the machine."""

from __future__ import annotations

import pkgutil

from dragonkit.diffusion import inversions
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.editor import Editor
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import BUILTIN, PluginRegistry
from dragonkit.testing.tiny import tiny_pipeline

__all__ = ["isolated_registry", "tiny_editor"]

CARD = ModelCard("tiny", "dragonkit.testing", "random weights", {"steps": 5, "inversion_iterations": 1})


def isolated_registry(*plugins: object, builtin: bool = True) -> PluginRegistry:
    """A registry with these plugins and the built-in ones; installed plugins are not looked for, and nothing broken is skipped.

    Args:
        plugins: modules or objects with hooks, or names as an entry point has them: "dragonkit_rotate", "dragonkit_rotate:plugin".
            A built-in module given here is registered once.
        builtin: whether dragonkit's own modes, models and selectors are in it, too; its inversions are in any case.

    Raises:
        PluginLoadError: a plugin breaks a rule, such as a misspelled hook.
        ImportError, AttributeError: a name leads nowhere.

    Example:
        registry = isolated_registry("dragonkit_rotate")
        registry.build_masks(Rotate(mask=mask, degrees=30), size=(64, 64))
    """
    given = [pkgutil.resolve_name(plugin) if isinstance(plugin, str) else plugin for plugin in plugins]
    names = {getattr(plugin, "__name__", None) for plugin in given}
    registry = PluginRegistry(builtin=[name for name in BUILTIN if builtin and name not in names], discover=False, strict=True)
    for plugin in given:
        registry.register(plugin)
    if not builtin and inversions not in given:
        registry.register(inversions, "inversions")
    return registry


def tiny_editor(*plugins: object, builtin: bool = True) -> Editor:
    """An editor on `tiny_pipeline()` and `isolated_registry(*plugins, builtin=builtin)`; an edit takes 5 steps by default.

    What it paints is noise. Still true are masks, energies, what stays as it was, sizes, reports and errors.

    Example:
        result = tiny_editor("dragonkit_rotate").edit(picture, Rotate(mask=mask, degrees=30))
    """
    return Editor(StableDiffusion(tiny_pipeline()), CARD, isolated_registry(*plugins, builtin=builtin))
