"""`dragonkit lab` really starts JupyterLab on a copy of the quickstart, and Ctrl-C ends it."""

from __future__ import annotations

import functools
import json
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from helpers.notebook_server import Server, end, environment, free_port

pytestmark = pytest.mark.e2e


def fetch(address: str, process: subprocess.Popen[str]) -> str:
    """What is at the address; it is printed a moment before anybody answers there."""
    while True:
        try:
            with urllib.request.urlopen(address, timeout=30) as page:
                return str(page.read().decode())
        except urllib.error.URLError:
            assert process.poll() is None, "JupyterLab ended"
            time.sleep(0.1)


def test_dragonkit_lab_serves_the_quickstart_until_ctrl_c(server: Server, tmp_path: Path) -> None:
    """`server` is not used, but where it cannot be there is no JupyterLab either."""
    port, folder = free_port(), tmp_path / "work"
    folder.mkdir()
    homes = environment(tmp_path)
    config = Path(homes["JUPYTER_CONFIG_DIR"])
    config.mkdir()
    (config / "jupyter_server_config.json").write_text(json.dumps({"ServerApp": {"allow_root": True}}))  # containers know root only
    command = [sys.executable, "-m", "dragonkit", "lab", "--no-browser", "--port", str(port)]
    # where the tests themselves run in the background, SIGINT is ignored, and the child would inherit that
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, cwd=folder, env=homes, start_new_session=True, preexec_fn=heard, **pipes)
    deadline = threading.Timer(120, end, [process])
    deadline.start()
    try:
        assert process.stderr is not None
        said = ""
        while not (address := re.search(rf"http://\S+:{port}/lab/tree/01_quickstart\.ipynb\?token=\w+", said)):
            line = process.stderr.readline()
            assert line, f"JupyterLab ended: {said}"
            said += line
        assert "<title>JupyterLab</title>" in fetch(address.group(), process)
        notebook = json.loads(fetch(address.group().replace("/lab/tree/", "/api/contents/"), process))
        assert "dragonkit in ten minutes" in notebook["content"]["cells"][0]["source"]
        process.send_signal(signal.SIGINT)
        _, rest = process.communicate(timeout=60)
    finally:
        deadline.cancel()
        end(process)
    assert process.returncode == 0 and "Traceback" not in rest and "error:" not in rest
