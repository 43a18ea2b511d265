"""Every notebook runs from top to bottom, and is kept without its outputs."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from helpers.notebook_pages import NOTEBOOKS, PAGES, code_of, page_of
from helpers.pages import blocks_of
from nbclient import NotebookClient


def test_there_are_notebooks() -> None:
    assert NOTEBOOKS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stripped(path: Path) -> None:
    """Outputs are made by whoever runs it; in the repository they would only grow and age."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_its_page_shows_the_code_as_it_is(path: Path) -> None:
    """`make pictures` runs the notebooks and writes the pages."""
    shown = [block.code.strip() for block in blocks_of(page_of(path)) if block.language == "python"]
    assert shown == code_of(path), f"run: PYTHONPATH=tests python -m helpers.notebook_pages {path.stem}"


def test_every_page_is_of_a_notebook() -> None:
    assert {page.stem for page in PAGES.glob("*.md")} == {path.stem for path in NOTEBOOKS}


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    notebook = nbformat.read(path, as_version=4)
    # an error in any cell ends the run with CellExecutionError, which shows the cell and its traceback
    NotebookClient(notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}).execute()
    warnings = [output.text for cell in notebook.cells for output in cell.get("outputs", ()) if output.get("name") == "stderr"]
    assert warnings == []
