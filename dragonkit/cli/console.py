"""What the command line says and how it ends: messages and progress on stderr, results on stdout, exit codes.

    0    done
    1    a bug: something failed that should not
    2    what was asked for cannot be done; one line says why
    130  stopped by Ctrl-C, 143 by SIGTERM
    141  nobody reads the output any more

DRAGONKIT_DEBUG=1 shows the traceback of every error.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import typer

from dragonkit.errors import Cancelled, DragonkitError, PluginHookError
from dragonkit.plugins.blame import is_out_of_memory, where
from dragonkit.words import closest

if TYPE_CHECKING:
    from rich.console import RenderableType

    from dragonkit.plugins.registry import PluginRegistry

__all__ = ["bars", "debugging", "interrupts_told", "load_registry", "printable", "run_guarded", "show", "warn"]

_UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EBADF)

Bar = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def debugging() -> bool:
    return os.environ.get("DRAGONKIT_DEBUG", "").strip().lower() not in ("", "0", "false", "no")


class _Terminated(KeyboardInterrupt):
    """SIGTERM, as good as a Ctrl-C: everything is put in order first."""


class _Stopped(Cancelled):
    """Stopped from outside, with the exit code that says how."""

    def __init__(self, error: KeyboardInterrupt) -> None:
        terminated = isinstance(error, _Terminated)
        super().__init__("; ".join(["stopped by SIGTERM" if terminated else "interrupted", *getattr(error, "__notes__", ())]))
        self.code = 143 if terminated else 130


class _Unread(Cancelled):
    """Nobody reads stdout any more, as after `| head`: there is nobody to tell, either."""


@contextmanager
def interrupts_told() -> Iterator[None]:
    """Ctrl-C and SIGTERM as errors that are told, with the plugin that was running; typer alone ends without a word."""

    def terminate(*_: Any) -> None:
        raise _Terminated

    usual = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    if usual:
        signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    except KeyboardInterrupt as error:
        raise _Stopped(error) from None
    except BrokenPipeError:  # typer would exit with 1, which stands for a bug
        raise _Unread from None
    finally:
        if usual:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def run_guarded(work: Callable[[], Any]) -> int:
    """Do the work and return its exit code; every error becomes one line on stderr, a bug a traceback and one line."""
    try:
        with _plugins_told():
            code = work()
        if sys.stdout is not None:
            sys.stdout.flush()  # what cannot be written shall be known here, and not when Python has ended
    except _Unread:
        _give_up(sys.stdout)
        return 141
    except Cancelled as error:
        return _failed(error, str(error), getattr(error, "code", 130))
    except KeyboardInterrupt as error:
        return _failed(error, "interrupted", 130)
    except typer.Abort as error:
        return _failed(error, "stopped without an answer", 130)
    except PluginHookError as error:
        return _failed(error, f"{str(error).rstrip('.')}{where(error.__cause__)}." if error.__cause__ else str(error), 2)
    except DragonkitError as error:
        return _failed(error, str(error), 2)
    except Exception as error:
        if callable(getattr(error, "format_message", None)):  # a usage error, of whichever click typer brings
            return _failed(error, _usage(error), getattr(error, "exit_code", 2))
        if is_out_of_memory(error):
            return _failed(error, "the machine ran out of memory; use a smaller picture, or close other programs", 2)
        if isinstance(error, OSError) and error.filename is None and error.errno in _UNWRITABLE:
            _give_up(sys.stdout)
            return _failed(error, f"what there is to say cannot be written: {error.strerror}; make room, or send it elsewhere", 2)
        if not debugging():
            with suppress(OSError):
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
    console.on_broken_pipe = _broken_pipe  # type: ignore[method-assign]
    for one in what:
        console.print(printable(one) if isinstance(one, str) else one, soft_wrap=isinstance(one, str))


def printable(text: str) -> str:
    """The text with what no terminal can show written out: names of files need not be text."""
    return text.encode("utf-8", "backslashreplace").decode()


def load_registry() -> PluginRegistry:
    """The plugins; one that cannot be loaded is a line on stderr."""
    from dragonkit.plugins.registry import get_registry

    return get_registry()


@contextmanager
def _plugins_told() -> Iterator[None]:
    """What is said of plugins that are skipped is a line on stderr."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", message="skipped: ")
        usual = warnings.showwarning

        def show(message: Warning | str, *where: Any, **more: Any) -> None:
            if str(message).startswith("skipped: "):
                warn(str(message))
            else:
                usual(message, *where, **more)

        warnings.showwarning = show
        yield


@contextmanager
def bars(quiet: bool, rate: bool = False) -> Iterator[Callable[[str], Bar]]:
    """Progress bars on stderr, gone when the block ends: call with a title to get one. Nothing is shown when quiet or not a terminal.

    Args:
        rate: also show how many steps are done in a second.
    """
    if quiet or not sys.stderr.isatty():
        yield lambda title: lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, Task, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(TextColumn):
        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.2g}/s")

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, *([Rate("")] if rate else []), console=Console(stderr=True), transient=True) as progress:

        def new_bar(title: str) -> Bar:
            task = progress.add_task(title, total=None)
            return lambda done, total: progress.update(task, completed=done, total=total or None)

        yield new_bar


def _usage(error: Any) -> str:
    """A usage error with the place where help is."""
    text, context = error.format_message().strip(), getattr(error, "ctx", None)
    if hasattr(error, "possibilities"):
        names = [name for param in context.command.params for name in param.opts] if context else []
        text = f"There is no option {error.option_name}.{closest(error.option_name, names)}"
    return f"{text.rstrip('.')} (see {context.command_path} --help)." if context else text


def _failed(error: BaseException, text: str, code: int) -> int:
    if debugging():
        with suppress(OSError):
            traceback.print_exception(error)
    _line("error: ", text, typer.colors.RED)
    return code


def _line(label: str, text: str, color: str) -> None:
    plain = bool(os.environ.get("NO_COLOR"))
    try:
        typer.echo((label if plain else typer.style(label, fg=color, bold=True)) + " ".join(text.split()), err=True)
    except OSError:  # the exit code must do
        _give_up(sys.stderr)


def _broken_pipe() -> None:
    """rich would exit with 1, which stands for a bug."""
    raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def _give_up(stream: Any) -> None:
    """What is left in its buffer would fail again when Python ends."""
    with suppress(AttributeError, OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
