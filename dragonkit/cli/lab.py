"""`dragonkit lab`: the notebooks that come along, opened in JupyterLab."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

import dragonkit
from dragonkit.errors import DragonkitError, EditError
from dragonkit.files import replacing

__all__ = ["copy_notebooks", "lab", "notebooks"]

_NEEDED = ("jupyterlab", "ipywidgets", "ipycanvas")


def lab(
    notebook: Annotated[str, typer.Option(metavar="NAME", help="Which one to open, such as editor or 02.")] = "quickstart",
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open a browser, or print the address only.")] = True,
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="INTEGER", help="Where JupyterLab listens. [default: a free one]", show_default=False),
    ] = None,
) -> None:
    """Copy the notebooks that come along into the current folder, and open one in JupyterLab."""
    chosen = _chosen(notebook)
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise DragonkitError(f"dragonkit lab needs {' and '.join(missing)}, which is not installed: run pip install 'dragonkit[jupyter]'.")
    for name, copied in copy_notebooks(Path()).items():
        typer.echo(f"copied {name}" if copied else f"kept your {name}, which was here already")
    typer.echo(f"opening {chosen}; Ctrl-C here ends it")
    # the address that is printed leads to the notebook, too; and Ctrl-C does not ask back
    options = [f"--LabApp.default_url=/lab/tree/{chosen}", "--ServerApp.answer_yes=True"]
    options += [] if browser else ["--no-browser"]
    options += [] if port is None else [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    if code := _run([sys.executable, "-m", "jupyterlab", *options]):
        raise DragonkitError(f"JupyterLab ended with exit code {code}; its own lines above say why.")


def notebooks() -> dict[str, Path]:
    """The notebooks that come along, by file name: packed into an installed dragonkit, beside the package in its repository."""
    package = Path(dragonkit.__file__).parent
    folder = next((place for place in (package / "notebooks", package.parent / "notebooks") if place.is_dir()), None)
    if folder is None:
        raise DragonkitError(f"there are no notebooks at {package / 'notebooks'!s}; install dragonkit again.")
    return {path.name: path for path in sorted(folder.glob("*.ipynb"))}


def copy_notebooks(folder: Path) -> dict[str, bool]:
    """Copy all notebooks into `folder`; says for each whether it was copied. What is there is left as it is.

    Raises:
        EditError: they cannot be written.
    """
    copied = {}
    for name, path in notebooks().items():
        try:
            with replacing(folder / name, overwrite=False) as file:
                file.write(path.read_bytes())
            copied[name] = True
        except FileExistsError:
            copied[name] = False
        except OSError as error:
            raise EditError(f"{name!r} cannot be written to {str(folder.absolute())!r}: {error.strerror}; go to another folder.") from error
    return copied


def _chosen(name: str) -> str:
    """The one notebook whose file name has `name` in it."""
    found = [file for file in notebooks() if name.removesuffix(".ipynb") in file.removesuffix(".ipynb")]
    if len(found) != 1 or not name:
        raise EditError(f"--notebook is {name!r}, but must name one of {', '.join(notebooks())}; a part of the name will do.")
    return found[0]


def _run(command: list[str]) -> int:
    """The exit code; 0 when Ctrl-C ended it, which is how one ends a server."""
    process = subprocess.Popen(command)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()  # a terminal has told it too, but whoever signals this process alone has not
        process.wait()
        return 0
