"""A real JupyterLab (with Notebook 7 beside it) and a real Chromium. All that they write goes into one folder."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["CHROMIUM", "Server", "chromium", "end", "environment", "free_port", "missing", "serve"]

NAMES = [os.environ["CHROMIUM"]] if os.environ.get("CHROMIUM") else ["chromium", "chromium-browser", "google-chrome"]
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
START = 90.0  # seconds


class Server(NamedTuple):
    """Where it listens, its password, and the folder with the notebooks."""

    url: str
    token: str
    folder: Path


def missing() -> str:
    """What these tests need and this machine has not; empty when all is there."""
    packages = [name for name in ("jupyterlab", "notebook", "playwright", "voila") if find_spec(name) is None]
    wanted = [f"{', '.join(packages)} (make e2e installs them)"] if packages else []
    if CHROMIUM is None:
        wanted.append(f"a browser (looked for {', '.join(NAMES)}): install Chromium, or name it in the environment variable CHROMIUM")
    return " and ".join(wanted)


@contextmanager
def serve(root: Path) -> Iterator[Server]:
    """A server on this machine only, with all of its state under `root`; it and its kernels end with the block."""
    port, token, folder = free_port(), secrets.token_hex(8), root / "notebooks"
    folder.mkdir()
    news = root / "settings/@jupyterlab/apputils-extension/notification.jupyterlab-settings"
    news.parent.mkdir(parents=True)
    news.write_text('{"fetchNews": "false"}')  # otherwise a question lies over the notebook
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0", f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={folder}",
        "--LabApp.expose_app_in_browser=True", "--JupyterNotebookApp.expose_app_in_browser=True",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    with open(root / "server.log", "wb") as log:
        process = subprocess.Popen(command, env=environment(root), stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            _wait_for(f"http://127.0.0.1:{port}/api/status?token={token}", process, root / "server.log")
            yield Server(f"http://127.0.0.1:{port}", token, folder)
        finally:
            end(process)


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a window."""
    from playwright.sync_api import sync_playwright  # not there on every machine

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=FLAGS)
        try:
            yield browser
        finally:
            browser.close()


def environment(root: Path) -> dict[str, str]:
    """Environment variables that keep all that Jupyter writes under `root`."""
    homes = {
        "JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime", "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "settings", "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }  # fmt: skip
    return {**os.environ, **{name: str(root / home) for name, home in homes.items()}, "JUPYTER_PREFER_ENV_PATH": "1"}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).read()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise RuntimeError(f"JupyterLab did not start; it said:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.2)


def end(process: subprocess.Popen[Any]) -> None:
    """End the server with its kernels: they are one process group, and nobody else is in it."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
