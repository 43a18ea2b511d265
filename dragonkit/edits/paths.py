"""Which files the writer of an edit may name: whoever sends somebody an edit file must not read that person's files with it."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dragonkit.errors import DragonkitError
from dragonkit.words import quoted

__all__ = ["PathRule", "Reach"]

Reach = Literal["nowhere", "below", "anywhere"]


@dataclass(frozen=True)
class PathRule:
    """Which paths are followed.

    Attributes:
        folder: what they are relative to.
        reach: "below" follows those that end in the folder or below it, once all links are followed; "anywhere" any; "nowhere" none, which
            is for the metadata of pictures.
    """

    folder: Path
    reach: Reach = "below"

    def follow(self, path: str | os.PathLike[str], what: str, error: type[DragonkitError], must_exist: bool = True) -> Path:
        """The path of a file, relative to the current folder.

        Args:
            what: is named, such as "mask", for the message.
            error: the class to raise.
            must_exist: whether it must be an ordinary file.
        """
        named = quoted(path)
        if self.reach == "nowhere":
            raise error(
                f"the {what} is the path {named}, but paths in a picture's metadata are never followed, as they may lead to anything here. "
                "Save the edit file as JSON with EditFile.load(picture).save(file), look at it, and run that."
            )
        place = self.folder / path
        if self.reach == "below" and not self._holds(place):
            raise error(
                f"the {what} {named} lies outside of {str(self.folder)!r}, the edit file's folder. Move it there, or trust the file's "
                "paths with --trust-paths, in Python with trust_paths=True."
            )
        if must_exist and not os.path.isfile(place):  # unlike Path.is_file it takes any text
            raise error(f"there is no {what} file {named} in {str(self.folder)!r}. Paths are relative to the edit file.")
        return place

    def _holds(self, place: Path) -> bool:
        try:
            return Path(os.path.realpath(place)).is_relative_to(os.path.realpath(self.folder))
        except ValueError:  # "\0" in it
            return True  # as there is no such file anywhere
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return True
