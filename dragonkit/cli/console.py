"""What the command line says and how it ends: messages and progress on stderr, results on stdout, exit codes.

    0    done
    1    a bug: something failed that should not
    2    what was asked for cannot be done; one line says why
    130  stopped from outside

DRAGONKIT_DEBUG=1 shows the traceback of every error.
"""

from __future__ import annotations

import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from dragonkit.errors import Cancelled, DragonkitError

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dragonkit.plugins.registry import PluginRegistry

__all__ = ["bars", "debugging", "load_registry", "run_guarded", "show", "warn"]

Bar = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def debugging() -> bool:
    return os.environ.get("DRAGONKIT_DEBUG", "").strip().lower() not in ("", "0", "false", "no")


def run_guarded(work: Callable[[], Any]) -> int:
    """Do the work and return its exit code; every error becomes one line on stderr, a bug a traceback and one line."""
    try:
        code = work()
    except Cancelled as error:
        return _failed(error, str(error), 130)
    except KeyboardInterrupt as error:
        return _failed(error, "interrupted", 130)
    except typer.Abort as error:
        return _failed(error, "stopped without an answer", 130)
    except DragonkitError as error:
        return _failed(error, str(error), 2)
    except Exception as error:
        if callable(getattr(error, "format_message", None)):  # a usage error, of whichever click typer brings
            return _failed(error, _usage(error), getattr(error, "exit_code", 2))
        if not debugging():
            traceback.print_exc()
        return _failed(error, f"this is a bug in dragonkit or a plugin ({type(error).__name__}: {error}); please report the lines above", 1)
    return code if isinstance(code, int) else 0


def warn(text: str) -> None:
    """One line on stderr."""
    _line("warning: ", text, typer.colors.YELLOW)


def show(*what: RenderableType) -> None:
    """Print tables and text to stdout; brackets are just brackets."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    for one in what:
        console.print(one, soft_wrap=isinstance(one, str))


def load_registry() -> PluginRegistry:
    """The plugins; one that cannot be loaded is a line on stderr."""
    from dragonkit.plugins.registry import get_registry

    with warnings.catch_warnings(record=True) as caught:
        warnings.filterwarnings("always", message="skipped: ")
        registry = get_registry()
    for warning in caught:
        if str(warning.message).startswith("skipped: "):
            warn(str(warning.message))
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
    return registry


@contextmanager
def bars(quiet: bool) -> Iterator[Callable[[str], Bar]]:
    """Progress bars on stderr, gone when the block ends: call with a title to get one. Nothing is shown when quiet or not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield lambda title: lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:

        def new_bar(title: str) -> Bar:
            task = progress.add_task(title, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total or None)

        yield new_bar


def _usage(error: Any) -> str:
    """A usage error with the place where help is."""
    text, context = error.format_message().strip(), getattr(error, "ctx", None)
    return f"{text.rstrip('.')} (see {context.command_path} --help)." if context else text


def _failed(error: BaseException, text: str, code: int) -> int:
    if debugging():
        traceback.print_exception(error)
    _line("error: ", text, typer.colors.RED)
    return code


def _line(label: str, text: str, color: str) -> None:
    plain = bool(os.environ.get("NO_COLOR"))
    typer.echo((label if plain else typer.style(label, fg=color, bold=True)) + " ".join(text.split()), err=True)
