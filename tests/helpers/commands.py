"""`python -m helpers.commands` writes docs/commands.md from the commands' own help; a test holds the page to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

PAGE = Path(__file__).parents[2] / "docs" / "commands.md"
_INTRO = """# Commands

What the help of each command says, without the plugins' own. `PYTHONPATH=tests python -m helpers.commands` writes this page.
"""


def page() -> str:
    from dragonkit.cli.app import app

    parts = [_INTRO]
    for words in _named(typer.main.get_command(app)):
        shown = CliRunner().invoke(app, [*words, "--help"], prog_name="dragonkit", env={"COLUMNS": "100", "TERM": "dumb"}).output
        text = "\n".join(line.rstrip() for line in shown.strip().splitlines())
        parts.append(f"## {' '.join(['dragonkit', *words])}\n\n```text\n{text}\n```\n")
    return "\n".join(parts)


def _named(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command, its own commands after it; first the group that holds all."""
    yield words
    for name in command.list_commands(None) if hasattr(command, "list_commands") else ():
        inner = command.get_command(None, name)
        if inner is not None:
            yield from _named(inner, (*words, name))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
