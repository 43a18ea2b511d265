"""What `help`, an editor's tooltip and IPython's `?` say of a model: a signature to be read, and a line for every field."""

from __future__ import annotations

import inspect
import textwrap
from typing import TYPE_CHECKING

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from dragonkit.edits.schema import range_of

__all__ = ["Readable", "write_manual"]

_BOUNDS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
}  # as a JSON schema, which takes long, calls them
_WIDTH = 100
_PYDANTICS = {*dir(BaseModel), "model_computed_fields", "model_config", "model_extra", "model_fields", "model_fields_set"}

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass as Readable
else:

    class Readable(type(BaseModel)):
        """Whose classes' `help` and `dir` show what dragonkit wrote; what pydantic adds, four hundred lines, is there all the same."""

        def __dir__(cls) -> list[str]:
            return [name for name in super().__dir__() if not name.startswith("__") and name not in _PYDANTICS]


def write_manual(model: type[BaseModel]) -> None:
    """Give a class a signature without validators, and below its own docstring the fields: what they are, their ranges and defaults."""
    keyword, fields = inspect.Parameter.KEYWORD_ONLY, model.model_fields
    parameters = [inspect.Parameter(name, keyword, default=_default_of(info)) for name, info in fields.items()]
    # keyword-only parameters may stand in any order, but those that must be given come first for a reader
    model.__signature__ = inspect.Signature(sorted(parameters, key=lambda one: one.default is not one.empty))  # type: ignore[misc]
    own = inspect.cleandoc(model.__dict__.get("__doc__") or "")
    if own and fields and "\nFields:\n" not in own:
        model.__doc__ = f"{own}\n\nFields:\n" + "\n".join(_line_of(name, info) for name, info in fields.items())


def _default_of(info: FieldInfo) -> object:
    return inspect.Parameter.empty if info.is_required() else info.get_default(call_default_factory=True, validated_data={})


def _line_of(name: str, info: FieldInfo) -> str:
    bounds = {_BOUNDS[key]: getattr(one, key) for one in info.metadata for key in _BOUNDS if hasattr(one, key)}
    told = [part for part in (info.description, range_of(bounds)) if part]
    if info.is_required():
        told.append("required")
    elif "left out" not in (info.description or ""):
        told.append(f"{_default_of(info)} when left out")
    return textwrap.fill(f"    {name}: {'; '.join(told)}.", _WIDTH, subsequent_indent=" " * 8, break_long_words=False)
