"""No test opens a connection or starts a process unless it says so: `pytest.mark.sockets`, `pytest.mark.processes`."""

from __future__ import annotations

import contextlib
import multiprocessing.util
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

with contextlib.suppress(ImportError):  # when first imported it tries whether it could bind a socket
    import urllib3.util.connection  # noqa: F401

CONNECTING = ("socket.bind", "socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto")
STARTING = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn", "subprocess.Popen")

_forbidden: dict[str, str] = {}  # by event, the mark that allows it
_done = list[str]()
_hooked = threading.Event()


class ForbiddenError(Exception):
    """A test did what it has no mark for."""


@contextlib.contextmanager
def isolated(sockets: bool, processes: bool) -> Iterator[None]:
    """Within this block, what is not allowed raises, in every thread. Python tells of it by audit events, which no code can go round.

    Raises:
        ForbiddenError: at the end as well, where the code that was tested swallowed it.
    """
    if not _hooked.is_set():
        sys.addaudithook(_watch)  # there is no way to take it off again
        spawn = multiprocessing.util.spawnv_passfds  # it alone raises no event

        def spawn_told(*args: Any) -> Any:
            sys.audit("os.spawn", *args)
            return spawn(*args)

        multiprocessing.util.spawnv_passfds = spawn_told  # type: ignore[assignment]
        _hooked.set()
    before = dict(_forbidden)
    _forbidden.update({} if sockets else dict.fromkeys(CONNECTING, "sockets"))
    _forbidden.update({} if processes else dict.fromkeys(STARTING, "processes"))
    try:
        yield
    finally:
        _forbidden.clear()
        _forbidden.update(before)
    if done := pardoned():
        raise ForbiddenError(f"{len(done)} times: {done[0]}")


def pardoned() -> list[str]:
    """What was forbidden and done nevertheless until now; forgotten from here on, for tests that do it on purpose."""
    done = [*_done]
    _done.clear()
    return done


@pytest.fixture(autouse=True)
def isolation(request: pytest.FixtureRequest) -> Iterator[None]:
    """No connections and no processes in quick tests that do not say so."""
    marks = {mark.name for mark in request.node.iter_markers()}
    free = bool(marks & {"slow", "e2e", "gpu"})
    with isolated(free or "sockets" in marks, free or "processes" in marks):
        yield


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if event not in _forbidden or (event.startswith("socket.") and _is_local(args)):
        return
    told = f"{event} in a test without pytest.mark.{_forbidden[event]}: {args!r:.200}"
    _done.append(told)
    raise ForbiddenError(told)


def _is_local(args: tuple[Any, ...]) -> bool:
    """A socket of this machine's file system, such as an event loop's pair: no network."""
    return len(args) > 1 and isinstance(args[1], (str, bytes)) and str(args[1]).startswith("/")
