"""The edit file, which replays a whole run: what a run needs, as JSON.

It holds edits as dicts, because reading one must not need the plugins: `edits_from` makes edits of them once the modes are known.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from PIL import Image
from pydantic import Field, JsonValue, PrivateAttr, field_validator, model_validator

from dragonkit.edits.edit import Edit, unknown_mode
from dragonkit.edits.limits import MAX_BYTES, MAX_EDITS, check_weight
from dragonkit.edits.paths import PathRule, Reach
from dragonkit.edits.prompts import Prompt
from dragonkit.edits.settings import Settings
from dragonkit.edits.validation import Model
from dragonkit.edits.values import image_from_text, image_to_text
from dragonkit.errors import EditError, EditFileError, ImageError
from dragonkit.imaging.opening import open_file, text_in_png
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
    model: str = Field(min_length=1, description="name, hub id or path of the diffusion model")
    image: str = Field(default="", description="path relative to this file, or data:image/png;base64,...; may be empty with a seed")
    prompt: Prompt = Field(default="", description="what the image shows")
    seed: int | None = Field(default=None, ge=0, le=2**63 - 1, description="the source is generated from the prompt and this seed")
    settings: Settings = Field(default_factory=Settings)
    edits: list[dict[str, JsonValue]] = Field(description="the edits, each with its mode and its fields")

    _name: str = PrivateAttr(default="the edit file")
    _folder: Path | None = PrivateAttr(default=None)
    _reach: Reach = PrivateAttr(default="anywhere")  # made in Python, it may name anything

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
        if size > MAX_BYTES:
            raise EditFileError(f"the edit file {name} has more than {MAX_BYTES:,} bytes. Let it name its pictures, not hold them.")
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
        if text is None:
            raise EditFileError(f"{name} carries no edit file. Only PNGs that dragonkit wrote do; many programs remove it.")
        file = cls.loads(text, name, Path(path).parent)
        file._reach = "nowhere"
        return file

    def dumps(self) -> str:
        """The file's JSON text, every default spelled out, so that a replay does not depend on later defaults."""
        return json.dumps(self.model_dump(mode="json"), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the JSON text. EditFileError if it cannot be written, or if relative paths in it would lead nowhere."""
        path = Path(path)
        if self._folder is not None and path.parent.resolve() != self._folder.resolve():
            texts = [self.image, *(value for edit in self.edits for value in edit.values() if isinstance(value, str))]
            paths = [text for text in texts if not os.path.isabs(text) and os.path.isfile(self._folder / text)]
            if paths:
                raise EditFileError(
                    f"{self._name} names {paths[0]!r} relative to {str(self._folder)!r}, so it cannot be saved in {str(path.parent)!r}. "
                    "Save it in the same folder, or save file.self_contained(edit_types)."
                )
        try:
            path.write_text(self.dumps(), encoding="utf-8")
        except OSError as error:
            raise EditFileError(f"the edit file {str(path)!r} cannot be written: {error.strerror or error}.") from error

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
            try:
                edits.append(edit_types[str(data["mode"])].from_dict(data, self._paths))
            except EditError as error:
                raise EditFileError(f"{where}{error}") from error
        return edits

    def load_image(self) -> Image.Image:
        """The source picture as RGB. EditFileError when there is none or it cannot be read."""
        if not self.image:
            raise EditFileError(f"{self._name}: image is empty. Generate the source from seed {self.seed} and prompt {self.prompt!r}.")
        try:
            return image_from_text(self.image, self._paths)
        except ImageError as error:
            raise EditFileError(f"{self._name}: image: {error}") from error

    def self_contained(self, edit_types: Mapping[str, type[Edit]]) -> EditFile:
        """The same run with the picture and all masks inside, so that it can be kept anywhere."""
        image = image_to_text(self.load_image()) if self.image else ""
        return EditFile(**{**dict(self), "image": image, "edits": self.edits_from(edit_types)})

    def model_to_load(self, known: Collection[str]) -> str:
        """The model's name for whoever loads it. EditFileError where it is a path that this file may not name.

        Args:
            known: names that are no paths, whatever lies here under such a name.
        """
        path = os.path.expanduser(self.model)
        if self.model not in known and os.path.exists(path):
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


def _refuse_constant(name: str) -> None:
    raise ValueError(f"it holds {name}, which Python writes but JSON does not know")


def _finite(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"it holds {text[:20]}, which is no number that a computer can hold")
    return number
