"""The mode, its fields, and what it still asks for. Makes edits of the form and of what is marked on the picture."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import ipywidgets as W
from PIL import Image

from dragonkit.edits.edit import Edit, unknown_mode
from dragonkit.errors import EditError
from dragonkit.jupyter.canvas.view import CanvasView
from dragonkit.jupyter.elements import Choice
from dragonkit.jupyter.forms.controls import LEFT_OUT
from dragonkit.jupyter.forms.form import Form
from dragonkit.jupyter.forms.gestures import arrow_of, missing, suggested, taken_from
from dragonkit.jupyter.forms.roles import FormField, form_fields
from dragonkit.modes.moving import MovingEdit
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["ModePanel"]


class ModePanel:
    """Chooses a mode. Every mode keeps its own fields; the marks belong to all of them.

    Args:
        registry: the modes; those of plugins that are registered later appear with `refresh`.
        view: where things are marked.
        picture: gives the picture that is being edited.
        fail: told of errors.
        hint: told what to do next.
    """

    def __init__(
        self,
        registry: PluginRegistry,
        view: CanvasView,
        picture: Callable[[], Image.Image],
        fail: Callable[[Exception], Any],
        hint: Callable[[str], Any],
    ) -> None:
        self._registry, self._view, self._picture, self._fail, self._hint = registry, view, picture, fail, hint
        self._callbacks: list[Callable[[], Any]] = []
        self._forms: dict[type[Edit], Form] = {}
        self._arrow: tuple[float, float] | None = None
        self._choice = Choice(description="mode", tooltip="what to do")
        self._about, self._box = W.HTML(), W.VBox()
        self.widget = W.VBox([self._choice, self._about, self._box])
        self._refreshing = False
        self._choice.observe(lambda change: None if self._refreshing else self._guarded(self._changed_mode), names="value")
        self.refresh()

    @property
    def mode(self) -> str:
        """The name of the mode. EditError when set to one that nobody offers."""
        return str(self._choice.value)

    @mode.setter
    def mode(self, mode: str) -> None:
        self.refresh()
        if mode not in self._choice.options:
            raise unknown_mode(mode, dict.fromkeys(self._choice.options))
        self._choice.value = mode

    @property
    def form(self) -> Form:
        """The fields of the mode."""
        edit_type = self._registry.edit_types()[self.mode]
        if edit_type not in self._forms:
            form = Form(edit_type, self._picture, lambda: self._view.state.mask, self._fail)
            form.on_change(lambda: self._guarded(self._changed_field))
            self._forms[edit_type] = form
        return self._forms[edit_type]

    @property
    def moves_by_arrow(self) -> bool:
        """Whether an arrow says how far something is shifted."""
        return self._shift is not None

    @property
    def _shift(self) -> FormField | None:
        """The field that an arrow sets."""
        return next((field for field in self.form.fields if field.role == "arrow"), None)

    def move_by_arrow(self) -> None:
        """Something was taken and moved: the mode becomes one that does that, unless arrows say something in it already."""
        if not any(field.role in ("arrow", "points") for field in self.form.fields):
            self._become(lambda field: field.role == "arrow")

    def become(self, name: str) -> None:
        """The mode becomes one that moves content and has a field of this name, unless it is. EditError when there is none."""
        if not (issubclass(self.form.edit_type, MovingEdit) and any(field.name == name for field in self.form.fields)):
            self._become(lambda field: field.name == name)

    def offers(self, name: str) -> bool:
        """Whether there is a mode that moves content and has a field of this name."""
        return any(self._modes_with(lambda field: field.name == name))

    def _become(self, wanted: Callable[[FormField], bool]) -> None:
        """Another mode, which takes over the values that both have."""
        mode = next(self._modes_with(wanted), None)
        if mode is None:
            raise EditError(f"no mode offers what was asked for by hand; the modes are {', '.join(self._choice.options)}")
        before = {field.name: value for field in self.form.fields if (value := self.form.values().get(field.name)) is not None}
        self.mode = mode
        shared = {field.name for field in self.form.fields if field.role == "value" and not field.name.endswith("_weight")}
        self.form.update({name: value for name, value in before.items() if name in shared})

    def _modes_with(self, wanted: Callable[[FormField], bool]) -> Iterator[str]:
        """Modes that move content and have such a field."""
        types = self._registry.edit_types()
        for mode in self._choice.options:
            if issubclass(types[mode], MovingEdit) and any(map(wanted, form_fields(types[mode]))):
                yield mode

    def show(self, mode: str, values: Mapping[str, Any]) -> None:
        """A mode with these fields, and the defaults of what is not among them; those that are marked on the picture are passed over."""
        self.mode = mode
        self.form.set(values)

    def forget_regions(self) -> None:
        """The picture is another one: regions of the one before mean nothing there."""
        for form in self._forms.values():
            if regions := [field.name for field in form.fields if field.role == "region"]:
                form.update(dict.fromkeys(regions, LEFT_OUT))

    def rest(self) -> None:
        """Fields that say where content goes are as they were at first."""
        if issubclass(self.form.edit_type, MovingEdit):
            self.form.update({field.name: LEFT_OUT for field in self.form.fields if field.name not in MovingEdit.model_fields})

    def refresh(self) -> None:
        """Look for modes again: a plugin may have been registered since. The mode chosen stays."""
        modes = [mode for mode, edit_type in self._registry.edit_types().items() if edit_type.scriptable]
        chosen = self._choice.value
        if list(self._choice.options) == modes:
            return
        self._refreshing = True  # new options choose the first of them for a moment
        try:
            self._choice.options = modes
            self._choice.value = chosen if chosen in modes else modes[0]
        finally:
            self._refreshing = False
        if self._choice.value != chosen:
            self._changed_mode()

    def edit(self, asked: bool = True) -> Edit:
        """What the fields and the marks say. EditError when something is missing or wrong; the words stand at the field, too.

        Args:
            asked: as in `Form.edit`.
        """
        form, state = self.form, self._view.state
        marked = taken_from(form.fields, state.mask, state.drags, form.use_mask)
        todo = missing(form.fields, {**form.values(), **marked})
        if todo:
            raise EditError(f"{self.mode} cannot run yet: {', then '.join(todo)}")
        return form.edit(marked, asked)

    def edit_or_none(self) -> Edit | None:
        """The edit, or None while it is not complete."""
        try:
            return self.edit(asked=False)
        except EditError:  # said in the hint and at the fields
            return None

    def on_change(self, callback: Callable[[], Any]) -> None:
        """Call back after the mode, a field or a mark changed."""
        self._callbacks.append(callback)

    def marks_changed(self) -> None:
        """Take over what is marked now. An arrow sets the shift; when it is gone, the shift is too."""
        arrow = arrow_of(self._view.state.drags)
        if arrow != self._arrow:
            self._arrow = arrow
            if (field := self._shift) is not None:
                self.form.update({field.name: LEFT_OUT if arrow is None else arrow})
                return  # the form has told of it
        self._changed()

    def _changed_mode(self) -> None:
        form, drags = self.form, self._view.state.drags
        self._box.children = [form.widget]
        self._view.front.explain({field.title: field.description for field in form.fields} | {"mode": "what to do"})
        self._about.value = html.escape((form.edit_type.__doc__ or "").strip().partition("\n")[0].replace("`", ""))
        tool: Any = self._view.tools["drag"]
        tool.single = self.moves_by_arrow
        self._arrow = arrow_of(drags)
        if (field := self._shift) is not None and self._arrow is not None:
            form.update({field.name: self._arrow})
        else:
            self._changed()

    def _changed_field(self) -> None:
        """A shift that was typed turns the arrow that is there; where it would leave the picture, the arrow goes."""
        field, drags = self._shift, self._view.state.drags
        shift = None if field is None else self.form.values().get(field.name)
        if isinstance(shift, (list, tuple)) and len(shift) == 2 and drags and tuple(shift) != arrow_of(drags):
            (x, y), (width, height) = drags[0][0], self._view.state.size
            end = (x + shift[0], y + shift[1])
            inside = 0 <= end[0] <= width and 0 <= end[1] <= height
            self._arrow = (shift[0], shift[1]) if inside else None
            self._view.apply(lambda state: state.change(drags=[((x, y), end), *drags[1:]] if inside else drags[1:]))
            return  # the marks have told of it
        self._changed()

    def _changed(self) -> None:
        form, state = self.form, self._view.state
        values = {**form.values(), **taken_from(form.fields, state.mask, state.drags, form.use_mask)}
        todo = missing(form.fields, values) + suggested(form.fields, values)
        for callback in self._callbacks:
            callback()
        todo += [f"set {title}" for title in form.to_set if not todo]
        self._hint(f"Next: {', then '.join(todo)}." if todo else "")

    def _guarded(self, action: Callable[[], Any]) -> None:
        """A front end swallows what its callbacks raise; here it is told."""
        try:
            action()
        except Exception as error:
            self._fail(error)
