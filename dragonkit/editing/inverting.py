"""An inversion as an edit's settings ask for it: called, checked, and named by what its outcome depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone, Condition
from dragonkit.diffusion.inversion import Progress
from dragonkit.diffusion.replay import Replay
from dragonkit.diffusion.schedule import Schedule
from dragonkit.edits.settings import Settings
from dragonkit.errors import DragonkitError, PluginHookError
from dragonkit.imaging.photos import Photo
from dragonkit.plugins.inversion import Inversion
from dragonkit.plugins.loading import Plugin
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.words import short

__all__ = ["Inverting"]


class Inverting:
    """An inversion as the settings ask for it.

    Attributes:
        fields: those of `Settings` that say how the source was made.
    """

    def __init__(self, registry: PluginRegistry, settings: Settings):
        self._plugin, self._inversion = registry.inversion(settings.inversion)
        self._options = self._inversion.options_of(settings)
        self.stepwise = self._inversion.stepwise
        how = ("inversion", "inversion_iterations", "inversion_options", "working_size")
        self.fields: dict[str, Any] = {name: getattr(settings, name) for name in how}
        self._named = [settings.steps, self._inversion.name, self._options.model_dump_json(), settings.working_size]
        if self._inversion.bound:
            self.fields["guidance_scale"] = self._options.guidance_scale  # type: ignore[attr-defined]

    def key(self, photo: Photo, prompt: str) -> str:
        """Names what comes of a picture and its words: all that the outcome depends on, hashed."""
        return hashlib.sha256(json.dumps([photo.hash, photo.kind, prompt, *self._named]).encode()).hexdigest()

    def climbed(
        self, backbone: Backbone, clean: Tensor, condition: Condition, schedule: Schedule, progress: Progress | None
    ) -> tuple[Tensor, Replay]:
        """The levels of the schedule and what is to be replayed. What `progress` raises is no plugin's fault."""
        callers = list[Exception]()

        def report(done: int, of: int) -> None:
            try:
                if progress is not None:
                    progress(done, of)
            except Exception as error:
                callers.append(error)
                raise

        way = partial(self._inversion.function, backbone, clean, condition, schedule, self._options, report)
        try:
            return _checked(self._plugin, self._inversion, way, clean, schedule)
        except PluginHookError as error:
            if error.__cause__ in callers:
                raise error.__cause__ from None  # type: ignore[misc]
            raise


def _checked(plugin: Plugin, inversion: Inversion, way: Callable[[], object], clean: Tensor, schedule: Schedule) -> tuple[Tensor, Replay]:
    """The trajectory, and what is to be replayed. PluginHookError when the inversion fails or gives something else."""
    what = f"the inversion {inversion.name!r} of its hook dragonkit_inversions"
    with plugin.blamed(what, DragonkitError):
        given = way()
    trajectory, replay = given if isinstance(given, tuple) and len(given) == 2 else (given, Replay())
    shape = (len(schedule) + 1, *clean.shape[1:])
    if not isinstance(trajectory, Tensor) or tuple(trajectory.shape) != shape:
        got = f"a tensor {tuple(trajectory.shape)}" if isinstance(trajectory, Tensor) else short(trajectory)
        raise PluginHookError(
            plugin.name, plugin.origin, f"{what} must give a tensor {shape}, z_0 to z_T, but gave {got}. Mend the plugin."
        )
    if not isinstance(replay, Replay) or len(replay.negatives) not in (0, len(schedule)):
        got = short(replay) if not isinstance(replay, Replay) else f"one with {len(replay.negatives)} negatives"
        raise PluginHookError(
            plugin.name,
            plugin.origin,
            f"{what} must give a Replay beside the trajectory, with {len(schedule)} negatives or none, but gave {got}. Mend the plugin.",
        )
    if not torch.isfinite(trajectory).all():
        raise PluginHookError(plugin.name, plugin.origin, f"{what} gave latents that are NaN or infinite.")
    return trajectory.detach(), replay
