"""What the editor is given, checked before anything slow, in words that say what was meant."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from dragonkit.diffusion.backbone import Backbone, Pictured
from dragonkit.diffusion.lending import state_of
from dragonkit.diffusion.source import Source
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.words import short

__all__ = [
    "as_many",
    "checked_callback",
    "checked_seed",
    "checked_settings",
    "checked_source",
    "refuse_changed",
    "refuse_picture",
    "settings_apart",
]

Method = TypeVar("Method", bound=Callable[..., Any])
LARGEST_SEED = 2**63 - 1


def settings_apart(method: Method) -> Method:
    """Say where a setting belongs that is given as an argument: `edit(..., steps=5)`."""
    parameters = inspect.signature(method).parameters

    @functools.wraps(method)
    def checked(*args: Any, **named: Any) -> Any:
        misplaced = {name: value for name, value in named.items() if name not in parameters and name in Settings.model_fields}
        if misplaced:
            raise EditError(
                f"{method.__name__} takes settings in one value, but got {', '.join(misplaced)}; write {_as_settings(misplaced)}"
            )
        return method(*args, **named)

    return checked  # type: ignore[return-value]


def as_many(sources: Any, edits: Any, prompts: Any) -> list[tuple[Any, Any, str]] | None:
    """Every picture of a list with its edits and its words; None for a picture that is none.

    Raises:
        EditError: there are not as many of the others, or the words are a list and the pictures are not.
    """
    if not isinstance(sources, (list, tuple)):
        if not isinstance(prompts, (str, bytes)) and isinstance(prompts, Iterable):
            raise EditError(
                f"the prompt is a list, which is for a list of pictures, but the picture is {short(sources)}; "
                "for several pictures give list(pictures), for one a text"
            )
        return None
    count, every_edit = len(sources), _listed(edits)
    if every_edit is None or len(every_edit) != count:
        got = short(edits) if every_edit is None else len(every_edit)
        raise EditError(f"for a list of {count} pictures the edits must be a list of as many, one entry for each, but got {got}")
    words = [prompts] * count if isinstance(prompts, str) else _listed(prompts)
    if words is None or len(words) != count:
        got = short(prompts) if words is None else len(words)
        raise EditError(f"for a list of {count} pictures the prompt must be one text for all of them, or a list of as many, but got {got}")
    return list(zip(sources, every_edit, words, strict=True))


def _listed(values: Any) -> list[Any] | None:
    """Values of any kind of list, also an array's or a generator's; None for what is one value itself."""
    one = isinstance(values, (str, bytes, Mapping, Edit)) or not isinstance(values, Iterable)
    return None if one else list(values)


def checked_settings(settings: Any) -> Settings | None:
    if settings is None or isinstance(settings, Settings):
        return settings
    advice = _as_settings(settings) if isinstance(settings, dict) else "dk.Settings(steps=30), say"
    raise EditError(f"settings must be a dragonkit.Settings or None, got {short(settings)}; write {advice}")


def checked_callback(callback: Any, name: str, takes: str) -> None:
    if callback is not None and not callable(callback):
        raise EditError(f"{name} must be a function of {takes} or None, got {short(callback)}; pass the function itself")


def checked_seed(seed: Any) -> int:
    try:
        number = operator.index(seed)
    except TypeError:
        number = -1
    if not 0 <= number <= LARGEST_SEED:
        raise EditError(f"seed must be an integer from 0 to {LARGEST_SEED}, got {short(seed)}; take any such number")
    return number


def refuse_picture(settings: Settings, backbone: Backbone) -> None:
    """Refuse a picture as a prompt where the model reads none."""
    if settings.image_prompt and not (isinstance(backbone, Pictured) and backbone.takes_pictures):
        raise EditError(
            f"image_prompt is {settings.image_prompt:g}, but the model has no IP-Adapter; load one with pipeline.load_ip_adapter and give "
            "the pipeline to Editor.from_pipeline, or leave image_prompt at 0"
        )


def checked_source(source: Source, backbone: Backbone, prompt: str = "") -> Source:
    """Refuse a source that another model made, as far as its latents can tell, or one of other words than are asked for."""
    if prompt and prompt != source.prompt:
        raise EditError(
            f"the prompt is {short(prompt)}, but the source was made with {short(source.prompt)}, which an edit cannot change; "
            "leave it out, or give the picture instead of its source"
        )
    made = source.latents_at(0)
    channels = made.shape[1]
    if (channels, made.dtype, made.device.type) != (backbone.latent_channels, backbone.dtype, backbone.device.type):
        own = f"{backbone.latent_channels} channels in {backbone.dtype} on {backbone.device}"
        raise EditError(
            f"the source was made by another model: its latents have {channels} channels in {made.dtype} on {made.device}, "
            f"but this editor's have {own}; invert the picture with this editor"
        )
    refuse_changed(source.state, backbone)
    return source


def refuse_changed(state: str, backbone: Backbone) -> None:
    """Refuse to go on with what the model made when it was another one."""
    if state and state != state_of(backbone):
        raise EditError(
            "the source was made before the model was changed, such as by a LoRA, other weights or another scheduler, or by another model; "
            "invert the picture again"
        )


def _as_settings(given: dict[str, Any]) -> str:
    return f"dk.Settings({', '.join(f'{name}={value!r}' for name, value in given.items())})"
