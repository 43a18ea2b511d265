"""What `help`, an editor's tooltip and IPython's `?` say of a model: a signature to be read, and a line for every field."""

from __future__ import annotations

import inspect
import textwrap

from pydantic import BaseModel
from pydantic.fields import FieldInfo

__all__ = ["write_manual"]

_BOUNDS = {"gt": "above", "ge": "at least", "lt": "below", "le": "at most"}
_WIDTH = 100


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
    told = [part for part in (info.description, _range_of(info)) if part]
    if info.is_required():
        told.append("required")
    elif "left out" not in (info.description or ""):
        told.append(f"{_default_of(info)} when left out")
    return textwrap.fill(f"    {name}: {'; '.join(told)}.", _WIDTH, subsequent_indent=" " * 8, break_long_words=False)


def _range_of(info: FieldInfo) -> str:
    bounds = {key: getattr(one, key) for one in info.metadata for key in _BOUNDS if hasattr(one, key)}
    if bounds.keys() == {"ge", "le"}:
        return f"from {bounds['ge']} to {bounds['le']}"
    return " and ".join(f"{_BOUNDS[key]} {bound}" for key, bound in bounds.items())
