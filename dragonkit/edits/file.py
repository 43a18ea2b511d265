"""The edit file, which replays a whole run: what a run needs, as JSON.

It holds edits as dicts, because reading one must not need the plugins: `edits_from` makes edits of them once the modes are known.
Pictures may be named by the hash of their pixels. The file of a result holds them beside that, in memory, and is written with or without.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from PIL import Image
from pydantic import Field, JsonValue, PrivateAttr, field_validator, model_validator

from dragonkit.edits.edit import Edit, unknown_mode
from dragonkit.edits.limits import MAX_BYTES, MAX_EDITS, check_weight
from dragonkit.edits.naming import split_lora, split_model
from dragonkit.edits.paths import PathRule, Reach
from dragonkit.edits.pictures import is_hash, kept_apart, matched, refuse_missing, replaced, texts_in
from dragonkit.edits.prompts import Prompt
from dragonkit.edits.settings import Settings
from dragonkit.edits.sharing import shareable
from dragonkit.edits.validation import Model
from dragonkit.edits.values import photo_from_text
from dragonkit.edits.writing import inside, json_text, refuse_lost_paths, write_with_pictures
from dragonkit.errors import EditError, EditFileError, ImageError
from dragonkit.imaging.images import ImageSource
from dragonkit.imaging.opening import open_file, text_in_png
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo
from dragonkit.words import quoted, short

if TYPE_CHECKING:
    from typing import Self

__all__ = ["PNG_KEY", "EditFile"]

PNG_KEY = "dragonkit"  # the PNG text chunk that carries an edit file
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


class EditFile(Model):
    """Everything a run needs, as JSON: model, image or seed, prompt, settings, edits. Frozen; equal when the content is.

    Raises:
        EditFileError: something is wrong; the message names the file, the field and what is allowed.
    """

    error_type: ClassVar[type[EditError]] = EditFileError
    error_prefix: ClassVar[str | None] = ""

    version: Literal[1] = 1
    model: str = Field(default="toybox", min_length=1, description="name, hub id or path of the diffusion model")
    image: str = Field(
        default="",
        description="path relative to this file, data:image/png;base64,..., or sha256:... of its pixels; may be empty with a seed",
    )
    prompt: Prompt = Field(default="", description="what the image shows")
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1, description="the source is generated from the prompt and this seed")
    seed_guidance_scale: float | None = Field(
        default=None, ge=0, le=100, description="guidance_scale that the source is generated under; the settings' when left out"
    )
    settings: Settings = Field(default_factory=Settings)
    edits: list[dict[str, JsonValue]] = Field(description="the edits, each with its mode and its fields")

    _name: str = PrivateAttr(default="the edit file")
    _folder: Path | None = PrivateAttr(default=None)
    _reach: Reach = PrivateAttr(default="anywhere")  # made in Python, it may name anything
    _photos: dict[str, Photo] = PrivateAttr(default_factory=dict)

    @field_validator("edits", mode="before")
    @classmethod
    def _edits_to_dicts(cls, edits: Any) -> Any:
        return [edit.to_dict() if isinstance(edit, Edit) else edit for edit in edits] if isinstance(edits, (list, tuple)) else edits

    @field_validator("edits")
    @classmethod
    def _edits_have_modes(cls, edits: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if len(edits) > MAX_EDITS:
            raise EditFileError(f"there are {len(edits)}, but one run does at most {MAX_EDITS}. Make several edit files of it.")
        for index, edit in enumerate(edits):
            if not isinstance(edit.get("mode"), str):
                raise EditFileError(f"number {index} has the mode {short(edit.get('mode'))}; give the name of one, such as 'move'.")
        return edits

    @model_validator(mode="after")
    def _image_or_seed(self) -> Self:
        if not self.image and self.seed is None:
            raise EditFileError("there is neither an image nor a seed. Name the image to edit, or the seed of one to generate.")
        return self

    @classmethod
    def loads(cls, text: str, name: str = "the edit file", folder: str | os.PathLike[str] | None = None, trust_paths: bool = False) -> Self:
        """Read JSON text. Paths in it are relative to a folder, and followed where they end in it or below it.

        Args:
            name: is used in messages.
            folder: the current one when left out.
            trust_paths: follow paths to anywhere.
        """
        try:
            data = json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
        except (ValueError, RecursionError) as error:
            raise EditFileError(f"{name} is not JSON: {error}. Was it cut off or edited by hand?") from error
        if not isinstance(data, dict):
            raise EditFileError(f"{name} holds {short(data)}, but an edit file is a JSON object with model, image and edits.")
        version = data.get("version", 1)
        if isinstance(version, int) and version > 1:
            raise EditFileError(f"{name} has version {short(version)}, but this dragonkit reads version 1. Upgrade dragonkit.")
        check_weight(data, name)
        try:
            file = cls(**data)
        except EditFileError as error:
            raise EditFileError(f"{name}: {error}") from error
        file._name = name
        file._folder = None if folder is None else Path(folder)
        file._reach = "anywhere" if trust_paths else "below"
        return file

    @classmethod
    def load(cls, path: str | os.PathLike[str], trust_paths: bool = False) -> Self:
        """Read an edit file, or the one that a result picture (PNG) carries.

        Paths in an edit file are relative to its folder; those in a picture are never followed.

        Args:
            trust_paths: follow paths of an edit file to anywhere, and not only to its folder and what is below.
        """
        name = quoted(path)
        try:
            with open_file(path) as file:
                if file.read(len(_PNG_SIGNATURE)) == _PNG_SIGNATURE:
                    return cls.from_png(path)
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                data = file.read(MAX_BYTES) if size <= MAX_BYTES else b""
        except OSError as error:
            raise EditFileError(f"the edit file {name} cannot be read: {error.strerror or error}. Check the path.") from error
        _refuse_heavy(size, name)
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise EditFileError(f"{name} is not text: it starts with {data[:8]!r}. Pass an edit file or result PNG.") from error
        return cls.loads(text, name, Path(path).parent, trust_paths)

    @classmethod
    def from_png(cls, path: str | os.PathLike[str]) -> Self:
        """The edit file that `result.save("out.png")` put into the picture's metadata. Paths in it are never followed."""
        name = quoted(path)
        try:
            text = text_in_png(path, PNG_KEY)
        except ImageError as error:
            raise EditFileError(f"{error} Pass a PNG that dragonkit wrote.") from error
        return cls._carried(text, name, Path(path).parent)

    @classmethod
    def sent(cls, data: bytes, name: str) -> Self:
        """The edit file in the bytes of a file that somebody sent, JSON or a result's PNG. No path in it is ever followed.

        Args:
            name: is used in messages.
        """
        _refuse_heavy(len(data), name)
        try:
            text = text_in_png(data, PNG_KEY, f"the picture {name}") if data.startswith(_PNG_SIGNATURE) else data.decode("utf-8-sig")
        except (ImageError, UnicodeDecodeError) as error:
            raise EditFileError(f"{name} cannot be read as an edit file: {error}. Pass an edit file or result PNG.") from error
        return cls._carried(text, name)

    @classmethod
    def _carried(cls, text: str | None, name: str, folder: Path | None = None) -> Self:
        """The edit file in somebody else's data, None where there is none: no path in it is followed."""
        if text is None:
            raise EditFileError(f"{name} carries no edit file. Only PNGs that dragonkit wrote do; many programs remove it.")
        file = cls.loads(text, name, folder)
        file._reach = "nowhere"
        return file

    @classmethod
    def of(
        cls,
        model: str,
        source: Photo | int,
        prompt: str,
        settings: Settings,
        edits: Sequence[Edit],
        seed_guidance_scale: float | None = None,
    ) -> Self:
        """The edit file of a run. It names pictures by their hashes, and holds them beside that.

        Args:
            source: the picture, or the seed that it was generated from.
            seed_guidance_scale: what it was generated under.
        """
        photos: dict[str, Photo] = {} if isinstance(source, int) else {source.hash: source}
        own = None if seed_guidance_scale == settings.guidance_scale else seed_guidance_scale
        generated = {"seed": source, "seed_guidance_scale": own}
        named: dict[str, Any] = generated if isinstance(source, int) else {"image": source.hash}
        with kept_apart(photos):
            file = cls(model=model, prompt=prompt, settings=settings, edits=[edit.to_dict() for edit in edits], **named)
        file._photos = photos
        return file

    def with_pictures(self, *pictures: ImageSource | Photo) -> Self:
        """The same run with the pictures that it names by their hashes, as the file in a result's PNG does.

        Raises:
            EditFileError: a picture is none of those.
            ImageError: it cannot be read.
        """
        named = [text for _, text in texts_in([self.image, self.edits]) if is_hash(text)]
        return self._holding({**self._photos, **matched(pictures, named, self._name)})

    def missing(self) -> dict[str, str]:
        """The pictures, and masks, that it names by a hash and does not hold: place and hash, such as {"image": "sha256:..."}."""
        texts = texts_in({"image": self.image, "edits": self.edits})
        return {place: text for place, text in texts if is_hash(text) and text not in self._photos}

    def check_pictures(self) -> None:
        """EditFileError where there are `missing` ones."""
        refuse_missing(self.missing(), self._name)

    def shareable(self) -> Self:
        """The same run without what is private: pictures are named by their hashes, paths by their last part.

        EditFileError when a picture cannot be read.
        """
        data = {**self.model_dump(mode="json"), "image": self.photo_hash}
        return type(self)(**shareable(data, lambda text: self._data_photo(text).hash))

    def pngs(self) -> dict[str, bytes]:
        """The pictures that the file holds, as PNG by their hashes."""
        return {name: photo.png() for name, photo in self._photos.items()}

    def dumps(self) -> str:
        """The file's JSON text, with the pictures it holds, and every default, so that a replay does not depend on later ones."""
        return json_text(self.model_dump(mode="json"), inside(self.pngs()))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON text. Pictures that the file holds go inside below 8 MB, else beside it.

        EditFileError if it cannot be written, or if relative paths in it would lead nowhere.
        """
        path, data = Path(path), self.model_dump(mode="json")
        if self._folder is not None:
            refuse_lost_paths(data, self._folder, path.parent, self._name)
        try:
            write_with_pictures(path, data, self.pngs())
        except OSError as error:
            raise EditFileError(
                f"the edit file {str(path)!r} cannot be written: {error.strerror or error}. Choose another place."
            ) from error

    def edits_from(self, edit_types: Mapping[str, type[Edit]]) -> list[Edit]:
        """The edits as objects.

        Args:
            edit_types: the known modes, such as `registry.edit_types()`.

        Raises:
            UnknownModeError: a mode that is not among them; the message lists them.
            EditFileError: a field of an edit is wrong, or a mask file is missing.
        """
        edits = []
        for index, data in enumerate(self.edits):
            where = f"{self._name}: edits[{index}]: "
            if data["mode"] not in edit_types:
                raise unknown_mode(str(data["mode"]), edit_types, where)
            refuse_missing([place for place in self.missing() if place != "image"], self._name)
            given = replaced(data, lambda text: self._photos[text].picture if text in self._photos else text)
            try:
                edits.append(edit_types[str(data["mode"])].from_dict(given, self._paths))
            except EditError as error:
                raise EditFileError(f"{where}{error}") from error
        return edits

    def load_image(self) -> Image.Image:
        """The source picture as RGB. EditFileError when there is none or it cannot be read."""
        return self.photo().picture

    def photo(self) -> Photo:
        """The source picture in its own kind. EditFileError when there is none or it cannot be read."""
        if not self.image:
            raise EditFileError(f"{self._name}: image is empty. Generate the source from seed {self.seed} and prompt {self.prompt!r}.")
        if self.image in self._photos:
            return self._photos[self.image]
        if is_hash(self.image):
            self.check_pictures()
        if self.image.startswith("data:"):
            return self._data_photo(self.image)
        try:
            rule = self._paths or PathRule(Path(), "anywhere")
            return open_photo(rule.follow(self.image, "picture", ImageError, must_exist=False))
        except ImageError as error:
            raise EditFileError(f"{self._name}: image: {error}") from error

    @property
    def photo_hash(self) -> str:
        """The hash of the source picture's pixels; "" where it is generated. EditFileError when it cannot be read."""
        return self.image if is_hash(self.image) else self.photo().hash if self.image else ""

    def self_contained(self, edit_types: Mapping[str, type[Edit]]) -> EditFile:
        """The same run with the picture and all masks inside, so that it can be kept anywhere."""
        photos = {self.photo_hash: self.photo()} if self.image else {}
        with kept_apart(photos):
            file = EditFile(**{**dict(self), "image": self.photo_hash, "edits": self.edits_from(edit_types)})
        return file._holding(photos)

    def _holding(self, photos: Mapping[str, Photo]) -> Self:
        file = self.model_copy()
        file._photos = dict(photos)
        return file

    def _data_photo(self, text: str) -> Photo:
        try:
            return photo_from_text(text)
        except ImageError as error:
            raise EditFileError(f"{self._name}: image: {error}") from error

    def __repr__(self) -> str:
        source = short(self.image) if self.image else f"seed {self.seed}"
        return f"<EditFile {', '.join(str(edit['mode']) for edit in self.edits)} of {source} with {self.model}>"

    def model_to_load(self, known: Collection[str]) -> str:
        """The model's name for whoever loads it. EditFileError where it is a path that this file may not name.

        Args:
            known: names that are no paths, whatever lies here under such a name.
        """
        model, lora = split_model(self.model)
        for name in (model, *(split_lora(one)[0] for one in lora)):
            path = os.path.expanduser(name)
            if name in known or not os.path.exists(path):
                continue
            try:
                PathRule(self._folder or Path(), self._reach).follow(os.path.abspath(path), "model", EditFileError, must_exist=False)
            except EditFileError as error:
                raise EditFileError(f"{self._name}: {error} Or name the model yourself, with --model.") from error
        return self.model

    @property
    def _paths(self) -> PathRule | None:
        """Which of its paths are followed; None where they are the current program's own."""
        return None if self._folder is None and self._reach == "anywhere" else PathRule(self._folder or Path(), self._reach)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, EditFile) and dict(self) == dict(other)

    def __hash__(self) -> int:
        return hash((self.model, self.image, self.prompt, self.seed))


def _refuse_heavy(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise EditFileError(f"the edit file {name} has more than {MAX_BYTES:,} bytes. Let it name its pictures, not hold them.")


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which Python writes but JSON does not know")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"it holds {text[:20]}, which is no number that a computer can hold")
    return number
