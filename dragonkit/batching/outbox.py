"""Where results go: a folder of this machine or an address of fsspec's. Nothing is written outside of it, nor over what is there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from dragonkit.batching.addresses import filesystem, is_remote, tidy
from dragonkit.editing.results import EditResult
from dragonkit.editing.storing import BESIDE, Metadata
from dragonkit.errors import EditFileError, ImageError

__all__ = ["AwayFolder", "Folder", "TakenError", "outbox"]


class TakenError(EditFileError):
    """There is something of that name."""


class Folder:
    """Results in a folder of this machine."""

    def __init__(self, root: str) -> None:
        self.root = root

    @contextmanager
    def copy(self, name: str) -> Iterator[Path | None]:
        """A file of this machine that is what the result of that name is now; None where there is none."""
        place = self._place(name)
        yield place if os.path.lexists(place) else None

    def has(self, name: str) -> bool:
        return os.path.lexists(Path(self.root) / f"{name}.png")

    def save(self, name: str, result: EditResult, metadata: Metadata, overwrite: bool) -> None:
        """Write a result, whole or not at all.

        Raises:
            TakenError: not `overwrite`, and there is something.
            ImageError: it cannot be written.
        """
        try:
            result.save(self._place(name), metadata, overwrite)
        except ImageError as error:
            if isinstance(error.__cause__, FileExistsError):
                raise TakenError(str(error)) from error
            raise

    def _place(self, name: str) -> Path:
        """EditFileError where a link leads outside."""
        place = Path(self.root) / f"{name}.png"
        if not Path(os.path.realpath(place)).is_relative_to(os.path.realpath(self.root)):
            raise EditFileError(f"{str(place)!r} is a link, or behind one, that leads outside of {self.root!r}; take the link away.")
        return place


class AwayFolder(Folder):
    """Results at an address."""

    @contextmanager
    def copy(self, name: str) -> Iterator[Path | None]:
        there, place = filesystem(f"{self.root}/{name}.png")
        with TemporaryDirectory(prefix="dragonkit-batch-") as near:
            copy = Path(near) / "result.png"
            if there.exists(place):
                there.get_file(place, str(copy))
            yield copy if copy.exists() else None

    def has(self, name: str) -> bool:
        there, place = filesystem(f"{self.root}/{name}.png")
        return bool(there.exists(place))

    def save(self, name: str, result: EditResult, metadata: Metadata, overwrite: bool) -> None:
        """As above. What is beside a result comes before it, so that a result that is there is complete."""
        there, place = filesystem(f"{self.root}/{name}.png")
        if not overwrite and there.exists(place):
            raise TakenError(f"{place!r} is there already")
        with TemporaryDirectory(prefix="dragonkit-batch-") as near:
            made = result.save(Path(near) / "result.png", metadata)
            try:
                for ending in (BESIDE, ".png"):
                    if (file := made.with_name(f"result{ending}")).exists():
                        part = f"{place.removesuffix('.png')}.{secrets.token_hex(6)}.part"
                        there.makedirs(part.rpartition("/")[0], exist_ok=True)
                        there.put_file(str(file), part)
                        there.mv(part, place.removesuffix(".png") + ending)
            except OSError as error:
                raise ImageError(
                    f"the result could not be written to {place!r}: {error.strerror or error}; choose another place"
                ) from error


def outbox(out: str | os.PathLike[str]) -> Folder:
    """The place for results."""
    place = tidy(out)
    return AwayFolder(place.rstrip("/")) if is_remote(place) else Folder(place)
