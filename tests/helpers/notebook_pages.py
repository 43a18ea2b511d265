"""`python -m helpers.notebook_pages` runs the notebooks and writes them as pages with their outputs into docs/notebooks: `make pictures`.

So the site shows them without running anything when it is built, and a repository that strips outputs shows pictures all the same.
"""

from __future__ import annotations

import base64
import io
import re
import sys
import tempfile
import textwrap
from pathlib import Path

import nbformat
from helpers.pages import DOCS, ROOT
from nbclient import NotebookClient
from PIL import Image

__all__ = ["NOTEBOOKS", "PAGES", "code_of", "page_of"]

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = DOCS / "notebooks"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def page_of(path: Path) -> Path:
    return PAGES / f"{path.stem}.md"


def code_of(path: Path) -> list[str]:
    """The notebook's code cells."""
    return [cell.source.strip() for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def write(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=1200, kernel_name="python3", resources={"metadata": {"path": folder}}).execute()
    parts, pictures = list[str](), 0
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source.strip()}\n```")
        for output in cell.outputs:
            data = output.get("data", {})
            if "application/vnd.jupyter.widget-view+json" in data:
                continue  # its still picture is an output of its own
            if "image/png" in data:
                pictures += 1
                name = f"{path.stem}-{pictures}.webp"
                Image.open(io.BytesIO(base64.b64decode(data["image/png"]))).convert("RGB").save(PAGES / name, quality=80)
                parts.append(f"![What the cell shows]({name})")
            elif text := output.get("text") or data.get("text/plain"):
                parts.append(f"```text\n{_narrow(ESCAPES.sub('', text).strip())}\n```")
    title, rest = parts[0].partition("\n")[::2]
    where = f"The notebook `notebooks/{path.name}` with its outputs; `dragonkit lab` opens it."
    page_of(path).write_text("\n\n".join([title, where, rest.strip(), *parts[1:]]) + "\n", encoding="utf-8")


def _narrow(text: str) -> str:
    """Lines as long as a page shows them, the rest below."""
    lines = (textwrap.wrap(line, 96, subsequent_indent="    ", drop_whitespace=False) or [""] for line in text.splitlines())
    return "\n".join(part for parts in lines for part in parts)


def main(names: list[str]) -> None:
    PAGES.mkdir(exist_ok=True)
    for path in NOTEBOOKS:
        if not names or path.stem in names:
            print(path.stem, flush=True)
            write(path)


if __name__ == "__main__":
    main(sys.argv[1:])
