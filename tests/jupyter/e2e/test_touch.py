"""The editor under fingers: they paint and draw arrows, and the page stays where it is meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from helpers.boat import mask_of, painted, to_picture, to_window, until
from helpers.notebook_page import NotebookPage

pytestmark = pytest.mark.e2e

PHONE = {"width": 420, "height": 800}
_SCROLLED = """() => [window.scrollX, window.scrollY, ...[...document.querySelectorAll('*')].map(part => part.scrollTop + part.scrollLeft)]
    .reduce((sum, one) => sum + one, 0)"""


class Finger:
    """Touches the screen as Chromium's own input does, so that the browser scrolls wherever nobody forbids it."""

    def __init__(self, page: Any) -> None:
        self._page, self._session = page, page.context.new_cdp_session(page)
        self._session.send("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})

    def drag(self, *ways: list[tuple[float, float]], steps: int = 8) -> None:
        """One finger along each way, all at once; then they are lifted."""
        places = [np.array(way) for way in ways]
        self._send("touchStart", [place[0] for place in places])
        for leg in range(1, len(places[0])):
            for share in np.linspace(0, 1, steps + 1)[1:]:
                self._send("touchMove", [place[leg - 1] + share * (place[leg] - place[leg - 1]) for place in places])
        self._send("touchEnd", [])

    def lift(self) -> None:
        self._session.send("Emulation.setTouchEmulationEnabled", {"enabled": False})

    def _send(self, kind: str, places: list[np.ndarray]) -> None:
        points = [{"x": float(x), "y": float(y), "id": number} for number, (x, y) in enumerate(places)]
        self._session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


@pytest.fixture
def finger(lab: NotebookPage) -> Iterator[Finger]:
    lab.page.set_viewport_size(PHONE)
    finger = Finger(lab.page)
    yield finger
    finger.lift()


def test_a_finger_paints_and_drags_and_the_page_stays(lab: NotebookPage, finger: Finger) -> None:
    way = to_window(lab, (10, 45), (10, 12), (50, 12))
    before = lab.page.evaluate(_SCROLLED)
    finger.drag(way)
    until(lab, "bool(editor.mask.any())")
    assert np.array_equal(mask_of(lab), painted(to_picture(lab, *way), diameter=4))
    assert lab.page.evaluate(_SCROLLED) == before

    lab.press("drag")
    arrow = to_window(lab, (10, 12), (12, 40), (30, 50))
    before = lab.page.evaluate(_SCROLLED)
    finger.drag(arrow)
    until(lab, "len(editor.marks.drags) == 1")
    start, _, end = to_picture(lab, *arrow)
    assert np.allclose(lab.python("editor.marks.drags[0]"), (start, end), atol=0.05)
    assert np.allclose(lab.python("editor.form.values()['shift']"), np.subtract(end, start), atol=0.1)
    assert lab.page.evaluate(_SCROLLED) == before
    lab.look("touch")

    lab.text("hint").evaluate("line => line.scrollIntoView({block: 'center'})")
    place = lab.text("hint").bounding_box()
    x, y = place["x"] + 40, place["y"] + 5
    before = lab.page.evaluate(_SCROLLED)
    finger.drag([(x, y), (x, y + 200)])
    lab.page.wait_for_function(f"before => ({_SCROLLED})() !== before", arg=before)
    assert len(lab.python("editor.marks.drags")) == 1, "beside the picture a finger scrolls, and marks nothing"


def test_two_fingers_push_the_picture_and_mark_nothing(lab: NotebookPage, finger: Finger) -> None:
    lab.do("editor.view.set_zoom(20)")
    ways = to_window(lab, (30, 40), (20, 20)), to_window(lab, (40, 40), (30, 20))
    before, shown = lab.page.evaluate(_SCROLLED), lab.python("editor.view.viewport.to_image(0, 0)")
    finger.drag(*ways)
    until(lab, f"editor.view.viewport.to_image(0, 0) != tuple({shown})")
    assert lab.page.evaluate(_SCROLLED) == before
    assert lab.python("[bool(editor.mask.any()), editor.marks.drags]") == [False, []]
