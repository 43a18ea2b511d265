"""How a broken rule is told: one sentence that names the plugin and the hook."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from dragonkit.errors import DragonkitError

__all__ = ["failure", "failures"]


def failure(plugin: str, hook: str | None, sentence: str) -> AssertionError:
    """The error for a broken rule."""
    return AssertionError(f"plugin {plugin!r}{f', {hook}' if hook else ''}: {sentence.rstrip('.')}.")


@contextmanager
def failures() -> Iterator[None]:
    """dragonkit's own errors, which name plugin and hook in their text or their notes, become failures as well."""
    try:
        yield
    except DragonkitError as error:
        raise AssertionError("; ".join([str(error), *getattr(error, "__notes__", ())])) from error
