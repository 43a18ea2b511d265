"""The editor: a model, the plugins, and the wiring between them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TypeAlias, overload

import torch
from PIL import Image

from dragonkit.diffusion.backbone import Backbone, checked_layers
from dragonkit.diffusion.inversion import Progress
from dragonkit.diffusion.lending import lent
from dragonkit.diffusion.sampling import Step
from dragonkit.diffusion.source import Source
from dragonkit.diffusion.stable_diffusion_xl import backbone_of
from dragonkit.diffusion.turns import turn_on
from dragonkit.editing.advice import advice_before, settings_for
from dragonkit.editing.arguments import (
    as_many,
    checked_callback,
    checked_seed,
    checked_settings,
    checked_source,
    refuse_picture,
    settings_apart,
)
from dragonkit.editing.layout import EditLike, Layout
from dragonkit.editing.memory import advice_on_memory
from dragonkit.editing.results import EditResult
from dragonkit.editing.running import Engine, Job, edited
from dragonkit.editing.several import all_edited, numbered
from dragonkit.editing.sources import Sources
from dragonkit.edits.file import EditFile
from dragonkit.edits.naming import with_lora, with_revision
from dragonkit.edits.prompts import checked_prompt
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.imaging.images import ImageSource
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo
from dragonkit.models.devices import checked_device, checked_dtype, refuse_deleted_folder
from dragonkit.models.families import card_of, with_family
from dragonkit.models.hub import Fetched
from dragonkit.models.loading import find_card, load_backbone
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry, get_registry

__all__ = ["Editor"]

Picture: TypeAlias = "Source | EditResult | ImageSource | Photo"
Edits: TypeAlias = "EditLike | Sequence[EditLike] | Layout"


class Editor:
    """Edits pictures with one diffusion model.

    Any thread may call it, and several editors may share a model: one edit, inversion or generation at a time has the model, the others
    wait. While a call waits, its `progress` is called with 0 steps done, so that raising `Cancelled` in it ends the waiting, too.

    Example:
        editor = dk.Editor.from_pretrained()
        source = editor.invert("photo.png", prompt="a fish")
        editor.edit(source, dk.Move(mask="fish.png", shift=(40, 0))).save("moved.png")
    """

    def __init__(self, backbone: Backbone, card: ModelCard, registry: PluginRegistry | None = None):
        self.backbone, self.card = backbone, card
        self.registry = registry or get_registry()
        self._sources = Sources(backbone, self.registry)

    @classmethod
    def from_pretrained(
        cls,
        model: str | os.PathLike[str] = "toybox",
        device: str | torch.device | None = None,
        dtype: torch.dtype | str | None = None,
        registry: PluginRegistry | None = None,
        progress: Fetched | None = None,
        lora: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
        revision: str | None = None,
        variant: str | None = None,
    ) -> Editor:
        """Load a model: a name from `dragonkit models`, a hub id, a folder in diffusers' format, or a .safetensors file.

        Args:
            model: may name LoRA as well: "sd15+style.safetensors@0.8", as edit files do.
            lora: one or several .safetensors files, folders or hub ids, each with "@weight" where it is not 1.
            revision: a branch, tag or commit of a model on the hub; edit files name it as a part of the model, "owner/name@revision".
            variant: of the weights' files, such as "fp16", where a model has several: half the download.
            device: CUDA where there is one, else the CPU, when left out.
            dtype: when left out, float16 on CUDA, bfloat16 on a CPU that multiplies it natively, float32 elsewhere.
            progress: called with (bytes fetched, bytes in all) while the hub sends the model; raise `dragonkit.Cancelled` to stop.

        Raises:
            ModelError: it is not there, not of Stable Diffusion's shape, lacks weights, or its plugin fails; or the device is not.
        """
        registry = registry or get_registry()
        model = with_revision(model, revision) if revision else model
        lora = (lora,) if isinstance(lora, (str, os.PathLike)) else lora
        card = find_card(with_lora(model, lora) if lora else model, registry.models(), registry.suspects("model"))
        card = replace(card, variant=variant) if variant else card
        refuse_deleted_folder()
        with advice_on_memory():
            device = checked_device(device)
            backbone = load_backbone(card, device, checked_dtype(dtype, device), progress)
        return cls(backbone, with_family(card, backbone), registry)

    @classmethod
    def from_pipeline(cls, pipeline: Any, registry: PluginRegistry | None = None, name: str | None = None) -> Editor:
        """Edit with a pipeline that you have loaded: with LoRA, textual inversion, another VAE, offloaded, for img2img or inpainting.

        Its parts are used as they are and where they are, and are as they were after every call, also after an error. They may be
        changed between two calls: what was inverted before is then inverted again, or refused.

        Args:
            pipeline: of diffusers, with the parts of Stable Diffusion 1, 2 or XL.
            name: what edit files call the model; where the pipeline was loaded from, when left out.

        Raises:
            UnsupportedModelError: it lacks a part, or has one that edits would ignore.

        Example:
            pipe = StableDiffusionPipeline.from_pretrained("owner/name")
            pipe.load_lora_weights("style.safetensors")
            editor = dk.Editor.from_pipeline(pipe)
        """
        backbone = backbone_of(pipeline)
        return cls(backbone, card_of(backbone, name or getattr(pipeline, "name_or_path", None) or type(pipeline).__name__), registry)

    def settings(self, settings: Settings | None = None) -> Settings:
        """The model's defaults with what `settings` sets itself on top. EditError for layers that the model lacks."""
        settings = (checked_settings(settings) or Settings()).over(Settings(**self.card.settings))
        checked_layers(settings.layers, self.backbone.feature_layers)
        refuse_picture(settings, self.backbone)
        return settings

    @settings_apart
    def invert(
        self,
        image: ImageSource | Photo,
        prompt: str = "",
        settings: Settings | None = None,
        check: bool = True,
        progress: Progress | None = None,
    ) -> Source:
        """Find the noise a picture would have come from; the last few inversions are remembered.

        `edit` does as much of it by itself as it needs; what this adds is the check.

        Args:
            image: path, PIL image, array or tensor, of any size: it is resized for the model, and results are resized back.
            prompt: what the picture shows.
            check: also denoise it again without any edit, under the settings' guidance_scale, and note how well the picture comes back.
            progress: called with (steps done, steps in all).

        Raises:
            ImageError: there is no such picture.
            EditError: there is no such inversion, or it has no such option.
        """
        settings, prompt = self.settings(settings), checked_prompt(prompt)
        with advice_on_memory(self._sources), self._turn(progress, settings):
            return self._sources.invert(open_photo(image), prompt, settings, check, progress)

    @settings_apart
    def open(
        self, image: ImageSource | Photo, prompt: str = "", settings: Settings | None = None, progress: Progress | None = None
    ) -> Source:
        """A picture as `edit` takes it: of the way to noise, every edit finds as much as it reads, and nothing is checked.

        Args:
            image, prompt, settings: as in `invert`.
            progress: called while an inversion goes all the way at once, as some must.

        Raises:
            ImageError, EditError: as in `invert`.
        """
        settings, prompt = self.settings(settings), checked_prompt(prompt)
        with advice_on_memory(self._sources), self._turn(progress, settings):
            return self._sources.open(open_photo(image), prompt, settings, progress)

    def advice(self, source: Source, layout: Layout | None = None) -> list[str]:
        """What is worth knowing before an edit of this source; the report of every edit of it says the same.

        Args:
            layout: the edits, where they are known.
        """
        return advice_before(self.backbone, self.card, source, layout)

    def forget(self) -> None:
        """Let go of the features, keys and values kept of sources (`memory="bank"`); their inversions stay remembered."""
        self._sources.forget()

    @settings_apart
    def generate(self, prompt: str, seed: int = 0, settings: Settings | None = None, progress: Progress | None = None) -> Source:
        """A new picture from words, as a Source whose trajectory is its own sampling: nothing is lost to inversion."""
        settings, prompt, seed = self.settings(settings), checked_prompt(prompt), checked_seed(seed)
        with advice_on_memory(self._sources), self._turn(progress, settings):
            return self._sources.generate(prompt, seed, settings, progress)

    @overload
    def edit(
        self,
        source: Picture,
        edits: Edits,
        settings: Settings | None = None,
        prompt: str = "",
        on_step: Callable[[Step], None] | None = None,
        progress: Progress | None = None,
        on_draft: Callable[[Image.Image], None] | None = None,
    ) -> EditResult: ...
    @overload
    def edit(
        self,
        source: list[Any] | tuple[Any, ...],
        edits: Sequence[Edits],
        settings: Settings | None = None,
        prompt: str | Sequence[str] = "",
        on_step: Callable[[Step], None] | None = None,
        progress: Progress | None = None,
        on_draft: Callable[[Image.Image], None] | None = None,
    ) -> list[EditResult]: ...
    @settings_apart
    def edit(
        self,
        source: Picture | Sequence[Picture],
        edits: Edits | Sequence[Edits],
        settings: Settings | None = None,
        prompt: str | Sequence[str] = "",
        on_step: Callable[[Step], None] | None = None,
        progress: Progress | None = None,
        on_draft: Callable[[Image.Image], None] | None = None,
    ) -> EditResult | list[EditResult]:
        """Edit a picture, or several at a time. Several edits of a picture run in one pass.

        Given a list of pictures and a list of as many edits, it gives a list of results: the network is called for up to eight pictures
        at once, which takes less time than one after the other, and more memory. A picture may be there more than once.

        Args:
            source: from `invert` or `generate`, an earlier result, or a picture, which is inverted with `prompt` as far as this edit asks;
                or a list of them.
            edits: one or several, or dicts as `Edit.to_dict` writes them; or their `Layout`, where it has been made already. For a list of
                pictures a list with all that for each.
            settings: what differs from the model's defaults. How a Source was made stays as it was: see Raises.
            prompt: what the picture shows; for a list of pictures one for all, or a list.
            on_step: called after every step with a `Step`, which knows its `picture` of a list; raise `dragonkit.Cancelled` in it to
                stop at once.
            progress: called with (steps done, steps in all), from 1 on for every picture that is inverted, then for the edit itself. For a
                list of pictures, with one sum for all of them that only grows.
            on_draft: called once before the steps, with the edit done by scissors, paste and a smooth fill: for people who wait. For a list
                of pictures once for each, in their order.

        Raises:
            EditError: an edit does not fit the picture; or a Source was made with other words, steps or inversion than are asked for; or
                lists are of different lengths. One picture's error ends the others' edits, and has a note that says which one it is.
            Cancelled: `on_step`, `progress` or a plugin said so.
        """
        given, settings = settings, self.settings(settings)
        checked_callback(on_step, "on_step", "a Step")
        checked_callback(on_draft, "on_draft", "a picture")

        def job(source: Any, edits: Any, prompt: Any) -> Job:
            picture, layout, prompt = self._laid_out(source, edits, checked_prompt(prompt))
            if isinstance(picture, Source):  # what it was not made for is refused before anybody waits
                settings_for(checked_source(picture, self.backbone, prompt), settings, self.card, given)
            return Job(picture, layout, prompt, settings, given, on_step, progress, on_draft)

        with advice_on_memory(self._sources):
            engine = Engine(self.backbone, self.card, self.registry, self._sources)
            several = as_many(source, edits, prompt)
            if several is not None:
                jobs = []
                for number, each in enumerate(several):
                    with numbered(number, len(several)):
                        jobs.append(job(*each))
                with self._turn(progress, settings):
                    return all_edited(engine, jobs)
            one = job(source, edits, prompt)
            with self._turn(progress, settings):
                return edited(engine, one)

    def run(
        self,
        file: EditFile,
        on_step: Callable[[Step], None] | None = None,
        progress: Progress | None = None,
        layout: Layout | None = None,
    ) -> EditResult:
        """Run an edit file with this editor's model; `layout` is that of its edits, where it has been made already."""
        edits = layout or self.registry.edits_from(file)
        return self.edit(self.source_of(file, progress), edits, file.settings, on_step=on_step, progress=progress)

    def source_of(self, file: EditFile, progress: Progress | None = None) -> Source:
        """The source that an edit file names: its picture inverted, or generated from its seed."""
        if file.seed is not None and not file.image:
            own = {} if file.seed_guidance_scale is None else {"guidance_scale": file.seed_guidance_scale}
            return self.generate(file.prompt, file.seed, file.settings.model_copy(update=own), progress)
        return self.open(file.photo(), file.prompt, file.settings, progress)

    @contextmanager
    def _turn(self, progress: Progress | None, settings: Settings) -> Iterator[None]:
        """Within this block the model is this call's alone."""
        checked_callback(progress, "progress", "(steps done, steps in all)")
        with turn_on(self.backbone, None if progress is None else lambda: progress(0, settings.steps)), lent(self.backbone):
            self._sources.renew()
            yield

    def _laid_out(
        self, source: Source | EditResult | ImageSource | Photo, edits: EditLike | Sequence[EditLike] | Layout, prompt: str
    ) -> tuple[Source | Photo, Layout, str]:
        """The picture, where the edits act on it, and what it shows; what does not fit is refused before the slow part."""
        if isinstance(source, EditResult):
            prompt, source = prompt or source.report.prompt, source.photo
        picture = source if isinstance(source, Source) else open_photo(source)
        size = picture.image_size if isinstance(picture, Source) else picture.size
        layout = edits if isinstance(edits, Layout) else Layout(self.registry, edits, size)
        if layout.size != size:
            (width, height), (w, h) = layout.size, size
            raise EditError(f"the layout was made for a picture of {width}x{height}, but this one has {w}x{h}; make one of its size")
        return picture, layout, prompt
