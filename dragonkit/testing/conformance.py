"""The rules of plugins as one call: `check_plugin`."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping, Sequence

import numpy as np
import typer

from dragonkit.diffusion.source import Source
from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.errors import ImageError
from dragonkit.modes.move import Move
from dragonkit.testing.answers import check_answers, check_terms
from dragonkit.testing.failures import failure, failures
from dragonkit.testing.fields import check_fields, check_round_trip, image_size_of
from dragonkit.testing.isolated import isolated_registry, tiny_editor
from dragonkit.testing.loading import check_hooks, check_import
from dragonkit.testing.results import check_result, noisy_picture
from dragonkit.words import short

__all__ = ["check_plugin"]

Size = tuple[int, int]
DEFAULT_SIZE = (48, 32)


def check_plugin(plugin: object, examples: Sequence[Edit] = (), size: Size | None = None) -> None:
    """Check that a plugin keeps dragonkit's rules, by itself and beside the built-in modes, on a tiny model.

    - The module imports without torch, and every hook has a right name and right arguments.
    - Every mode and every field says what it is. Every mode has an example, and one of a picture that is not square.
    - Every example survives an edit file. It has a target, whose content lies in a picture, or takes something away, and answers alike
      every time.
    - Energies are finite scalars with right gradients; initial latents, attention plan, reference and draft fit the picture.
    - The finished edit changes the target and nothing outside the edit's region, and comes out the same when it is run again.
    - Edits of other modes still run, models can be listed and commands added.

    A mode whose class says `scriptable: ClassVar[bool] = False` need not survive an edit file.

    Args:
        plugin: as for `isolated_registry`: a module, an object, or a name such as "dragonkit_rotate" or "dragonkit_rotate:plugin".
        examples: edits that must work: of the plugin's modes, and of built-in ones if it adds energies to those.
        size: (width, height) of the examples' pictures; by default that of the first mask, or 48 x 32 where an edit has none.

    Raises:
        AssertionError: a rule is broken; one sentence says which, and names plugin and hook.

    Example:
        def test_it_keeps_the_rules_of_plugins():
            check_plugin("dragonkit_rotate", [Rotate(mask=mask, degrees=30)])
    """
    with failures():
        check_import(plugin)
        plugin = pkgutil.resolve_name(plugin) if isinstance(plugin, str) else plugin
        alone, beside = isolated_registry(plugin, builtin=False), tiny_editor(plugin)
        described, modes = alone.describe()[0], alone.edit_types()
        name = str(described["name"])
        check_hooks(plugin, name)
        for edit_type in modes.values():
            check_fields(name, edit_type)
        beside.registry.models()
        beside.registry.inversions()
        beside.registry.commands(typer.Typer())
        for edit in examples:
            if not isinstance(edit, Edit):
                raise failure(name, "dragonkit_edits", f"the example {short(edit)} is no edit; give instances of the mode's class")
            beside.registry.owner(edit.mode)
            if edit.mode in modes:
                check_round_trip(name, edit)
        sizes = [size or image_size_of(edit) or DEFAULT_SIZE for edit in examples]
        _check_examples(name, modes, described["hooks"], examples, sizes)

        by_itself = Editor(beside.backbone, beside.card, alone)
        for edit, image_size in zip(examples, sizes, strict=True):
            source = beside.invert(noisy_picture(image_size), check=False)
            editor = by_itself if edit.mode in modes else beside
            reference = _reference(name, beside, edit)
            if edit.mode in modes:
                check_answers(name, alone, edit, source, reference)
            check_terms(name, editor.registry, edit, image_size, None if reference is None else reference.image_size)
            check_result(name, [editor, beside], edit, source)
        _check_bystander(name, beside)


def _check_examples(
    name: str, modes: Mapping[str, type[Edit]], hooks: Sequence[str], examples: Sequence[Edit], sizes: Sequence[Size]
) -> None:
    """There are examples enough to check what the plugin does."""
    if "dragonkit_energy_terms" in hooks and not examples:
        raise failure(name, "dragonkit_energy_terms", "there is no example to check it with; give check_plugin an edit of any mode")
    for mode in modes:
        of_mode = [size for size, edit in zip(sizes, examples, strict=True) if edit.mode == mode]
        if not of_mode:
            raise failure(name, "dragonkit_edits", f"the mode {mode!r} has no example; give check_plugin an edit of it")
        if all(width == height for width, height in of_mode):
            raise failure(name, "dragonkit_edits", f"every example of {mode!r} is square, and would not show x and y mixed up; add one")


def _reference(name: str, editor: Editor, edit: Edit) -> Source | None:
    """The edit's second picture, inverted, where there is one."""
    reference = editor.registry.reference(edit)
    try:
        return None if reference is None else editor.invert(reference.image, reference.prompt or "", check=False)
    except ImageError as error:
        raise failure(name, "dragonkit_reference", f"for {edit!r} {error}") from error


def _check_bystander(name: str, beside: Editor) -> None:
    """An edit that is not the plugin's runs as ever: collecting hooks are asked of it as well."""
    mask = np.zeros(DEFAULT_SIZE[::-1], bool)
    mask[8:20, 6:18] = True
    edit = Move(mask=mask, shift=(16, 4))
    check_terms(name, beside.registry, edit, DEFAULT_SIZE)
    beside.edit(beside.invert(noisy_picture(DEFAULT_SIZE), check=False), edit)
