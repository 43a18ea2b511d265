"""What is worth saying of a source before it is edited, and settings that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dragonkit.diffusion.backbone import Adviser, Backbone, Reader
from dragonkit.diffusion.sampling import SamplingPlan
from dragonkit.diffusion.source import Source
from dragonkit.editing.layout import Layout
from dragonkit.editing.places import advice_on_places
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.imaging.images import MAX_ASPECT
from dragonkit.plugins.card import ModelCard
from dragonkit.words import short

__all__ = ["advice_before", "advice_of", "advice_on", "advice_on_guidance", "advice_on_plan", "advice_on_prompt", "carries", "settings_for"]

RECONSTRUCTION_LOSS = 3.0
"""dB below the autoencoder's round trip from which a reconstruction is worth a warning."""
RECONSTRUCTION_GOOD = 32.0
"""dB from which nobody sees the loss, six levels of 255 at most pixels, however much better the autoencoder is."""
AUTOENCODER_LOSS = 10.0
"""dB below what the card says of pictures of the model's own kind from which its autoencoder cannot carry a picture."""
AUTOENCODER_FLOOR = 20.0
"""dB below which a picture is hardly there any more, for models whose card says nothing of its own kind."""


def carries(source: Source, card: ModelCard) -> bool:
    """Whether the model's autoencoder can carry the picture, as far as its card can tell: else what it paints is blotches."""
    most, own = source.autoencoder_psnr, card.autoencoder_psnr
    return most is None or own is None or most >= own - AUTOENCODER_LOSS


def advice_on(source: Source, card: ModelCard) -> Iterator[str]:
    """Sentences worth reading before an edit of this source."""
    back, most = source.reconstruction_psnr, source.autoencoder_psnr
    if not carries(source, card):
        yield (
            f"the model was made for other pictures or a larger size, and can show this one only roughly (its autoencoder gives it back at "
            f"{most:.1f} dB, pictures of its own kind at {card.autoencoder_psnr:.1f} dB): "
            "what an edit uncovers is filled smoothly, not painted; choose another model for more"
        )
    elif most is not None and most < AUTOENCODER_FLOOR and card.autoencoder_psnr is None:
        yield (
            f"the model was made for other pictures or a larger size, and can show this one only roughly (its autoencoder gives it back at "
            f"{most:.1f} dB): expect little from what the model fills in, or choose another model"
        )
    elif back is not None and most is not None and back < min(most - RECONSTRUCTION_LOSS, RECONSTRUCTION_GOOD):
        yield (
            f"without any edit the source comes back at {back:.1f} dB, the autoencoder alone reaches {most:.1f} dB; "
            "expect changes where none were asked for, or invert with more steps or inversion_iterations"
        )

    longer, shorter = max(source.image_size), min(source.image_size)
    if longer > 1.05 * MAX_ASPECT * shorter:
        width, height = source.size
        yield (
            f"one side of the picture is {longer / shorter:.3g} times the other, and the model sees it squeezed to {width}x{height}: "
            "what it paints comes out stretched; edit a part of the picture instead"
        )


def advice_on_guidance(source: Source, settings: Settings) -> Iterator[str]:
    """A sentence where a source came back under weaker guidance than an edit of it runs with, which may lose it."""
    checked, runs = source.checked_under, settings.guidance_scale
    if checked is not None and runs > max(checked, 1):
        yield (
            f"that the source comes back was checked under guidance_scale={checked:g}, but this edit runs under {runs:g}, where less may; "
            f"invert with Settings(guidance_scale={runs:g}) to see"
        )


def advice_of(backbone: Backbone) -> Iterable[str]:
    """What the model itself says of its state; backbones that cannot tell say nothing."""
    return backbone.advice() if isinstance(backbone, Adviser) else ()


def advice_on_prompt(backbone: Backbone, prompt: str, what: str = "prompt") -> Iterator[str]:
    """Which words of a prompt the model does not read, as its text encoder is full before; backbones that cannot tell say nothing."""
    lost = backbone.unread(prompt) if isinstance(backbone, Reader) else ""
    if lost:
        yield f"the model's text encoder is full before the end of the {what} and never reads {short(lost)}; say it in fewer words"


def advice_before(backbone: Backbone, card: ModelCard, source: Source, layout: Layout | None = None) -> list[str]:
    """All that is known before an edit, of the model, the source and where the edits act."""
    said = [*advice_on(source, card), *advice_of(backbone), *advice_on_prompt(backbone, source.prompt)]
    for reference in () if layout is None else layout.references:
        if reference is not None and reference.prompt is not None:
            said += advice_on_prompt(backbone, reference.prompt, "reference_prompt")
    return [*said, *(() if layout is None else advice_on_places(layout)), *source.photo.notes]


def advice_on_plan(plan: SamplingPlan, steps: int) -> Iterator[str]:
    """A sentence where the energies decide nothing: each cell that they might change is given while they act."""
    regions = [planned.region for planned in plan.terms if planned.term.weight]
    if not regions or not plan.energy_scale:
        return

    def open_after(done: int) -> bool:
        free = plan.free(done, steps)
        return any((free if region is None else free & region).any() for region in regions)

    if not plan.guided:
        yield "the energies guided nothing: the schedule has no step at which they act; widen its span"
    elif not any(open_after(index + 1) for index in plan.guided):  # what is held after a step has been overwritten in it
        held = next((done - 1 for done in range(1, steps + 1) if open_after(done)), steps)
        first, last = min(plan.guided) + 1, max(plan.guided) + 1
        yield (
            f"the energies guided nothing: they act in steps {first} to {last} of {steps}, and until step {held} all that they could "
            f"change is held; lower hold or hold_vacated{'' if held == steps else ', or let the span of the schedule end later'}"
        )


def settings_for(source: Source, settings: Settings, card: ModelCard, given: Settings | None) -> Settings:
    """The settings of an edit of this source: how it was really made; and all that can be pasted is held where the autoencoder fails.

    Args:
        settings: the model's with the user's on top.
        given: what the user set, which is never overruled.

    Raises:
        EditError: the user asked for what the source was not made with.
    """
    asked = set() if given is None else given.model_fields_set
    made: dict[str, Any] = {"steps": len(source.schedule), **source.inverted_with}
    other = [name for name, value in made.items() if name in asked and getattr(settings, name) != value]
    if other:
        wanted, has = (", ".join(f"{name}={values[name]!r}" for name in other) for values in (dict(settings), made))
        verb = "generated" if source.seed is not None else "inverted"
        raise EditError(
            f"the settings ask for {wanted}, but the source was {verb} with {has}, which an edit cannot change; "
            f"leave {'them' if len(other) > 1 else 'it'} out, or have the picture {verb} with these settings"
        )
    if not carries(source, card):
        made.update({name: 1.0 for name in ("hold", "hold_vacated") if name not in asked})
    return settings.model_copy(update=made)
