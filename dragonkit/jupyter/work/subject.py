"""What is being edited: a picture with its words, its marks and its settings."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from dragonkit.edits.settings import Settings
from dragonkit.imaging.photos import Photo
from dragonkit.jupyter.marks.state import MarkState

__all__ = ["Subject"]


@dataclass(frozen=True, eq=False)
class Subject:
    """Equal when nothing has to be shown or inverted anew.

    Attributes:
        photo: the picture.
        prompt: what it shows.
        marks: of its size. They change in place, and have a history of their own.
        settings: what differs from the model's defaults.
        path: the picture's file, where it has one.
    """

    photo: Photo
    prompt: str
    marks: MarkState
    settings: Settings = field(default_factory=Settings)
    path: str | os.PathLike[str] | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Subject) and self.marks is other.marks and self.inverts_as(other)

    def __hash__(self) -> int:
        return hash((id(self.photo), self.prompt))

    def inverts_as(self, other: Subject) -> bool:
        """Whether the inversion of one is that of the other."""
        return self.photo is other.photo and (self.prompt, self.settings) == (other.prompt, other.settings)
