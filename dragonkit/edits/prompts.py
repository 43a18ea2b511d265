"""Prompts: text that every model, file and terminal can hold."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator

from dragonkit.errors import EditError
from dragonkit.words import short

__all__ = ["Prompt", "checked_prompt"]


def checked_prompt(prompt: Any, what: str = "the prompt") -> str:
    """The prompt itself. EditError unless it is text that UTF-8 can hold; `what` names it."""
    if not isinstance(prompt, str):
        raise EditError(f"{what} is {short(prompt)}, but must be text. Say what the picture shows, or nothing with ''.")
    try:
        prompt.encode()
    except UnicodeEncodeError as error:
        found = prompt[error.start]
        raise EditError(
            f"{what} holds {found!r} at {error.start}, which is half a character or a broken byte. Write it in UTF-8."
        ) from error
    if "\0" in prompt:
        raise EditError(f"{what} holds '\\0' at {prompt.index(chr(0))}, which ends text where it is written. Leave it out.")
    return prompt


Prompt = Annotated[str, AfterValidator(checked_prompt)]
"""The type of a field that holds a prompt."""
