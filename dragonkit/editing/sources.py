"""Where sources come from: pictures inverted, pictures generated, and what the engine keeps of either."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone, Condition, Prediction
from dragonkit.diffusion.inversion import Progress, sample
from dragonkit.diffusion.lending import state_of
from dragonkit.diffusion.reconstruction import reconstructed
from dragonkit.diffusion.replay import Replay, missed
from dragonkit.diffusion.schedule import Schedule
from dragonkit.diffusion.source import Source
from dragonkit.edits.settings import Settings
from dragonkit.errors import DragonkitError, PluginHookError
from dragonkit.imaging.images import fit_size, psnr, to_image, to_tensor
from dragonkit.imaging.photos import Photo
from dragonkit.plugins.inversion import Inversion
from dragonkit.plugins.loading import Plugin
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.words import short

__all__ = ["Sources"]

KEPT_INVERSIONS = 8


class Sources:
    """Makes sources with one backbone, and remembers the last few inversions and what later edits of them need.

    Only what was finished is remembered.
    """

    def __init__(self, backbone: Backbone, registry: PluginRegistry):
        self.backbone, self.registry = backbone, registry
        self._state = ""
        self._inversions: OrderedDict[str, Source] = OrderedDict()
        self._banks: WeakKeyDictionary[Source, dict[tuple[int, tuple[str, ...]], Prediction]] = WeakKeyDictionary()
        self._negatives: WeakKeyDictionary[Source, dict[int, Tensor]] = WeakKeyDictionary()

    def renew(self) -> None:
        """Let go of all that the model made when it was another one: without this LoRA, say. Called before every call."""
        state = state_of(self.backbone)
        if state != self._state:
            self._inversions.clear()
            self.forget()
            self._state = state

    def invert(self, photo: Photo, prompt: str, settings: Settings, check: bool, progress: Progress | None) -> Source:
        """The picture's source, as `Editor.invert` says."""
        plugin, inversion = self.registry.inversion(settings.inversion)
        picture, options = photo.picture, inversion.options_of(settings)
        made_with = {
            "steps": settings.steps,
            "inversion": inversion.name,
            "options": options.model_dump_json(),
            "check": check,
            "size": settings.working_size,
        }
        key = _digest(photo, {**made_with, "prompt": prompt})
        if key in self._inversions:
            self._inversions.move_to_end(key)
            return self._inversions[key]
        backbone, size = self.backbone, _working_size(picture.size, self.backbone, settings)
        schedule = backbone.schedule(settings.steps, size)
        condition, negative = (backbone.condition([words], size) for words in (prompt, ""))
        to_check, spent, callers = len(schedule) if check else 0, 0, list[Exception]()

        def report(done: int, of: int) -> None:
            nonlocal spent
            spent = of
            try:
                if progress is not None:
                    progress(done, of + to_check)
            except Exception as error:
                callers.append(error)
                raise

        clean = backbone.encode(to_tensor(picture, size))
        way = partial(inversion.function, backbone, clean, condition, schedule, options, report)
        try:
            trajectory, replay = _checked(plugin, inversion, way, clean, schedule)
        except PluginHookError as error:
            if error.__cause__ in callers:  # what the caller's progress raises is no plugin's fault
                raise error.__cause__ from None  # type: ignore[misc]
            raise
        inverted_with = {
            name: getattr(settings, name) for name in ("inversion", "inversion_iterations", "inversion_options", "working_size")
        }
        if inversion.bound:
            inverted_with["guidance_scale"] = options.guidance_scale  # type: ignore[attr-defined]
        source = Source(
            trajectory,
            schedule,
            prompt,
            condition,
            negative,
            photo.rgb,
            size,
            autoencoder_psnr=psnr(to_image(backbone.decode(clean), picture.size), picture),
            inverted_with=inverted_with,
            replay=replay,
            state=self._state,
            photo=photo,
        )
        if check:
            told = None if progress is None else lambda step: progress(spent + step.done, spent + to_check)
            back = reconstructed(backbone, source, inverted_with.get("guidance_scale", 1.0), told)
            source = dataclasses.replace(source, reconstruction_psnr=psnr(to_image(backbone.decode(back), picture.size), picture))
        self._inversions[key] = source
        while len(self._inversions) > KEPT_INVERSIONS:
            self._inversions.popitem(last=False)
        return source

    def generate(self, prompt: str, seed: int, settings: Settings, progress: Progress | None) -> Source:
        """A new picture, as `Editor.generate` says."""
        backbone, side = self.backbone, settings.working_size or self.backbone.model_size
        size = _working_size((side, side), backbone, settings)
        cells = size[0] // backbone.pixels_per_latent
        schedule = backbone.schedule(settings.steps, size)
        condition, negative = (backbone.condition([words], size) for words in (prompt, ""))
        # drawn on the CPU, so that a seed gives the same picture on every machine
        noise = torch.randn(1, backbone.latent_channels, cells, cells, generator=torch.Generator().manual_seed(seed))
        noise = noise.to(backbone.device, backbone.dtype)
        trajectory = sample(backbone, noise, condition, negative, schedule, settings.guidance_scale, progress)
        image = to_image(backbone.decode(trajectory[:1]))
        under = settings.guidance_scale
        made: dict[str, Any] = {"seed": seed, "guidance_scale": under, "state": self._state}
        made["inverted_with"] = {"working_size": settings.working_size}
        return Source(trajectory, schedule, prompt, condition, negative, np.asarray(image), size, **made)

    def guides(self, sources: Sequence[Source], settings: Settings) -> Callable[[int], list[Prediction]]:
        """The guidance branch at a noise level: one prediction for each different source, in their order."""
        ways = [self.guide(source, settings) for source in dict.fromkeys(sources)]
        return lambda level: [way(level) for way in ways]

    def guide(self, source: Source, settings: Settings) -> Callable[[int], Prediction]:
        """The guidance branch by noise level: recorded once per source, or computed every time, as `settings.memory` says."""

        @torch.no_grad()
        def guide(level: int) -> Prediction:
            bank = self._banks.get(source, {})
            if (level, settings.layers) in bank:
                return bank[level, settings.layers]
            time = source.schedule.time(level)
            seen = self.backbone.predict(source.latents_at(level), time, source.condition, features=settings.layers, record=True)
            if settings.memory == "bank":
                self._banks.setdefault(source, {})[level, settings.layers] = seen
            return seen

        return guide

    def misses(self, settings: Settings) -> Callable[[Source, int], Tensor]:
        """(source, level) -> what the source's own step down from there misses, under the settings' guidance: (1, c, h, w)."""

        @torch.no_grad()
        def miss(source: Source, level: int) -> Tensor:
            noise_pred, negative = self.guide(source, settings)(level).noise_pred, source.replay.negative(level, source.negative_condition)
            if settings.guidance_scale > 1 and negative is not source.condition:
                unconditional = self._unconditional(source, level, negative, settings)
                noise_pred = unconditional + settings.guidance_scale * (noise_pred - unconditional)
            return missed(source.schedule, source.trajectory, noise_pred, level, source.replay.eta)

        return miss

    def _unconditional(self, source: Source, level: int, negative: Condition, settings: Settings) -> Tensor:
        """The noise at a level of the source without its words; kept as `settings.memory` says."""
        bank = self._negatives.setdefault(source, {})
        if level in bank:
            return bank[level]
        noise_pred = self.backbone.predict(source.latents_at(level), source.schedule.time(level), negative).noise_pred
        if settings.memory == "bank":
            bank[level] = noise_pred
        return noise_pred

    def forget(self) -> None:
        """Let go of what was kept of the guidance branches; inversions stay remembered."""
        self._banks.clear()
        self._negatives.clear()


def _working_size(size: tuple[int, int], backbone: Backbone, settings: Settings) -> tuple[int, int]:
    """(width, height) at which the model works on a picture of `size`."""
    return fit_size(size, settings.working_size or backbone.model_size, backbone.size_multiple)


def _digest(photo: Photo, made_with: dict[str, object]) -> str:
    """Names an inversion: the picture, and all that its outcome depends on."""
    text = json.dumps([photo.hash, photo.kind, made_with], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


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
