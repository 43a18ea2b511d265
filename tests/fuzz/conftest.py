"""Fuzz targets, one for each door. Quick as all tests are; `make fuzz` tries longer and prints what it tried."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from helpers.doors import DOORS, table
from hypothesis import settings

settings.register_profile(
    "fuzz", settings.get_profile("dragonkit"), max_examples=int(os.environ.get("EXAMPLES", "5000")), derandomize=False, print_blob=True
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that is written again for every example, in a folder of its own."""
    return tmp_path_factory.mktemp("sent") / "sent.png"


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if settings.get_current_profile_name() == "fuzz" and DOORS:
        terminalreporter.write_line("\n" + table())
