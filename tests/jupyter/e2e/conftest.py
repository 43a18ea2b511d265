"""One notebook server, one browser and one kernel with an editor for all tests in a real browser."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.boat import CELL, SCENE, WINDOW, until_shown
from helpers.notebook_page import LONG, NotebookPage
from helpers.notebook_server import CHROMIUM, Server, chromium, missing, serve


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A notebook server. Where what it needs is not there, the tests are skipped with the reason; where CI is set, they fail."""
    if why := missing():
        if os.environ.get("CI"):
            pytest.fail(f"the browser tests cannot run without {why}")
        pytest.skip(f"the browser tests cannot run without {why}")
    with serve(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def browser(server: Server) -> Iterator[Any]:
    with chromium() as browser:
        yield browser


@pytest.fixture(scope="session")
def notebook(server: Server, browser: Any, pictures: Path) -> Iterator[NotebookPage]:
    """A notebook in JupyterLab with one cell, which opens an editor."""
    page = browser.new_context(viewport=WINDOW).new_page()
    notebook = NotebookPage(page, server, "lab", [CELL], pictures)
    notebook.open()
    yield notebook
    page.context.close()


@pytest.fixture
def lab(notebook: NotebookPage) -> Iterator[NotebookPage]:
    """That notebook with a new editor in it."""
    notebook.page.set_viewport_size(WINDOW)
    notebook.do("if 'editor' in globals(): editor.close()")
    notebook.page.locator(".dk-editor canvas").wait_for(state="detached", timeout=LONG)
    notebook.run_cells()
    notebook.until_open()
    until_shown(notebook, np.asarray(SCENE.image))
    yield notebook
    assert not notebook.errors, "JavaScript failed"


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
    why = missing()
    if _left_out:
        needed = f"they need {why}" if why else f"they will use {CHROMIUM}"
        terminalreporter.write_line(f"browser: {len(_left_out)} browser tests were left out; make e2e runs them; {needed}")
    elif why:
        terminalreporter.write_line(f"browser: the browser tests cannot run without {why}")
