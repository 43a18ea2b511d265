"""Where sources come from: pictures inverted, pictures generated, and what the engine keeps of either."""

from __future__ import annotations

import hashlib
import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone, Prediction
from dragonkit.diffusion.inversion import Progress, sample
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
        self._inversions: OrderedDict[str, Source] = OrderedDict()
        self._banks: WeakKeyDictionary[Source, dict[tuple[int, tuple[str, ...]], Prediction]] = WeakKeyDictionary()

    def invert(self, photo: Photo, prompt: str, settings: Settings, check: bool, progress: Progress | None) -> Source:
        """The picture's source, as `Editor.invert` says."""
        plugin, inversion = self.registry.inversion(settings.inversion)
        picture, options = photo.picture, inversion.options_of(settings)
        made_with = {"steps": settings.steps, "inversion": inversion.name, "options": options.model_dump_json(), "check": check}
        key = _digest(photo, {**made_with, "prompt": prompt})
        if key in self._inversions:
            self._inversions.move_to_end(key)
            return self._inversions[key]
        backbone, size = self.backbone, fit_size(picture.size, self.backbone.model_size, self.backbone.size_multiple)
        schedule = backbone.schedule(settings.steps, size)
        condition, negative = (backbone.condition([words], size) for words in (prompt, ""))
        total, callers = len(schedule) * (2 if check else 1), list[Exception]()

        def report(offset: int, done: int, _: int) -> None:
            try:
                if progress is not None:
                    progress(offset + done, total)
            except Exception as error:
                callers.append(error)
                raise

        clean = backbone.encode(to_tensor(picture, size))
        way = partial(inversion.function, backbone, clean, condition, schedule, options, partial(report, 0))
        try:
            trajectory = _checked(plugin, inversion, way, clean, schedule)
        except PluginHookError as error:
            if error.__cause__ in callers:  # what the caller's progress raises is no plugin's fault
                raise error.__cause__ from None  # type: ignore[misc]
            raise
        reconstruction_psnr, autoencoder_psnr = None, psnr(to_image(backbone.decode(clean), picture.size), picture)
        if check:
            back = sample(backbone, trajectory[-1:], condition, negative, schedule, progress=partial(report, len(schedule)))
            reconstruction_psnr = psnr(to_image(backbone.decode(back[:1]), picture.size), picture)
        inverted_with = {name: getattr(settings, name) for name in ("inversion", "inversion_iterations", "inversion_options")}
        source = Source(
            trajectory,
            schedule,
            prompt,
            condition,
            negative,
            photo.rgb,
            size,
            reconstruction_psnr,
            autoencoder_psnr,
            inverted_with=inverted_with,
            photo=photo,
        )
        self._inversions[key] = source
        while len(self._inversions) > KEPT_INVERSIONS:
            self._inversions.popitem(last=False)
        return source

    def generate(self, prompt: str, seed: int, settings: Settings, progress: Progress | None) -> Source:
        """A new picture, as `Editor.generate` says."""
        backbone, side = self.backbone, self.backbone.model_size
        size, cells = (side, side), side // self.backbone.pixels_per_latent
        schedule = backbone.schedule(settings.steps, size)
        condition, negative = (backbone.condition([words], size) for words in (prompt, ""))
        # drawn on the CPU, so that a seed gives the same picture on every machine
        noise = torch.randn(1, backbone.latent_channels, cells, cells, generator=torch.Generator().manual_seed(seed))
        noise = noise.to(backbone.device, backbone.dtype)
        trajectory = sample(backbone, noise, condition, negative, schedule, settings.guidance_scale, progress)
        image = to_image(backbone.decode(trajectory[:1]))
        return Source(trajectory, schedule, prompt, condition, negative, np.asarray(image), size, seed=seed)

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

    def forget(self) -> None:
        """Let go of what was kept of the guidance branches; inversions stay remembered."""
        self._banks.clear()


def _digest(photo: Photo, made_with: dict[str, object]) -> str:
    """Names an inversion: the picture, and all that its outcome depends on."""
    text = json.dumps([photo.hash, photo.kind, made_with], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _checked(plugin: Plugin, inversion: Inversion, way: Callable[[], object], clean: Tensor, schedule: Schedule) -> Tensor:
    """The trajectory. PluginHookError when the inversion fails or gives something else."""
    what = f"the inversion {inversion.name!r} of its hook dragonkit_inversions"
    with plugin.blamed(what, DragonkitError):
        trajectory = way()
    shape = (len(schedule) + 1, *clean.shape[1:])
    if not isinstance(trajectory, Tensor) or tuple(trajectory.shape) != shape:
        got = f"a tensor {tuple(trajectory.shape)}" if isinstance(trajectory, Tensor) else short(trajectory)
        raise PluginHookError(
            plugin.name, plugin.origin, f"{what} must give a tensor {shape}, z_0 to z_T, but gave {got}. Mend the plugin."
        )
    if not torch.isfinite(trajectory).all():
        raise PluginHookError(plugin.name, plugin.origin, f"{what} gave latents that are NaN or infinite.")
    return trajectory.detach()
