"""A notebook that was saved shows the last picture without a kernel: in JupyterLab, by nbconvert, and where widget states were stored."""

from __future__ import annotations

import io
from base64 import b64decode

import nbformat
import numpy as np
import pytest
from helpers.boat import box_the_boat, drag_the_boat, result_of, run_to_the_end
from helpers.notebook_page import LONG, NotebookPage
from PIL import Image

pytestmark = pytest.mark.e2e


def test_a_saved_notebook_shows_the_last_picture(lab: NotebookPage) -> None:
    import nbconvert  # comes with JupyterLab, which only browser tests need

    box_the_boat(lab)
    drag_the_boat(lab)
    run_to_the_end(lab)
    result = result_of(lab)
    pictures = lab.page.locator(".jp-OutputArea-child .jp-RenderedImage")
    pictures.first.wait_for(state="hidden", timeout=LONG)
    lab.command("docmanager:save")
    lab.page.wait_for_timeout(1000)
    notebook = nbformat.read(lab.server.folder / f"{lab.name}.ipynb", as_version=4)
    widget, picture = notebook.cells[0].outputs
    assert "application/vnd.jupyter.widget-view+json" in widget.data
    shown = np.asarray(Image.open(io.BytesIO(b64decode(picture.data["image/png"]))))
    assert np.array_equal(shown, result.repeat(10, axis=0).repeat(10, axis=1)), "the result, and not how it was at first"
    state = {"state": {widget.data["application/vnd.jupyter.widget-view+json"]["model_id"]: {}}, "version_major": 2, "version_minor": 0}
    for stored in (False, True):
        if stored:
            notebook.metadata.widgets = {"application/vnd.jupyter.widget-state+json": state}
        page, _ = nbconvert.HTMLExporter().from_notebook_node(notebook)
        assert picture.data["image/png"].replace("\n", "")[:2000] in page.replace("\n", "")
    lab.do("editor.close()")
    lab.page.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
    pictures.first.wait_for(state="visible", timeout=LONG)
    lab.look("without-kernel") if lab.editor.count() else None
