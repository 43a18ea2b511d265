"""Edits of random scenes with their known answers: what demo and benchmark run."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dragonkit.toybox.scenes import Scene, scene

__all__ = ["MoveTask", "move_task"]

NEAREST, FARTHEST = 0.25, 0.55
"""How far objects are moved, as fractions of the picture's side."""


@dataclass(frozen=True, eq=False)
class MoveTask:
    """Move the front object of a scene by whole pixels; `answer` is the scene rendered with it there.

    Masks are bool (H, W): `source` and `target` where the object is seen before and after, `vacated` what it uncovers,
    `elsewhere` all that neither of them covers.
    """

    seed: int
    scene: Scene
    answer: Scene
    index: int
    shift: tuple[int, int]

    @property
    def source(self) -> np.ndarray:
        return self.scene.objects[self.index].mask

    @property
    def target(self) -> np.ndarray:
        return self.answer.objects[self.index].mask

    @property
    def vacated(self) -> np.ndarray:
        return self.source & ~self.target

    @property
    def elsewhere(self) -> np.ndarray:
        covered = (self.scene.objects[self.index].coverage > 0) | (self.answer.objects[self.index].coverage > 0)
        return ~covered


def move_task(seed: int, size: int = 64, objects: int | None = None) -> MoveTask:
    """The task of a seed: always the same scene, and a random shift that leaves the whole object in the picture.

    Args:
        seed: of scene and shift.
        size: pixels a side.
        objects: 1 to 3, or random.
    """
    picture = scene(seed, size, objects)
    index = len(picture.objects) - 1  # the front one: where it goes does not depend on what it would hide behind
    rng = np.random.default_rng(seed)
    rows, columns = np.nonzero(picture.objects[index].mask)
    room = np.array([[-columns.min(), size - 1 - columns.max()], [-rows.min(), size - 1 - rows.max()]])
    candidates = rng.integers(room[:, 0], room[:, 1] + 1, size=(256, 2))
    length = np.hypot(*candidates.T)
    # the first that is neither too short nor too long, else the one that comes nearest
    misfit = np.maximum(NEAREST * size - length, 0) + np.maximum(length - FARTHEST * size, 0)
    dx, dy = (int(part) for part in candidates[np.argmin(misfit)])
    return MoveTask(seed, picture, picture.moved(index, (dx, dy)), index, (dx, dy))
