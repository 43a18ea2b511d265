"""Quick tests reach no network and start no process, unless they say so."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from helpers.isolation import ForbiddenError, isolated, pardoned

FORBIDDEN: dict[str, Callable[[], Any]] = {
    "a process": lambda: subprocess.run([sys.executable, "-c", ""], check=False),
    "a shell": lambda: os.system("true"),
    "a fork": os.fork,
    "a worker": lambda: multiprocessing.get_context("spawn").Process(target=print).start(),
    "a name": lambda: socket.getaddrinfo("example.org", 80),
    "a connection": lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
    "a server": lambda: socket.socket().bind(("127.0.0.1", 0)),
    "a page": lambda: urllib.request.urlopen("http://127.0.0.1:9/", timeout=1),
}


@pytest.fixture(autouse=True)
def on_purpose() -> Iterator[None]:
    yield
    pardoned()


def test_it_is_not_swallowed() -> None:
    told, swallowed = pytest.raises(ForbiddenError, match=r"1 times: subprocess\.Popen"), contextlib.suppress(Exception)
    with told, isolated(sockets=False, processes=False), swallowed:
        FORBIDDEN["a process"]()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_it_is_forbidden(what: str) -> None:
    with pytest.raises(ForbiddenError, match=r"without pytest\.mark\.(sockets|processes)"):
        FORBIDDEN[what]()


def test_other_threads_are_no_way_round() -> None:
    got = list[BaseException]()

    def work() -> None:
        try:
            FORBIDDEN["a process"]()
        except BaseException as error:
            got.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert isinstance(got[0], ForbiddenError)


@pytest.mark.processes
def test_a_test_that_says_so_may_start_processes() -> None:
    assert subprocess.run([sys.executable, "-c", ""], check=False).returncode == 0
    with pytest.raises(ForbiddenError):
        FORBIDDEN["a name"]()


@pytest.mark.sockets
def test_a_test_that_says_so_may_open_sockets() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()
    with pytest.raises(ForbiddenError):
        FORBIDDEN["a process"]()
