"""Frozen pydantic models whose errors a person can read: one sentence with the field, the value received and what is allowed.

`Model` is the base of edits, settings and edit files. `explain` turns a pydantic `ValidationError` into such a sentence, and is
all that the doors (command line, notebook) need to report a bad value in their own words.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from dragonkit.edits.manual import Readable, write_manual
from dragonkit.edits.paths import PathRule
from dragonkit.edits.schema import Allowed, allowed_in
from dragonkit.errors import DragonkitError, EditError, MaskError, PointError
from dragonkit.words import closest, short

__all__ = ["Model", "explain", "relative_to"]

# Pydantic's __init__ takes no context; a context variable is the way its documentation gives.
_context: ContextVar[dict[str, Any] | None] = ContextVar("dragonkit_validation_context", default=None)


class Model(BaseModel, metaclass=Readable):
    """A frozen pydantic model: unknown fields and NaN are refused, and a bad value raises `EditError` in plain words.

    The original pydantic error is the `__cause__`. A validator that raises `MaskError` or `PointError` decides the class.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    error_type: ClassVar[type[EditError]] = EditError
    error_prefix: ClassVar[str | None] = None

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        write_manual(cls)

    def __init__(self, /, **data: Any) -> None:
        try:
            self.__pydantic_validator__.validate_python(data, self_instance=self, context=_context.get())
        except ValidationError as error:
            raise _error_type(error, type(self))(explain(error, type(self), self.error_prefix)) from error


@contextmanager
def relative_to(folder: str | os.PathLike[str] | PathRule | None) -> Iterator[None]:
    """Within this block, path strings given to models are relative to `folder`, and must name existing files there or below.

    A `PathRule` says so in other words; None allows any path, and does not look.
    """
    rule = folder if folder is None or isinstance(folder, PathRule) else PathRule(Path(folder))
    token = _context.set(None if rule is None else {"paths": rule})
    try:
        yield
    finally:
        _context.reset(token)


def explain(error: ValidationError, model: type[BaseModel], prefix: str | Callable[[str], str] | None = None) -> str:
    """Say what is wrong in plain words, one sentence per field.

    Args:
        error: what pydantic raised while validating `model`.
        model: the class that was validated; its schema tells what is allowed.
        prefix: put in front of field names; default "ClassName.". Or a function from "field" or "field[0].part" to what users know
            it as, such as the command line's options.

    Example:
        "Settings.steps is 0, but must be an integer from 1 to 1000."
    """
    if not callable(prefix):
        prefix = (f"{model.__name__}." if prefix is None else prefix).__add__
    root, sentences = allowed_in(model), dict[str, str]()
    for item in error.errors(include_url=False):
        path, allowed = _locate(item["loc"], root)
        sentences.setdefault(path, _sentence(item, prefix(path) if path else model.__name__, model, allowed))
    return " ".join(sentences.values())


def _error_type(error: ValidationError, model: type[Model]) -> type[EditError]:
    """The class to raise: the model's own, or the more exact one that a validator raised itself."""
    items = error.errors(include_url=False)
    cause = type(items[0].get("ctx", {}).get("error"))
    one_field = len({item["loc"][:1] for item in items}) == 1
    return cause if one_field and model.error_type is EditError and cause in (MaskError, PointError) else model.error_type


def _sentence(item: ErrorDetails, name: str, model: type[BaseModel], allowed: Allowed) -> str:
    kind, value = item["type"], short(item["input"])
    cause = item.get("ctx", {}).get("error")
    if kind == "missing":
        return f"{name} is missing: give {allowed.words or 'a value'}."
    if kind == "extra_forbidden":
        for part in item["loc"][:-1]:  # a field of a field
            inner = getattr(model.model_fields.get(str(part)), "annotation", None)
            model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
        fields = list(model.model_fields)
        word = str(item["loc"][-1])
        known = ", ".join(fields) or "none"
        return f"{model.__name__} has no field {short(word)} (received {value}).{closest(word, fields)} Its fields: {known}."
    if isinstance(cause, DragonkitError):  # already a whole sentence, from a nested model or a validator
        return f"{name}: {cause}" if item["loc"] else str(cause)
    if cause is not None:
        return f"{name} is {value}: {str(cause).rstrip('.')}."
    if allowed.words:  # else pydantic's own must do
        choices = [str(choice) for part in (allowed, *allowed.parts) for choice in part.choices]
        guess = closest(item["input"], choices) if isinstance(item["input"], str) else ""
        return f"{name} is {value}, but must be {allowed.words}.{guess}"
    return f"{name} is {value}: {item['msg'].rstrip('.')}."


def _locate(loc: Sequence[str | int], root: Allowed) -> tuple[str, Allowed]:
    """Follow a pydantic error location: the path as text ("shift[0]"), and what is allowed there."""
    path, allowed = "", root
    for depth, key in enumerate(loc):
        inner = allowed.at(key)
        if inner is None and (depth > 0 or isinstance(key, int)):
            break  # the name of a union's branch, not of a field
        path += f"[{key}]" if isinstance(key, int) else f".{key}" if path else key
        allowed = inner or Allowed()
    return path, allowed if path else Allowed()
