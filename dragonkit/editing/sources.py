"""Where sources come from: pictures inverted, pictures generated, and what the engine keeps of either."""

from __future__ import annotations

import copy
import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
from torch import Tensor

from dragonkit.diffusion.backbone import Backbone, Condition, Prediction
from dragonkit.diffusion.bank import bank_on
from dragonkit.diffusion.inversion import Progress, sample
from dragonkit.diffusion.lending import lent, state_of
from dragonkit.diffusion.overhearing import Answer, Overheard
from dragonkit.diffusion.reconstruction import reconstructed
from dragonkit.diffusion.replay import Replay, missed
from dragonkit.diffusion.schedule import Part, Schedule
from dragonkit.diffusion.source import Levels, Source, Way
from dragonkit.diffusion.turns import turn_on
from dragonkit.editing.arguments import refuse_changed
from dragonkit.editing.inverting import Inverting
from dragonkit.edits.settings import Settings
from dragonkit.imaging.images import fit_size, psnr, to_image, to_tensor
from dragonkit.imaging.photos import Photo
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["Sources"]

KEPT_INVERSIONS = 8
SEEN_CLOSE = 0.005
"""RMS of the difference between two latents, as a fraction of theirs, up to which what the network saw of one stands for the other."""


class Sources:
    """Makes sources with one backbone, and remembers the last few inversions and what later edits of them need.

    Only what was finished is remembered.
    """

    def __init__(self, backbone: Backbone, registry: PluginRegistry):
        self.backbone, self.registry = backbone, registry
        self._state = ""
        self._inversions: OrderedDict[str, Source] = OrderedDict()
        self._bank = bank_on(backbone.device)
        self._negatives: WeakKeyDictionary[Way, dict[int, Tensor]] = WeakKeyDictionary()

    def on(self, backbone: Backbone) -> Sources:
        """The same memory, with another backbone of the same network."""
        other = copy.copy(self)
        other.backbone = backbone
        return other

    def open(self, photo: Photo, prompt: str, settings: Settings, progress: Progress | None = None) -> Source:
        """The picture's source, whose way to noise is found as far up as somebody asks, where its inversion goes step by step."""
        inversion = Inverting(self.registry, settings)
        key = inversion.key(photo, prompt)
        return self._remembered(key, self._inversions.get(key) or self._begun(inversion, photo, prompt, settings, progress))

    def renew(self) -> None:
        """Let go of all that the model made when it was another one: without this LoRA, say. Called before every call."""
        state = state_of(self.backbone)
        if state != self._state:
            self._inversions.clear()
            self.forget()
            self._state = state

    def invert(self, photo: Photo, prompt: str, settings: Settings, check: bool, progress: Progress | None) -> Source:
        """The picture's source with all of its way, as `Editor.invert` says."""
        inversion, spent = Inverting(self.registry, settings), 0
        key = inversion.key(photo, prompt)
        source = self._inversions.get(key)
        under = inversion.fields.get("guidance_scale", settings.guidance_scale)
        to_check = settings.steps if check and (source is None or source.checked_under != under) else 0

        def report(done: int, of: int) -> None:
            nonlocal spent
            spent = of
            if progress is not None:
                progress(done, of + to_check)

        source = source or self._begun(inversion, photo, prompt, settings, report)
        source.way.upto(len(source.schedule), report)
        if to_check:
            told = None if progress is None else lambda step: progress(spent + step.done, spent + to_check)
            back = reconstructed(self.backbone, source, under, told)
            reached = psnr(to_image(self.backbone.decode(back), photo.picture.size), photo.picture)
            source = dataclasses.replace(source, reconstruction_psnr=reached, checked_under=under)
        return self._remembered(key, source)

    def generate(self, prompt: str, seed: int, settings: Settings, progress: Progress | None) -> Source:
        """A new picture, as `Editor.generate` says; what its edits will need is recorded on the way."""
        backbone, side = self.backbone, settings.working_size or self.backbone.model_size
        size = _working_size((side, side), backbone, settings)
        cells = size[0] // backbone.pixels_per_latent
        schedule = backbone.schedule(settings.steps, size)
        condition, negative = (backbone.condition([words], size) for words in (prompt, ""))
        # drawn on the CPU, so that a seed gives the same picture on every machine
        noise = torch.randn(1, backbone.latent_channels, cells, cells, generator=torch.Generator().manual_seed(seed))
        way = Way(Levels(noise.to(backbone.device, backbone.dtype)))
        levels = {schedule.time(level): level for level in range(1, len(schedule) + 1)}
        if settings.memory != "recompute":
            backbone = Overheard(
                backbone,
                condition,
                lambda time: _guiding(settings, levels[time]),
                lambda _, time, seen: self._keep(way, levels[time], seen, settings),
            )
        trajectory = sample(backbone, way.levels.latents, condition, negative, schedule, settings.guidance_scale, progress)
        way.levels = Levels(trajectory)
        image = to_image(backbone.decode(trajectory[:1]))
        under = settings.guidance_scale
        made: dict[str, Any] = {"seed": seed, "guidance_scale": under, "state": self._state}
        made["inverted_with"] = {"working_size": settings.working_size}
        return Source(way, schedule, prompt, condition, negative, np.asarray(image), size, **made)

    def guides(self, source: Source, references: Sequence[Source], settings: Settings) -> Callable[[int, bool], list[Prediction]]:
        """The guidance branch by noise level: the source's prediction, then one for each different reference, in their order."""
        if settings.memory == "recompute":  # whoever asks for that needs the memory
            self._bank.forget()
        ways = [self.guide(source, settings) for source in (source, *dict.fromkeys(references))]
        return lambda level, guided: [way(level, guided) for way in ways]

    def guide(self, source: Source, settings: Settings) -> Callable[[int, bool], Prediction]:
        """(level, whether features are wanted) -> the guidance branch: recorded once, or computed each time, as `settings.memory` says."""

        @torch.no_grad()
        def guide(level: int, guided: bool) -> Prediction:
            known = self._bank.get(source.way, level) if settings.memory != "recompute" else None
            features = {} if known is None else known.features
            lacking = [layer for layer in settings.layers if guided and layer not in features]
            if known is not None and not lacking:
                return known
            time, latents = source.schedule.time(level), source.seen_at(level)
            seen = self.backbone.predict(latents, time, source.condition, features=lacking, record=known is None)
            if known is not None:
                seen = Prediction(seen.noise_pred, {**known.features, **seen.features}, known.keys_values)
            self._keep(source.way, level, seen, settings)
            return seen

        return guide

    def misses(self, settings: Settings) -> Callable[[Source, int], Tensor]:
        """(source, level) -> what the source's own step down from there misses, under the settings' guidance: (1, c, h, w)."""

        @torch.no_grad()
        def miss(source: Source, level: int) -> Tensor:
            noise_pred = self.guide(source, settings)(level, False).noise_pred
            negative = source.replay.negative(level, source.negative_condition)
            steps = len(source.schedule)
            if steps - level in settings.schedule.led(steps) and settings.guidance_scale > 1 and negative is not source.condition:
                unconditional = self._unconditional(source, level, negative, settings)
                noise_pred = unconditional + settings.guidance_scale * (noise_pred - unconditional)
            return missed(source.schedule, source.way.upto(level).latents, noise_pred, level, source.replay.eta)

        return miss

    @property
    def keeps_anything(self) -> bool:
        """Whether `forget` would free memory."""
        return self._bank.used() + self._bank.used(hosted=True) > 0

    def _keep(self, way: Way, level: int, seen: Prediction, settings: Settings) -> None:
        if settings.memory != "recompute":
            self._bank.put(way, level, seen, on_host=settings.memory == "offload")

    def forget(self) -> None:
        """Let go of what was kept of the guidance branches; inversions stay remembered."""
        self._bank.forget()
        self._negatives.clear()

    def _unconditional(self, source: Source, level: int, negative: Condition, settings: Settings) -> Tensor:
        """The noise at a level of the source without its words; kept as `settings.memory` says."""
        bank = self._negatives.setdefault(source.way, {})
        if level in bank:
            return bank[level]
        noise_pred = self.backbone.predict(source.latents_at(level), source.schedule.time(level), negative).noise_pred
        if settings.memory != "recompute":
            bank[level] = noise_pred
        return noise_pred

    def _remembered(self, key: str, source: Source) -> Source:
        self._inversions[key] = source
        self._inversions.move_to_end(key)
        while len(self._inversions) > KEPT_INVERSIONS:
            self._inversions.popitem(last=False)
        return source

    def _begun(self, inversion: Inverting, photo: Photo, prompt: str, settings: Settings, progress: Progress | None) -> Source:
        """A source of which nothing but the clean end is known yet; all of it, where its inversion goes the whole way only."""
        backbone, picture = self.backbone, photo.picture
        size = _working_size(picture.size, backbone, settings)
        schedule = backbone.schedule(settings.steps, size)
        condition, negative = (backbone.condition([words], size) for words in (prompt, ""))
        clean = backbone.encode(to_tensor(picture, size))
        # no step at all tells what is to be replayed
        first = Part(schedule, 0, 0) if inversion.stepwise else schedule
        trajectory, replay = inversion.climbed(backbone, clean, condition, first, progress)

        state, answers = self._state, list[Answer]()

        def climb(way: Way, level: int, progress: Progress | None) -> Levels:
            with turn_on(backbone), lent(backbone):
                refuse_changed(state, backbone)
                return self._climbed(way, level, inversion, condition, schedule, settings, replay, answers, progress)

        return Source(
            Way(Levels(trajectory), climb),
            schedule,
            prompt,
            condition,
            negative,
            photo.rgb,
            size,
            autoencoder_psnr=psnr(to_image(backbone.decode(clean), picture.size), picture),
            inverted_with=inversion.fields,
            replay=replay,
            state=state,
            photo=photo,
        )

    def _climbed(
        self,
        way: Way,
        level: int,
        inversion: Inverting,
        condition: Condition,
        schedule: Schedule,
        settings: Settings,
        replay: Replay,
        answers: list[Answer],
        progress: Progress | None,
    ) -> Levels:
        """The levels up to this one; what the network saw close to where they are found is what edits will need of it."""
        levels = {schedule.time(one): one for one in range(1, level + 1)}
        known, heard = len(way.levels.latents) - 1, dict[int, Tensor]()
        keep = settings.memory != "recompute"

        def hear(latents: Tensor, time: float, prediction: Prediction) -> None:
            if time in levels and not replay.retrace:  # what is retraced is seen where it was found itself
                heard[levels[time]] = latents
                self._keep(way, levels[time], prediction, settings)

        def layers(time: float) -> tuple[str, ...]:
            return _guiding(settings, levels[time]) if keep and time in levels else ()

        def report(done: int, of: int) -> None:
            if progress is not None and done > known:
                progress(done - known, of - known)

        watched = Overheard(self.backbone, condition, layers, hear, answers)
        found, _ = inversion.climbed(watched, way.levels.latents[:1], condition, Part(schedule, 0, level), report)
        seen = dict(way.levels.seen)
        for one, latents in heard.items():
            if _close(latents, found[one : one + 1]):
                seen[one] = latents
            else:
                self._bank.drop(way, one)
        return Levels(found, seen)


def _working_size(size: tuple[int, int], backbone: Backbone, settings: Settings) -> tuple[int, int]:
    """(width, height) at which the model works on a picture of `size`."""
    return fit_size(size, settings.working_size or backbone.model_size, backbone.size_multiple)


def _close(one: Tensor, other: Tensor) -> bool:
    """Whether a network sees the same in two latents, to a few thousandths of its features."""
    one, other = one.float(), other.float()
    return float((one - other).square().mean()) <= SEEN_CLOSE**2 * float(other.square().mean())


def _guiding(settings: Settings, level: int) -> tuple[str, ...]:
    """The layers whose features an edit with these settings compares at a level."""
    return settings.layers if settings.steps - level in settings.schedule.guided(settings.steps) else ()
