"""What a user asks for: an `Edit` is plain, frozen data with a `mode` name; plugins give it a meaning. Nothing here imports torch."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic_core import PydanticSerializationError

from dragonkit.edits.paths import PathRule
from dragonkit.edits.validation import Model, relative_to
from dragonkit.edits.values import same
from dragonkit.errors import DragonkitError, EditError, UnknownModeError
from dragonkit.words import closest, short

if TYPE_CHECKING:
    from typing import Self

    import numpy as np

    from dragonkit.edits.settings import Settings

__all__ = ["Edit", "unknown_mode"]


class Edit(Model):
    """The base of every edit mode: a frozen pydantic model with a `mode` name.

    Lengths are pixels of the image as given, (x, y), origin top left. Fields that are masks have the type `Mask`.
    A mode whose fields hold Python code is not `scriptable`: it has no command, and an edit file of it cannot be run.

    Raises:
        EditError: a field is missing, unknown or out of range; the message says which, what was received and what is allowed.

    Example:
        class Move(Edit):
            mode: ClassVar[str] = "move"
            mask: Mask
            shift: tuple[float, float] = (0, 0)
    """

    mode: ClassVar[str]
    scriptable: ClassVar[bool] = True

    def settled(self, settings: Settings, picture: np.ndarray) -> Self:
        """The edit as it is run: with what a mode leaves to the settings or to the picture, uint8 (H, W, 3), filled in.

        A mode that leaves them something overrides this.
        """
        return self

    def to_dict(self) -> dict[str, Any]:
        """JSON values only, with the mode: what an edit file holds. Masks become base64 PNG; mask files are read."""
        try:
            return {"mode": self.mode, **self.model_dump(mode="json")}
        except PydanticSerializationError as error:
            if isinstance(error.__cause__, DragonkitError):
                raise error.__cause__ from None
            raise EditError(f"{type(self).__name__} cannot be written as JSON: {error}. Use types that pydantic can write.") from error

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], folder: str | os.PathLike[str] | PathRule | None = None) -> Self:
        """The edit that `to_dict` wrote.

        Args:
            data: {"mode": cls.mode, ...fields}.
            folder: what paths are relative to; they must exist then, in it or below it. None: the current folder, unchecked.

        Raises:
            EditError: another mode, or a field that is not allowed.
        """
        fields = dict(data)
        mode = fields.pop("mode", None)
        if mode != cls.mode:
            raise EditError(f"{cls.__name__} is the mode {cls.mode!r}, but the data say {short(mode)}. Use the class of that mode.")
        with relative_to(folder):
            return cls(**fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and all(same(getattr(self, name), getattr(other, name)) for name in type(self).model_fields)

    def __hash__(self) -> int:
        return hash((type(self), *(value for _, value in self if isinstance(value, (int, float, str)))))

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, short(value) if hasattr(value, "shape") else value


def unknown_mode(mode: str, known: Mapping[str, Any], where: str = "") -> UnknownModeError:
    """The error for a mode that no plugin offers: lists the known ones and the closest."""
    modes = sorted(known)
    return UnknownModeError(f"{where}there is no edit mode {short(mode)}.{closest(mode, modes)} Known modes: {', '.join(modes) or 'none'}.")
