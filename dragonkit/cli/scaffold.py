"""`dragonkit new-plugin`: a plugin with an edit mode of its own, written from templates, that works and passes its tests at once."""

from __future__ import annotations

import keyword
import re
import shlex
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from dragonkit.cli.console import load_registry
from dragonkit.errors import EditError
from dragonkit.files import write_text

__all__ = ["new_plugin", "write_plugin"]

LONGEST_NAME = 40  # the generated lines stay within the linter's length
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_IMPORTED = ("ClassVar", "Field")  # classes that the template uses under these names


def new_plugin(
    context: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the plugin and its edit mode: lower-case letters, digits and '-'.")],
    folder: Annotated[
        Path | None, typer.Option("--folder", metavar="PATH", help="Where to write it. [default: dragonkit-NAME]", show_default=False)
    ] = None,
) -> None:
    """Write a new plugin: a package with an edit mode that works, and its tests."""
    _refuse_known(name, context)
    place = Path(f"dragonkit-{name}") if folder is None else folder
    for path in write_plugin(name, place):
        typer.echo(f"wrote {path}")
    quoted, with_tests = shlex.quote(str(place)), shlex.quote(f"{place}[test]")
    typer.echo(f"\nNext:\n  python -m pip install -e {with_tests}\n  python -m pytest {quoted}\n  dragonkit {name} --help")


def write_plugin(name: str, folder: Path) -> list[Path]:
    """Write the files of a plugin called `name` into `folder`, which is made if need be, and return their paths.

    Raises:
        EditError: the name will not do, or the folder has something in it or cannot be written. Nothing is overwritten.
    """
    _check_name(name)
    stem = name.replace("-", "_")
    module = f"dragonkit_{stem}"
    words = {"name": name, "module": module, "class_name": _class_name(name)}
    files = {
        "README.md": "README.md",
        "pyproject.toml": "pyproject.toml",
        f"{module}.py": "plugin.py",
        f"tests/test_{stem}.py": "test_plugin.py",
    }
    templates = resources.files("dragonkit.cli") / "templates" / "plugin"
    texts = {
        folder / path: Template((templates / f"{template}.txt").read_text("utf-8")).substitute(words) for path, template in files.items()
    }
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise EditError(f"{str(folder)!r} is there already and not an empty folder; nothing was written, give another with --folder.")
        with _all_or_none(folder):
            for path, text in texts.items():
                write_text(path, text, overwrite=False)
    except OSError as error:
        raise EditError(f"the plugin cannot be written to {str(folder)!r}: {error.strerror or error}; give another --folder.") from error
    return list(texts)


@contextmanager
def _all_or_none(folder: Path) -> Iterator[None]:
    """After an error within this block a folder that was empty is empty again, and one that was missing is missing."""
    made = [one for one in (folder, *folder.parents) if not one.exists()]
    try:
        yield
    except BaseException:
        for path in [made[-1]] if made else list(folder.iterdir()):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        raise


def _check_name(name: str) -> None:
    """EditError unless the name can be that of a package, a mode and a module."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise EditError(
            f"the name is {name!r}, but must be of lower-case letters, digits and single '-' between them, begin with a letter, and have "
            f"at most {LONGEST_NAME} characters, such as 'turn-over'."
        )


def _refuse_known(name: str, context: typer.Context) -> None:
    """EditError for a name that a mode, a plugin or a command has; "-" and "_" count as the same, as they do in names of packages."""
    registry, group = load_registry(), context.parent
    assert group is not None
    known = {
        "an edit mode": registry.edit_types(),
        "a plugin": [plugin["name"] for plugin in registry.describe()],
        "a command": group.command.list_commands(group),  # type: ignore[attr-defined]
    }
    for what, names in known.items():
        if name in {one.replace("_", "-") for one in names}:
            raise EditError(f"there is {what} {name!r} already; give the new plugin another name.")


def _class_name(name: str) -> str:
    joined = "".join(map(str.capitalize, name.split("-")))
    return f"{joined}Edit" if keyword.iskeyword(joined) or joined in _IMPORTED else joined
