"""The editor: a model, the plugins, and the wiring between them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch

from dragonkit.diffusion.backbone import Backbone
from dragonkit.diffusion.inversion import Recorded, invert, record, sample
from dragonkit.diffusion.sampling import Step, guided_sampling
from dragonkit.diffusion.source import Source
from dragonkit.editing.combining import check_edits
from dragonkit.editing.pasting import blend, with_detail
from dragonkit.editing.planning import plan_edits
from dragonkit.editing.results import EditResult, Report, StepReport
from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.edits.values import image_to_text
from dragonkit.errors import EditError, OutOfMemoryError
from dragonkit.imaging.images import ImageSource, fit_size, load_image, psnr, to_image, to_tensor
from dragonkit.models.loading import default_dtype, find_card, load_pipeline
from dragonkit.plugins.answers import Reference
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry, get_registry

__all__ = ["Editor"]

Progress = Callable[[int, int], None]

KEPT_INVERSIONS = 8
RECONSTRUCTION_LOSS = 3.0
"""dB below the autoencoder's round trip from which a reconstruction is worth a warning."""
RECONSTRUCTION_FLOOR = 20.0
"""dB below which the source is hardly the picture any more."""


class Editor:
    """Edits pictures with one diffusion model.

    Not for two threads at once: the attention tap belongs to the model.

    Example:
        editor = dk.Editor.from_pretrained()
        source = editor.invert("photo.png", prompt="a fish")
        editor.edit(source, dk.Move(mask="fish.png", shift=(40, 0))).save("moved.png")
    """

    def __init__(self, backbone: Backbone, card: ModelCard, registry: PluginRegistry | None = None):
        self.backbone, self.card = backbone, card
        self.registry = registry or get_registry()
        self._inversions: OrderedDict[tuple[Any, ...], Source] = OrderedDict()
        self._banks: WeakKeyDictionary[Source, dict[tuple[int, tuple[int, ...]], Recorded]] = WeakKeyDictionary()

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
            ModelNotFoundError, UnsupportedModelError: it is not there, or not of Stable Diffusion's shape.
        """
        registry = registry or get_registry()
        card = find_card(model, registry.models())
        device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        with _advice_on_memory():
            pipeline = load_pipeline(card, device, dtype or default_dtype(device))
        return cls(Backbone(pipeline), card, registry)

    def settings(self, settings: Settings | None = None) -> Settings:
        """The model's defaults with what `settings` sets itself on top."""
        chosen = {name: getattr(settings, name) for name in settings.model_fields_set} if settings else {}
        if "schedule" in chosen and "schedule" in self.card.settings:  # what a schedule leaves out is the model's as well
            chosen["schedule"] = chosen["schedule"].over(self.card.settings["schedule"])
        return Settings(**{**self.card.settings, **chosen})

    def invert(
        self, image: ImageSource, prompt: str = "", settings: Settings | None = None, check: bool = True, progress: Progress | None = None
    ) -> Source:
        """Find the noise a picture would have come from (DDIM inversion); the last few inversions are remembered.

        Args:
            image: path, PIL image, array or tensor, of any size: it is resized for the model, and results are resized back.
            prompt: what the picture shows.
            check: also denoise it again without any edit, and note how well the picture comes back.
            progress: called with (steps done, steps in all).

        Raises:
            ImageError: there is no such picture.
        """
        picture, settings = load_image(image), self.settings(settings)
        pixels = np.asarray(picture)
        key = (pixels.tobytes(), pixels.shape, prompt, settings.steps, settings.inversion_iterations, check)
        if key in self._inversions:
            self._inversions.move_to_end(key)
            return self._inversions[key]
        schedule = self.backbone.schedule(settings.steps)
        embeds, negative = self.backbone.prompt_embeds([prompt, ""]).chunk(2)
        size = fit_size(picture.size, self.backbone.model_size, self.backbone.size_multiple)
        total = len(schedule) * (2 if check else 1)

        def report(done: int, _: int, offset: int = 0) -> None:
            if progress is not None:
                progress(offset + done, total)

        with _advice_on_memory():
            latents = self.backbone.encode(to_tensor(picture, size))
            trajectory = invert(self.backbone, latents, embeds, schedule, settings.inversion_iterations, report)
            reconstruction_psnr = autoencoder_psnr = None
            if check:
                back = sample(
                    self.backbone, trajectory[-1:], embeds, negative, schedule, progress=lambda done, n: report(done, n, len(schedule))
                )
                reconstruction_psnr, autoencoder_psnr = (
                    psnr(to_image(self.backbone.decode(clean), picture.size), picture) for clean in (back[:1], latents)
                )
        source = Source(
            trajectory,
            schedule,
            prompt,
            embeds,
            negative,
            pixels,
            size,
            reconstruction_psnr,
            autoencoder_psnr,
            inversion_iterations=settings.inversion_iterations,
        )
        self._inversions[key] = source
        while len(self._inversions) > KEPT_INVERSIONS:
            self._inversions.popitem(last=False)
        return source

    def forget(self) -> None:
        """Let go of the features, keys and values kept of sources (`memory="bank"`); their inversions stay remembered."""
        self._banks.clear()

    def generate(self, prompt: str, seed: int = 0, settings: Settings | None = None, progress: Progress | None = None) -> Source:
        """A new picture from words, as a Source whose trajectory is its own sampling: nothing is lost to inversion."""
        settings = self.settings(settings)
        schedule, side = self.backbone.schedule(settings.steps), self.backbone.model_size
        embeds, negative = self.backbone.prompt_embeds([prompt, ""]).chunk(2)
        cells = side // self.backbone.pixels_per_latent
        # drawn on the CPU, so that a seed gives the same picture on every machine
        noise = torch.randn(1, self.backbone.unet.config.in_channels, cells, cells, generator=torch.Generator().manual_seed(seed))
        with _advice_on_memory():
            noise = noise.to(self.backbone.device, self.backbone.dtype)
            trajectory = sample(self.backbone, noise, embeds, negative, schedule, settings.guidance_scale, progress)
            image = to_image(self.backbone.decode(trajectory[:1]))
        return Source(trajectory, schedule, prompt, embeds, negative, np.asarray(image), (side, side), seed=seed)

    def edit(
        self,
        source: Source | EditResult | ImageSource,
        edits: Edit | Sequence[Edit],
        settings: Settings | None = None,
        prompt: str = "",
        on_step: Callable[[Step], None] | None = None,
    ) -> EditResult:
        """Edit a picture. Several edits run in one pass.

        Args:
            source: from `invert` or `generate`, an earlier result, or a picture, which is inverted with `prompt` first.
            edits: one or several.
            settings: what differs from the model's defaults. `steps` is the source's own where a Source is given.
            on_step: called after every step with a `Step`; raise `dragonkit.Cancelled` in it to stop at once.

        Raises:
            EditError: an edit does not fit the picture.
            Cancelled: `on_step` or a plugin said so.
        """
        edits = [edits] if isinstance(edits, Edit) else list(edits)
        given, settings = settings, self.settings(settings)
        if not edits:
            raise EditError("there is no edit to run, got an empty list; give one such as dk.Move(mask, shift=(40, 0))")
        for edit in edits:
            if not isinstance(edit, Edit):
                raise EditError(
                    f"an edit must be a dragonkit.Edit such as dk.Move(...), got {type(edit).__name__}; build one from its class"
                )
            self.registry.owner(edit.mode)
        references = [self.registry.reference(edit) for edit in edits]
        if isinstance(source, EditResult):
            prompt, source = prompt or source.report.prompt, source.image
        if isinstance(source, Source):
            check_edits(self.registry, edits, source.image_size)
        else:
            picture = load_image(source)
            check_edits(self.registry, edits, picture.size)  # before the slow part
            source = self.invert(picture, prompt, settings)
        warnings = list(_warnings(source))
        if given is not None and "steps" in given.model_fields_set and given.steps != len(source.schedule):
            warnings.append(f"steps={given.steps} was not used: the source was inverted with {len(source.schedule)}; invert it anew")
        # the edit file must say how the source was really made
        settings = settings.model_copy(update={"steps": len(source.schedule), "inversion_iterations": source.inversion_iterations})
        inverted = [None if one is None else self._inverted(one, source, settings) for one in references]

        begun, calls, steps = time.perf_counter(), self.backbone.calls, []

        def observe(step: Step) -> None:
            steps.append(StepReport(index=step.index, timestep=step.timestep, energies=step.energies))
            self.registry.step(step)
            if on_step is not None:
                on_step(step)

        with _advice_on_memory():
            plan = plan_edits(self.registry, self.backbone, source, edits, settings, inverted)
            guides = [self._guide(one, settings) for one in [source, *dict.fromkeys(one for one in inverted if one is not None)]]
            latents = guided_sampling(
                self.backbone, source.schedule, plan.sampling, lambda level: [guide(level) for guide in guides], observe
            )
            decoded = self.backbone.decode(latents).cpu()
            if settings.keep == "pixels":
                round_trip = self.backbone.decode(plan.given_latents).cpu()
                decoded = with_detail(decoded, round_trip, plan.pasted, plan.known, plan.free)
        edited = to_image(decoded, source.image_size)
        if settings.keep == "pixels":
            edited = load_image(blend(np.asarray(edited, dtype=np.float32), source.pixels, plan.region))
        report = Report(
            model=self.card.name,
            modes=tuple(edit.mode for edit in edits),
            prompt=source.prompt,
            image_size=source.image_size,
            working_size=source.size,
            steps=tuple(steps),
            reconstruction_psnr=source.reconstruction_psnr,
            autoencoder_psnr=source.autoencoder_psnr,
            network_evaluations=self.backbone.calls - calls,
            seconds=time.perf_counter() - begun,
            warnings=tuple(warnings),
        )
        return EditResult(edited, report, self._edit_file(source, edits, settings), plan.region)

    def run(self, file: EditFile, on_step: Callable[[Step], None] | None = None, progress: Progress | None = None) -> EditResult:
        """Run an edit file with this editor's model."""
        edits = self.registry.edits_from(file)
        if file.seed is not None and not file.image:
            source = self.generate(file.prompt, file.seed, file.settings, progress)
        else:
            source = self.invert(file.load_image(), file.prompt, file.settings, progress=progress)
        return self.edit(source, edits, file.settings, on_step=on_step)

    def _inverted(self, reference: Reference, source: Source, settings: Settings) -> Source:
        prompt = source.prompt if reference.prompt is None else reference.prompt
        return self.invert(reference.image, prompt, settings, check=False)

    def _guide(self, source: Source, settings: Settings) -> Callable[[int], Recorded]:
        """The guidance branch by noise level: recorded once per source, or computed every time, as `settings.memory` says."""
        bank = self._banks.setdefault(source, {})

        def guide(level: int) -> Recorded:
            if (level, settings.layers) in bank:
                return bank[level, settings.layers]
            embeds, timestep = source.prompt_embeds, source.schedule.timestep(level)
            recorded = record(self.backbone, source.latents_at(level), timestep, embeds, settings.layers)
            if settings.memory == "bank":
                bank[level, settings.layers] = recorded
            return recorded

        return guide

    def _edit_file(self, source: Source, edits: Sequence[Edit], settings: Settings) -> EditFile:
        picture = "" if source.seed is not None else image_to_text(load_image(source.pixels))
        return EditFile(
            model=self.card.name,
            image=picture,
            prompt=source.prompt,
            seed=source.seed,
            settings=settings,
            edits=[edit.to_dict() for edit in edits],
        )


def _warnings(source: Source) -> Iterator[str]:
    back, most = source.reconstruction_psnr, source.autoencoder_psnr
    if back is None or most is None:
        return
    if most < RECONSTRUCTION_FLOOR:
        yield (
            f"the model's autoencoder reproduces this picture at {most:.1f} dB only: it was made for other pictures or a larger size, "
            "so expect little from what the model fills in, or choose another model"
        )
    elif back < most - RECONSTRUCTION_LOSS:
        yield (
            f"without any edit the source comes back at {back:.1f} dB, the autoencoder alone reaches {most:.1f} dB; "
            "expect changes where none were asked for, or invert with more steps or inversion_iterations"
        )


@contextmanager
def _advice_on_memory() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemoryError("use Settings(memory='recompute'), fewer layers, a smaller picture or dtype=torch.float16") from error
