"""The architecture page shows the package as it is: the tree, and the floors as a picture held against the real imports."""

from __future__ import annotations

from helpers import structure

AGAIN = "the page is older than the code; write it anew: PYTHONPATH=tests python -m helpers.structure"


def test_the_tree_is_the_packages() -> None:
    assert structure.page() == structure.PAGE.read_text(encoding="utf-8"), AGAIN
    assert "editing/" in structure.page() and "sampling" in structure.page()


def test_the_picture_shows_the_real_imports() -> None:
    assert structure.picture() == structure.PICTURE.read_text(encoding="utf-8"), AGAIN


def test_every_line_of_the_picture_runs_down() -> None:
    height = {room: -number for number, row in enumerate(structure.floors()) for room in row}
    found = structure.arrows()
    assert len(found) > 40  # the graph is not empty
    assert {(one, other) for one, other in found if height[one] <= height[other]} == set()
