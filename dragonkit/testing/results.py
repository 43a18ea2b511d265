"""Whether a finished edit changes what it says, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dragonkit.diffusion.source import Source
from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.testing.failures import failure

__all__ = ["check_result", "noisy_picture"]

HOOK = "dragonkit_build_masks"


def noisy_picture(size: tuple[int, int]) -> np.ndarray:
    """A picture in which no two places look alike: uint8 (H, W, 3) of `size` (width, height), always the same."""
    return np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)


def check_result(plugin: str, editors: Sequence[Editor], edit: Edit, source: Source) -> None:
    """Run the edit with every editor: the picture changes in the target, or where all is taken away, stays outside the region, and is the
    same every time."""
    results = [editor.edit(source, edit) for editor in editors]
    pictures = [np.asarray(result.image) for result in results]
    changed = (pictures[0] != source.pixels).any(axis=2)
    placement = editors[0].registry.build_masks(edit, source.image_size)
    if not changed[placement.target if placement.target.any() else placement.source].any():
        raise failure(plugin, HOOK, f"{edit!r} changes no pixel of its target; give an example that does, or refuse it with an EditError")
    if lost := int((changed & (results[0].region == 0)).sum()):
        raise failure(plugin, HOOK, f"{edit!r} changes {lost} pixels outside its region; whatever may change must not be in `preserve`")
    if not all(np.array_equal(pictures[0], other) for other in pictures[1:]):
        raise failure(
            plugin, HOOK, f"{edit!r} gives another picture the second time, beside the built-in modes; seed what is random, keep no state"
        )
