"""`dragonkit lab` copies the notebooks, overwrites nothing, and starts JupyterLab as it was told. The server is a stand-in."""

from __future__ import annotations

import functools
import json
import os
import re
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hatchling.build import build_wheel
from helpers.faults import full_after
from typer.testing import Result

from dragonkit.cli import lab
from dragonkit.errors import EditError

pytestmark = pytest.mark.processes  # the stand-in runs in one

ROOT = Path(__file__).parents[2]
NOTEBOOKS = {path.name: path.read_bytes() for path in (ROOT / "notebooks").glob("*.ipynb")}

Invoke = Callable[..., Result]

_STAND_IN = """
import json, os, sys, time
json.dump({"argv": sys.argv[1:], "cwd": os.getcwd()}, open("started.json", "w"))
sys.stderr.write("the server's own words\\n")
if "--no-browser" in sys.argv and os.environ.get("SERVE"):
    time.sleep(60)
sys.exit(int(os.environ.get("CODE", 0)))
"""


@pytest.fixture
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, Any]]:
    """Something that is found in place of JupyterLab; gives what it was started with."""
    place = tmp_path_factory.mktemp("stand-in")
    for name, text in {"jupyterlab": _STAND_IN, "ipywidgets": "", "ipycanvas": ""}.items():
        (place / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(place))
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.setattr(lab, "find_spec", lambda name: name)
    return lambda: json.loads((folder / "started.json").read_text())


def test_it_copies_the_notebooks_and_opens_the_quickstart(server: Any, invoke: Invoke, folder: Path) -> None:
    result = invoke("lab")
    assert (result.exit_code, result.stderr) == (0, "")
    assert {path.name: path.read_bytes() for path in folder.glob("*.ipynb")} == NOTEBOOKS
    assert sorted(result.stdout.splitlines()[:-1]) == sorted(f"copied {name}" for name in NOTEBOOKS)
    assert result.stdout.splitlines()[-1] == "opening 01_quickstart.ipynb; Ctrl-C here ends it"
    started = server()
    assert (started["argv"][0], Path(started["cwd"])) == ("--LabApp.default_url=/lab/tree/01_quickstart.ipynb", folder.resolve())
    assert not {"--no-browser", "--ServerApp.port_retries=0"} & set(started["argv"])


def test_it_keeps_what_is_there(server: Any, invoke: Invoke, folder: Path) -> None:
    (folder / "01_quickstart.ipynb").write_text("mine")
    result = invoke("lab")
    assert result.exit_code == 0
    assert "kept your 01_quickstart.ipynb, which was here already" in result.stdout.splitlines()
    assert (folder / "01_quickstart.ipynb").read_text() == "mine"
    assert (folder / "02_editor.ipynb").read_bytes() == NOTEBOOKS["02_editor.ipynb"]
    assert server()["argv"][0].endswith("/01_quickstart.ipynb")


@pytest.mark.parametrize("name", ["editor", "02", "02_editor", "02_editor.ipynb"])
def test_options_are_passed_on(name: str, server: Any, invoke: Invoke) -> None:
    assert invoke("lab", "--notebook", name, "--no-browser", "--port", "9123").exit_code == 0
    assert {"--LabApp.default_url=/lab/tree/02_editor.ipynb", "--no-browser", "--ServerApp.port=9123"} < set(server()["argv"])


@pytest.mark.parametrize("name", ["paint", "", "_", "../01_quickstart"])
def test_a_notebook_that_is_none_is_refused(name: str, server: Any, refuse: Callable[..., str]) -> None:
    told = refuse("lab", "--notebook", name)
    assert told.startswith(f"--notebook is {name!r}, but must name one of 01_quickstart.ipynb, 02_editor.ipynb, 03_modes.ipynb,")


def test_without_jupyterlab_one_sentence_says_what_to_install(
    server: Any, refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lab, "find_spec", lambda name: None if name == "jupyterlab" else name)
    assert refuse("lab") == "dragonkit lab needs jupyterlab, which is not installed: run pip install 'dragonkit[jupyter]'."


def test_a_folder_that_takes_no_files(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EditError, match=re.escape(f"cannot be written to '{tmp_path / 'file'}': Not a directory")):
        lab.copy_notebooks(tmp_path / "file")


def test_a_full_disk_leaves_no_half_notebook(tmp_path: Path) -> None:
    """Which would be kept as the user's own the next time."""
    with full_after(1000), pytest.raises(EditError, match="cannot be written to"):
        lab.copy_notebooks(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert all(lab.copy_notebooks(tmp_path).values())


def test_a_server_that_fails_is_told(server: Any, invoke: Invoke, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODE", "3")
    result = invoke("lab")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: JupyterLab ended with exit code 3;")


def test_ctrl_c_ends_it_quietly(server: Any, folder: Path) -> None:
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from dragonkit.cli import main; main()"
    words = [sys.executable, "-c", code, os.environ["PYTHONPATH"], "lab", "--no-browser"]
    environment = {**os.environ, "SERVE": "1", "PYTHONUNBUFFERED": "1"}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    # where the tests themselves run in the background, SIGINT is ignored, and the child would inherit that
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(words, cwd=folder, env=environment, preexec_fn=heard, **pipes)
    try:
        assert process.stderr is not None
        assert process.stderr.readline() == "the server's own words\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, err) == (0, "")
    assert out.endswith("opening 01_quickstart.ipynb; Ctrl-C here ends it\n")


def test_they_are_in_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And found there: without the repository beside it, the package has them within."""
    monkeypatch.chdir(ROOT)
    with zipfile.ZipFile(tmp_path / build_wheel(str(tmp_path))) as wheel:
        packed = {name: wheel.read(name) for name in wheel.namelist() if name.startswith("dragonkit/notebooks/")}
        wheel.extractall(tmp_path / "installed", [name for name in wheel.namelist() if not name.endswith(".safetensors")])
    assert packed == {f"dragonkit/notebooks/{name}": content for name, content in NOTEBOOKS.items()}
    code = "from dragonkit.cli.lab import notebooks; print(*notebooks().values(), sep='\\n')"
    words = [sys.executable, "-c", code]
    process = subprocess.run(words, cwd=tmp_path / "installed", capture_output=True, text=True, check=True)
    found = [Path(line).resolve().relative_to((tmp_path / "installed").resolve()).as_posix() for line in process.stdout.splitlines()]
    assert sorted(found) == sorted(packed)
