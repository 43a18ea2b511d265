"""One notebook server and one browser for all tests in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notebook_server import Server, chromium, missing, serve


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A notebook server. Where what it needs is not there, the test is skipped with the reason; where CI is set, it fails."""
    if why := missing():
        if os.environ.get("CI"):
            pytest.fail(f"the browser tests cannot run: {why}")
        pytest.skip(f"the browser tests were left out: {why}")
    with serve(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def browser(server: Server) -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go: the folder named in DRAGONKIT_SCREENSHOTS, or a temporary one."""
    named = os.environ.get("DRAGONKIT_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


_measured: list[str] = []
_left_out: list[str] = []


@pytest.fixture(scope="session")
def measured() -> list[str]:
    """Lines about what was measured; they are shown when all tests are over."""
    return _measured


def pytest_deselected(items: list[pytest.Item]) -> None:
    _left_out.extend(item.name for item in items if Path(__file__).parent in item.path.parents)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    for line in _measured:
        terminalreporter.write_line(f"browser: {line}")
    if why := missing():
        terminalreporter.write_line(f"browser: the tests in a real browser cannot run: {why}")
    elif _left_out:
        terminalreporter.write_line(f"browser: {len(_left_out)} browser tests were left out; pytest -m e2e tests/jupyter/e2e runs them")
