"""What is opened to be edited: a picture, a result, an edit file, or a picture that carries one; and what of it could not be restored."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from PIL import Image

from dragonkit.editing.results import EditResult
from dragonkit.editing.storing import BESIDE
from dragonkit.edits.edit import Edit
from dragonkit.edits.file import PNG_KEY, EditFile
from dragonkit.edits.pictures import is_hash, replaced
from dragonkit.edits.settings import Settings
from dragonkit.edits.sharing import model_name
from dragonkit.edits.values import image_to_text
from dragonkit.errors import DragonkitError, EditFileError
from dragonkit.imaging.images import ImageSource
from dragonkit.imaging.opening import FORMATS, text_in_png
from dragonkit.imaging.photo_files import open_photo, photo_from_bytes
from dragonkit.imaging.photos import Photo
from dragonkit.words import quoted

__all__ = ["Opened", "Sent", "Source", "opened", "remade", "reopened"]


class Sent(NamedTuple):
    """A file that came from a browser."""

    name: str
    content: bytes


Source: TypeAlias = "ImageSource | EditResult | EditFile | Sent"
EditTypes: TypeAlias = Mapping[str, type[Edit]]
Known: TypeAlias = Callable[[], Iterable[Photo]]


@dataclass(frozen=True, eq=False)
class Opened:
    """What there is to go on with.

    Attributes:
        name: what was opened, for messages.
        photo: the picture to edit; None where the file names one that nobody has.
        prompt: what it shows; None where nothing is said of it.
        model, settings: as in the edit file; None without one.
        edit: what was asked for; None where a part of it is not there.
        edit_type, values: its class and its fields, as far as they are there.
        after: what came of it, where that was opened.
        landed: whether `photo`, where there is one, is what came of it, since what it was made from is not there.
        path: the picture's file.
        lost: what could not be restored, in words that follow "not restored: ".
        file: the edit file.
    """

    name: str
    photo: Photo | None
    prompt: str | None = None
    model: str | None = None
    settings: Settings | None = None
    edit: Edit | None = None
    edit_type: type[Edit] | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    after: Photo | None = None
    landed: bool = False
    path: str | os.PathLike[str] | None = None
    lost: tuple[str, ...] = ()
    file: EditFile | None = None

    @property
    def seed(self) -> int | None:
        """Of the picture to edit, where nothing else of it is known."""
        return None if self.file is None or self.file.image else self.file.seed

    def suits(self, model: str) -> bool:
        """Whether the settings are for a model of this name."""
        return self.model in (model, model_name(model))


def opened(source: Source, edit_types: EditTypes, known: Known = tuple) -> Opened:
    """Read whatever can be edited.

    Args:
        source: a `Sent` file is data, and no path in it is followed.
        edit_types: the modes.
        known: gives the pictures that are there already, one of which may be what a file names by the hash of its pixels.

    Raises:
        ImageError: it is no picture, or too large. EditFileError: it is an edit file that is broken.
    """
    if isinstance(source, EditResult):
        file = source.edit_file
        return Opened("the result", source.photo, file.prompt, file.model, file.settings)
    if isinstance(source, EditFile):
        return reopened(source, "the edit file", None, edit_types, known)
    if isinstance(source, Sent):
        return _sent(source, edit_types, known)
    if isinstance(source, (str, os.PathLike)):
        return _file(source, edit_types, known)
    return Opened("the picture", open_photo(source))


def reopened(file: EditFile, name: str, after: Photo | None, edit_types: EditTypes, known: Known = tuple) -> Opened:
    """What an edit file says, with the pictures that it holds, and those of its hashes that are `known`; `after` is its result."""
    missing = file.missing()
    if any(is_hash(text) for text in missing.values()):
        here = {photo.hash: photo for photo in known()}
        found = [here[text] for text in dict.fromkeys(missing.values()) if text in here]
        file = file.with_pictures(*found) if found else file
    edit, edit_type, values, lost = _first_edit(file, edit_types)
    made = Opened(name, after, file.prompt, file.model, file.settings, edit, edit_type, values, landed=True, lost=lost, file=file)
    try:
        return replace(made, photo=file.photo(), after=after, landed=False)
    except EditFileError as error:
        only = ", of which the file holds only the hash: open it next, and its mask and arrows come back"
        return replace(made, lost=(f"the picture that was edited{only if is_hash(file.image) else f', as {error}'}", *lost))


def remade(found: Opened, photo: Photo, edit_types: EditTypes, known: Known = tuple) -> Opened:
    """The same, where the picture that it names by its seed has been made."""
    assert found.file is not None
    file = found.file.model_copy(update={"image": photo.hash}).with_pictures(photo)
    return reopened(file, found.name, found.photo if found.landed else None, edit_types, known)


def _file(path: str | os.PathLike[str], edit_types: EditTypes, known: Known) -> Opened:
    name = quoted(os.path.basename(os.fspath(path)))
    if os.path.splitext(path)[1].lower() == ".json":
        file = EditFile.load(path)
        made = reopened(file, name, None, edit_types, known)
        inside = file.image.startswith("data:") or is_hash(file.image) or made.photo is None
        return made if inside else replace(made, path=Path(path).parent / file.image)
    photo = open_photo(path)
    if text_in_png(path, PNG_KEY) is None:
        return Opened(name, photo, path=path)
    try:
        file = EditFile.from_png(path)
    except EditFileError as error:
        return Opened(name, photo, path=path, lost=(f"its edit, as {error}",))
    beside = Path(path).with_name(Path(path).stem + BESIDE)
    if file.missing() and beside.is_file():  # what had no room in the picture
        file = EditFile.load(beside)
    made = reopened(file, name, photo, edit_types, known)
    return replace(made, path=path) if made.landed else made


def _sent(sent: Sent, edit_types: EditTypes, known: Known) -> Opened:
    name = quoted(sent.name)
    if sent.content.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return reopened(EditFile.sent(sent.content, name), name, None, edit_types, known)
    photo = photo_from_bytes(sent.content, f"the file {name}", FORMATS)
    if text_in_png(sent.content, PNG_KEY, f"the file {name}") is None:
        return Opened(name, photo)
    try:
        file = EditFile.sent(sent.content, name)
    except EditFileError as error:
        return Opened(name, photo, lost=(f"its edit, as {error}",))
    return reopened(file, name, photo, edit_types, known)


def _first_edit(file: EditFile, edit_types: EditTypes) -> tuple[Edit | None, type[Edit] | None, dict[str, Any], tuple[str, ...]]:
    """The first edit, its class and its fields, and what is lost of it and of the others."""
    if not file.edits:
        return None, None, {}, ()
    lost = [f"{len(file.edits) - 1} of its {len(file.edits)} edits, as the editor makes one at a time"] if len(file.edits) > 1 else []
    missing = {place: text for place, text in file.missing().items() if place.startswith("edits[0].")}
    gone = {place.split(".")[1].split("[")[0] for place in missing}
    anything = image_to_text(Image.new("L", (1, 1)))
    data = replaced(file.edits[0], lambda text: anything if text in missing.values() else text)
    try:
        (edit,) = file.model_copy(update={"edits": [data]}).edits_from(edit_types)
    except DragonkitError as error:
        return None, None, {}, (f"its edit, as {error}", *lost)
    if gone:
        lost.append(f"{' and '.join(sorted(gone)).replace('_', ' ')} of its edit, which the file does not hold")
    return None if gone else edit, type(edit), {name: value for name, value in edit if name not in gone}, tuple(lost)
