"""The editor: a model, the plugins, and the wiring between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch

from dragonkit.diffusion.backbone import Backbone, checked_layers
from dragonkit.diffusion.inversion import Progress
from dragonkit.diffusion.sampling import Step, guided_sampling
from dragonkit.diffusion.source import Source
from dragonkit.editing.advice import advice_on, settings_for
from dragonkit.editing.finishing import finish
from dragonkit.editing.layout import Layout
from dragonkit.editing.planning import plan_edits
from dragonkit.editing.results import EditResult
from dragonkit.editing.sources import Sources
from dragonkit.editing.watching import Watch
from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, OutOfMemoryError
from dragonkit.imaging.images import ImageSource
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo
from dragonkit.models.loading import default_dtype, find_card, load_backbone
from dragonkit.plugins.answers import Reference
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry, get_registry

__all__ = ["Editor"]


class Editor:
    """Edits pictures with one diffusion model.

    One edit at a time for each model: while a call is going on, its layers attend for that call.

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
        model: str = "toybox",
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        registry: PluginRegistry | None = None,
    ) -> Editor:
        """Load a model: a name from `dragonkit models`, a hub id, a folder in diffusers' format, or a .safetensors file.

        Args:
            device: CUDA where there is one, else the CPU, when left out.
            dtype: when left out, float16 on CUDA, bfloat16 on a CPU that multiplies it natively, float32 elsewhere.

        Raises:
            ModelError: it is not there, not of Stable Diffusion's shape, or a plugin that loads it fails.
        """
        registry = registry or get_registry()
        card = find_card(model, registry.models())
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with _advice_on_memory():
            backbone = load_backbone(card, device, dtype or default_dtype(device))
        return cls(backbone, card, registry)

    def settings(self, settings: Settings | None = None) -> Settings:
        """The model's defaults with what `settings` sets itself on top. EditError for layers that the model lacks."""
        chosen = {name: getattr(settings, name) for name in settings.model_fields_set} if settings else {}
        if "schedule" in chosen and "schedule" in self.card.settings:  # what a schedule leaves out is the model's as well
            chosen["schedule"] = chosen["schedule"].over(self.card.settings["schedule"])
        settings = Settings(**{**self.card.settings, **chosen})
        checked_layers(settings.layers, self.backbone.feature_layers)
        return settings

    def invert(
        self,
        image: ImageSource | Photo,
        prompt: str = "",
        settings: Settings | None = None,
        check: bool = True,
        progress: Progress | None = None,
    ) -> Source:
        """Find the noise a picture would have come from; the last few inversions are remembered.

        Args:
            image: path, PIL image, array or tensor, of any size: it is resized for the model, and results are resized back.
            prompt: what the picture shows.
            check: also denoise it again without any edit, and note how well the picture comes back.
            progress: called with (steps done, steps in all).

        Raises:
            ImageError: there is no such picture.
            EditError: there is no such inversion, or it has no such option.
        """
        settings = self.settings(settings)
        with _advice_on_memory():
            return self._sources.invert(open_photo(image), prompt, settings, check, progress)

    def advice(self, source: Source) -> list[str]:
        """What is worth knowing before an edit of this source; the report of every edit of it says the same."""
        return [*advice_on(source, self.card), *source.photo.notes]

    def forget(self) -> None:
        """Let go of the features, keys and values kept of sources (`memory="bank"`); their inversions stay remembered."""
        self._sources.forget()

    def generate(self, prompt: str, seed: int = 0, settings: Settings | None = None, progress: Progress | None = None) -> Source:
        """A new picture from words, as a Source whose trajectory is its own sampling: nothing is lost to inversion."""
        with _advice_on_memory():
            return self._sources.generate(prompt, seed, self.settings(settings), progress)

    def edit(
        self,
        source: Source | EditResult | ImageSource | Photo,
        edits: Edit | Sequence[Edit] | Layout,
        settings: Settings | None = None,
        prompt: str = "",
        on_step: Callable[[Step], None] | None = None,
    ) -> EditResult:
        """Edit a picture. Several edits run in one pass.

        Args:
            source: from `invert` or `generate`, an earlier result, or a picture, which is inverted with `prompt` first.
            edits: one or several; or their `Layout`, where it has been made already.
            settings: what differs from the model's defaults. `steps` is the source's own where a Source is given.
            on_step: called after every step with a `Step`; raise `dragonkit.Cancelled` in it to stop at once.

        Raises:
            EditError: an edit does not fit the picture.
            Cancelled: `on_step` or a plugin said so.
        """
        given, settings = settings, self.settings(settings)
        source, layout = self._laid_out(source, edits, settings, prompt)
        settings, notes = settings_for(source, settings, self.card, given)
        references = [None if one is None else self._inverted(one, source, settings) for one in layout.references]
        watch = Watch(self.backbone, self.registry, on_step)
        with _advice_on_memory():
            plan = plan_edits(self.registry, self.backbone, source, layout, settings, references)
            guide = self._sources.guides([source, *(one for one in references if one is not None)], settings)
            latents = guided_sampling(self.backbone, source.schedule, plan.sampling, guide, watch)
            photo = finish(self.backbone, latents, plan, source, settings.keep == "pixels")
        report = watch.report(self.card.name, layout.edits, source, [*self.advice(source), *notes])
        picture = source.photo if source.seed is None else source.seed
        file = EditFile.of(self.card.name, picture, source.prompt, settings, layout.edits)
        return EditResult(photo.image, report, file, plan.region, photo)

    def run(
        self,
        file: EditFile,
        on_step: Callable[[Step], None] | None = None,
        progress: Progress | None = None,
        layout: Layout | None = None,
    ) -> EditResult:
        """Run an edit file with this editor's model; `layout` is that of its edits, where it has been made already."""
        edits = layout or self.registry.edits_from(file)
        return self.edit(self.source_of(file, progress), edits, file.settings, on_step=on_step)

    def source_of(self, file: EditFile, progress: Progress | None = None) -> Source:
        """The source that an edit file names: its picture inverted, or generated from its seed."""
        if file.seed is not None and not file.image:
            return self.generate(file.prompt, file.seed, file.settings, progress)
        return self.invert(file.photo(), file.prompt, file.settings, progress=progress)

    def _laid_out(
        self, source: Source | EditResult | ImageSource | Photo, edits: Edit | Sequence[Edit] | Layout, settings: Settings, prompt: str
    ) -> tuple[Source, Layout]:
        """The inverted source and where the edits act on it; what does not fit is refused before the slow part."""
        if isinstance(source, EditResult):
            prompt, source = prompt or source.report.prompt, source.photo
        picture = source if isinstance(source, Source) else open_photo(source)
        size = picture.image_size if isinstance(picture, Source) else picture.size
        layout = edits if isinstance(edits, Layout) else Layout(self.registry, edits, size)
        if layout.size != size:
            (width, height), (w, h) = layout.size, size
            raise EditError(f"the layout was made for a picture of {width}x{height}, but this one has {w}x{h}; make one of its size")
        return picture if isinstance(picture, Source) else self.invert(picture, prompt, settings), layout

    def _inverted(self, reference: Reference, source: Source, settings: Settings) -> Source:
        prompt = source.prompt if reference.prompt is None else reference.prompt
        return self.invert(reference.image, prompt, settings, check=False)


@contextmanager
def _advice_on_memory() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError("use Settings(memory='recompute'), fewer layers, a smaller picture or dtype=torch.float16") from error
