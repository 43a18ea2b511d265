"""Whose fault an error is, and which plugin a thread is in: all code of plugins runs within `blamed`."""

from __future__ import annotations

import importlib
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pluggy

from dragonkit.errors import Cancelled, EditError, ImageError, OutOfMemoryError, PluginHookError

__all__ = ["FOR_THE_USER", "blamed", "is_out_of_memory", "running_in", "where"]

FOR_THE_USER = (Cancelled, EditError, ImageError, OutOfMemoryError)
"""Errors about what the user asked for: a plugin that raises them works as it should."""

_CALLERS = (str(Path(__file__).parents[1]), str(Path(pluggy.__file__).parent), str(Path(importlib.__file__).parent))
"""Folders of those who call plugins."""

_running: dict[int, list[str]] = {}  # by thread


@contextmanager
def blamed(
    plugin: str, origin: str | None, what: str, passing: type[Exception] | tuple[type[Exception], ...] = FOR_THE_USER
) -> Iterator[None]:
    """Within this block any error names the plugin.

    Args:
        origin: its distribution and version; None when it was registered by hand.
        what: the hook, or what else of the plugin is running.
        passing: errors that are left as they are, with a note. So is a Ctrl-C, which can only hit the main thread.

    Raises:
        PluginHookError: it raised something, a SystemExit included.
        OutOfMemoryError: the machine, not the plugin, is to blame. A device's own error passes: the caller knows what to advise.
    """
    who, own = f"plugin {plugin!r} ({origin or 'registered by hand'}) in {what}", (origin or "").partition(" ")[0] == "dragonkit"
    stack = _running.setdefault(threading.get_ident(), [])
    stack.append(who)
    try:
        yield
    except passing as error:
        if not own:
            error.add_note(f"raised by {who}")
        raise
    except (Exception, SystemExit, KeyboardInterrupt) as error:
        if is_out_of_memory(error):
            error.add_note(f"raised by {who}")
            if type(error).__module__.partition(".")[0] == "torch":
                raise
            raise OutOfMemoryError("use a smaller picture, or close other programs") from error
        if own and not isinstance(error, Exception):  # dragonkit's own plugins exit nowhere: a signal came
            raise
        if isinstance(error, KeyboardInterrupt) and threading.current_thread() is threading.main_thread():
            error.add_note(f"{who} was running")
            raise
        text = str(error).rstrip(".")
        raise PluginHookError(
            plugin,
            origin,
            f"{what} raised {type(error).__name__}{f': {text}' if text else ''}. "
            "Tell the plugin's author, or load only others with DRAGONKIT_PLUGINS.",
        ) from error
    finally:
        stack.pop()
        if not stack:
            _running.pop(threading.get_ident(), None)


def running_in(thread: threading.Thread) -> str | None:
    """The plugin whose code a thread runs now, and what of it; None for none."""
    stack = _running.get(thread.ident or 0)
    try:
        return stack[-1] if stack else None
    except IndexError:  # left just now
        return None


def where(error: BaseException) -> str:
    """The place in the plugin's own file that an error came through last, as " (file.py, line 12)"; "" where no frame tells."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(("<frozen", *_CALLERS))]
    own = [frame for frame in frames if frame.filename == frames[0].filename]
    return f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or its device has no memory left. Loads no torch: on a CPU that says it in a RuntimeError's words."""
    return (
        isinstance(error, MemoryError)
        or (isinstance(error, RuntimeError) and type(error).__name__ == "OutOfMemoryError")
        or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
    )
