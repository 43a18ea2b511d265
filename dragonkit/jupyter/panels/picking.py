"""The tool "pick": clicks that a selector turns into a mask, on a thread of its own, since a selector may take seconds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Any

import ipywidgets as W
import numpy as np
from PIL import Image

from dragonkit.errors import MaskError
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.elements import Choice, row
from dragonkit.jupyter.forms.controls import LEFT_OUT, Control, control_for
from dragonkit.jupyter.forms.roles import form_fields
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.marks.undo import Click
from dragonkit.jupyter.panels.hover import Hover
from dragonkit.jupyter.panels.messages import Messages
from dragonkit.jupyter.work.latest import Latest
from dragonkit.plugins.selector import Selector

__all__ = ["PickPanel"]

BEST = "object"
"""Takes most of an object at one click (`dragonkit bench selectors`); where it cannot run, the first one that is offered stands in."""
GROUND = 0.5
"""What is more of the picture than this is ground, and is not taken by a hand that has not clicked on it."""


class PickPanel:
    """Chooses the selector, its options, and whether clicks are on the object; gives the view's tool "pick" what it needs.

    Args:
        view: where the clicks are made.
        selectors: those that take clicks are offered.
        picture: gives the picture that is being edited.
        messages: told of errors, and of what goes on.
        late: what is changed within belongs to what was done before, for undo.

    Attributes:
        widget: all of it.
        offered: the selectors by name; empty when none takes clicks.
    """

    def __init__(
        self,
        view: CanvasView,
        selectors: Sequence[Selector],
        picture: Callable[[], Image.Image],
        messages: Messages,
        late: Callable[[], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self._view, self._picture, self._messages, self._late = view, picture, messages, late
        self._latest = Latest(self._fail)
        self.offered = {selector.name: selector for selector in selectors if selector.gesture == "clicks"}
        best = BEST if BEST in self.offered and find_spec("cv2") is not None else next(iter(self.offered), None)
        self.choice = Choice(options=list(self.offered), value=best, description="pick with", tooltip="what turns a click into a mask")
        self.sign = W.ToggleButtons(
            options={"object": True, "not object": False},
            tooltips=["clicks are on the object", "clicks are beside it"],
            icons=["plus", "minus"],
        )
        self.sign.style.button_width = "auto"
        self._options, self._controls = W.VBox(), dict[str, Control]()
        self._asked: list[Click] = []
        self._carried = False  # what was asked for is on its way in somebody's hand
        self._selected: tuple[list[Click], np.ndarray] | None = None
        self.widget = W.VBox([row(self.choice, self.sign), self._options])
        self.choice.observe(lambda change: self._choose(), names="value")
        self.sign.observe(lambda change: setattr(view.tools["pick"], "positive", change["new"]), names="value")
        view.on_change(self._forget)
        self._hover = Hover(view, self._fail)
        if self.offered:
            self._choose()

    def then(self, action: Callable[[], Any]) -> None:
        """Do this once what was clicked on is selected; now, where it is."""
        self._latest.then(action)

    @property
    def selecting(self) -> bool:
        """Whether what was clicked on is not selected yet."""
        return not self._latest.wait(0)

    def wait(self, timeout: float) -> bool:
        """Whether the selector is done within `timeout` seconds."""
        return self._hover.wait(timeout) and self._latest.wait(timeout)

    def _choose(self) -> None:
        selector = self.offered[self.choice.value]
        self.choice.tooltip = selector.description
        fields = form_fields(selector.options)
        if self._controls.keys() != {field.name for field in fields}:
            self._controls = {field.name: control_for(field) for field in fields}
            self._options.children = [control.widget for control in self._controls.values()]
            self._view.front.explain({field.title: field.description for field in fields} | {"pick with": "what turns a click into a mask"})
            for control in self._controls.values():
                control.on_change(lambda: self._ask_again(selector))
        pick: Any = self._view.tools["pick"]
        pick.selector = lambda clicks: self._ask(selector, clicks)
        pick.lit = lambda x, y: self._lit(selector, x, y)
        pick.awaits = lambda clicks: self._awaits(selector, clicks)
        self.look_again()

    def forget(self) -> None:
        """The picture is another one: nothing is known of it."""
        self._latest.forget()
        self._asked, self._selected = [], None
        self._messages.forget("selection")
        pick: Any = self._view.tools["pick"]
        pick.forget()
        self.look_again()

    def look_again(self) -> None:
        """Another selector, option or picture: what the pointer would find is looked for anew."""
        if self.offered:
            selector, picture = self.offered[self.choice.value], self._picture()
            self._hover.look_for(lambda clicks: selector.select(picture, clicks, **self._given()))

    def _given(self) -> dict[str, Any]:
        return {name: value for name, control in self._controls.items() if (value := control.get()) is not LEFT_OUT}

    def _ask(self, selector: Selector, clicks: list[Click]) -> np.ndarray | None:
        """Begin to select; clicks that come while it works are what counts. What is lit up under the pointer is there at once."""
        if not clicks:
            return None
        if len(clicks) == 1 and clicks[0][2] and (known := self._hover.under(*clicks[0][:2])) is not None:
            self._found(selector, clicks, known)
            return known
        options = self._given()
        picture, self._asked, self._carried = self._picture(), clicks, False
        self._messages.say(f"{selector.name} is selecting ...", "selection", "working")

        def work(wanted: Callable[[], bool]) -> None:
            try:
                mask = selector.select(picture, clicks, **options)
            except MaskError:
                if wanted() and self._carried:
                    self._let_go(clicks)
                raise
            if wanted() and self._carried and mask.mean() > GROUND:
                self._let_go(clicks)
                self._messages.say("that is most of the picture, and not taken along; a click selects it", "selection")
            elif wanted():
                with self._late():
                    self._view.apply(lambda state: self._set(state, clicks, mask))
                if self._view.state.points == clicks:  # otherwise undone or cleared since
                    self._messages.say(f"{selector.name} has selected {int(mask.sum())} pixels", "selection")

        self._latest.do(work)
        return None

    def _awaits(self, selector: Selector, clicks: list[Click]) -> bool:
        """Somebody takes what is not selected yet: it is looked for, unless it is already."""
        begun = self.selecting and clicks == self._asked
        if not begun and (self._view.state.points or self._ask(selector, clicks) is not None):  # beside a selection nothing is taken
            return False
        self._carried = True
        return True

    def _let_go(self, clicks: list[Click]) -> None:
        """There is nothing to be taken where somebody took it."""

        def drop(state: MarkState) -> None:
            if state.points == clicks:
                self._view.tool.cancel()
                state.change(points=(), drags=())

        self._view.apply(drop)

    def _lit(self, selector: Selector, x: float, y: float) -> tuple[list[Click], np.ndarray] | None:
        """What is taken without a click before: what is lit up, unless it is most of the picture, which is ground."""
        known = None if self._view.state.points else self._hover.under(x, y)
        if known is None or known.mean() > GROUND or not self._view.tools["pick"].positive:  # type: ignore[attr-defined]
            return None
        clicks = [(x, y, True)]
        self._found(selector, clicks, known)
        return clicks, known

    def _found(self, selector: Selector, clicks: list[Click], known: np.ndarray) -> None:
        self._view.highlight(None)
        self._asked, self._selected = clicks, (clicks, known)
        self._messages.say(f"{selector.name} has selected {int(known.sum())} pixels", "selection")

    def _forget(self) -> None:
        """What was said of a selection goes with it."""
        state, selected = self._view.state, self._selected
        if state.points != self._asked or (selected and selected[0] == self._asked and not state.mask[selected[1]].all()):
            self._messages.forget("selection")

    def _ask_again(self, selector: Selector) -> None:
        try:
            self.look_again()
            self._ask(selector, self._view.state.points)
        except Exception as error:  # a front end swallows what its callbacks raise
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        self._messages.fail(error, "selection")

    def _set(self, state: MarkState, clicks: list[Click], mask: np.ndarray) -> Any:
        if state.points != clicks:  # undone or cleared since
            return None
        if self._carried and len(clicks) == 1:
            self._selected = (clicks, mask)
            return state.change(mask)
        before, self._selected = self._selected, (clicks, mask)
        same = before is not None and before[0] in (clicks, clicks[:-1])
        # a further click corrects the selection; what was painted by hand elsewhere stays
        return state.change((state.mask & ~before[1] if before is not None and same else state.mask) | mask)
