"""The mask of a command that edits: from a file, or made by a click on the object; and turned round where it is inverted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dragonkit.cli.console import warn
from dragonkit.errors import EditError

if TYPE_CHECKING:
    import numpy as np

    from dragonkit.cli.options import Option
    from dragonkit.edits.edit import Edit
    from dragonkit.imaging.photos import Photo
    from dragonkit.plugins.registry import PluginRegistry

__all__ = ["ClickOption", "InvertOption", "SelectOption", "clicked", "with_inverted_mask"]

ClickOption = Annotated[
    str | None,
    typer.Option(
        "--click",
        metavar="X,Y",
        help="A place on the object, in pixels, in place of --mask: a selector makes the mask. [such as 88,55]",
        show_default=False,
    ),
]
SelectOption = Annotated[str, typer.Option("--select", metavar="NAME", help="The selector for --click: one that takes clicks.")]
InvertOption = Annotated[bool, typer.Option("--invert-mask", help="Take what is outside of the mask for what is inside.")]


def clicked(registry: PluginRegistry, photo: Photo, click: str, selector: str) -> np.ndarray:
    """The mask, bool (H, W), of what is at a place; whether it is worth a look is told on stderr.

    Raises:
        EditError: the click is no pair of numbers, or the selector is not there or takes no clicks.
        PointError: the click is outside the picture.
    """
    from dragonkit.batching.jobs import Select
    from dragonkit.batching.opening import selected

    try:
        x, y = map(float, click.split(","))
    except ValueError:
        raise EditError(f"--click is {click!r}, but must have the form X,Y.") from None
    width, height = photo.size
    mask, unsure = selected(registry, photo, Select(selector, (x / width, y / height)))
    if unsure:
        warn(f"look at the mask: {unsure}")
    return mask


def with_inverted_mask(edit: Edit, field: Option, size: tuple[int, int]) -> Edit:
    """The edit with what is outside of its mask inside."""
    from dragonkit.imaging.masks import load_mask

    mask = getattr(edit, field.name)
    if mask is None:
        raise EditError(f"--invert-mask needs a mask to invert, but there is none; give {field.option}.")
    return edit.model_copy(update={field.name: ~load_mask(mask, size)})
