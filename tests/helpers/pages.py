"""The pages of the documentation, and what is written in them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
RUN = "<!-- run -->"
OTHERWISE = re.compile(r"<!-- (?:run by (?P<test>[\w/.:]+)|not run: (?P<why>[\w ,]+)) -->\s*$")
"""Before a block that a test of its own runs, or none, as it needs what a test has not got."""


class Block(NamedTuple):
    """A fenced block of a page: its language, title, whether it is to be run, the line it starts at, its text; and what else is said."""

    page: Path
    language: str
    title: str
    runs: bool
    line: int
    code: str
    otherwise: re.Match[str] | None

    @property
    def commands(self) -> list[str]:
        """Its lines as a shell takes them: what a backslash breaks is whole."""
        return self.code.replace("\\\n", "").splitlines()


def blocks_of(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    found = []
    for match in re.finditer(r"^```(\w+)([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        before = text[: match.start()]
        title = re.search(r'title="([^"]*)"', match[2])
        found.append(
            Block(
                page,
                match[1],
                title[1] if title else "",
                before.rstrip().endswith(RUN),
                before.count("\n") + 1,
                match[3],
                OTHERWISE.search(before),
            )
        )
    return found


def prose_of(page: Path) -> str:
    """The page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


def table_under(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table whose header starts with `heading`, without the header."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def execute(block: Block, namespace: dict[str, Any]) -> None:
    exec(compile("\n" * block.line + block.code, str(block.page), "exec"), namespace)
