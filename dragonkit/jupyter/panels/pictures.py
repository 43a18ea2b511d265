"""Which picture is being edited: opening one, going back to a run, going on from its result. Undo brings back whatever was there before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import ipywidgets as W

from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import DragonkitError
from dragonkit.imaging.photos import Photo
from dragonkit.jupyter.canvas.door import MOST, Door, too_large
from dragonkit.jupyter.forms.gestures import marks_of
from dragonkit.jupyter.forms.roles import form_fields
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.panels.easel import Easel
from dragonkit.jupyter.panels.history_panel import HistoryPanel
from dragonkit.jupyter.panels.messages import Messages
from dragonkit.jupyter.panels.runs import Runs
from dragonkit.jupyter.work.history import Entry
from dragonkit.jupyter.work.job import in_words
from dragonkit.jupyter.work.opening import Opened, Sent, Source, opened, remade, reopened
from dragonkit.jupyter.work.session import Session
from dragonkit.jupyter.work.subject import Subject

__all__ = ["Pictures"]


class Pictures:
    """Changes what lies on the easel.

    Args:
        session: what works on it.
        easel: where it lies.
        runs: prepares another picture.
        shelf: shows the history.
        messages: told what was done, and of errors.

    Attributes:
        door: opens files of the browser's machine.
        prompt: what the picture shows, as a field.
        base: chooses what the next stroke goes on from, the source or the result.
    """

    def __init__(self, session: Session, easel: Easel, runs: Runs, shelf: HistoryPanel, messages: Messages) -> None:
        self._session, self._easel, self._runs, self._shelf, self._messages = session, easel, runs, shelf, messages
        self._waiting: Opened | None = None  # for the picture that it was made from
        self.door = Door(
            "Open",
            "edit another picture, an edited PNG or an edit file; or drop it here, or paste it",
            self._came,
            "image/*,.json",
            self._coming,
        )
        self.prompt = W.Text(
            value=session.prompt,
            description="prompt",
            tooltip="what the picture shows, not what you want",
            continuous_update=False,
            layout=W.Layout(width="auto"),
        )
        easel.view.front.explain({"prompt": self.prompt.tooltip})
        self.prompt.observe(lambda change: self._guarded(self._reworded), names="value")
        self.base = W.ToggleButtons(
            options=["source", "result"],
            tooltips=["go on with the picture as it was before the run", "go on with what the run made of it"],
            icons=["image", "magic"],
            disabled=True,
        )
        self.base.style.button_width = "auto"
        self.base.observe(lambda change: self._guarded(self._rebased), names="value")
        easel.on_laid(self._laid)

    def open(self, source: Source, prompt: str = "") -> None:
        """Edit something else; see `EditorWidget.open_picture`."""
        types = self._session.registry.edit_types()
        found, waiting = opened(source, types, self._known), self._waiting
        file = None if waiting is None else waiting.file
        if waiting and file and found.file is None and found.photo is not None and found.photo.hash == file.image:
            photos, after = [*self._known(), found.photo], waiting.photo if waiting.landed else None
            found = replace(reopened(file, waiting.name, after, types, lambda: photos), path=found.path)
        self.show(found, prompt)

    def show(self, found: Opened, prompt: str = "", settings: Settings | None = None) -> None:
        """Go on with what was opened, and say what of it could not be restored; a picture that has only a seed is made first."""
        self._session.stop_generating()
        if found.file is not None and found.seed is not None and found.suits(self._session.model):
            self._generate(found.file, found, prompt, settings)
        else:
            self._show(found, prompt, settings)

    def _show(self, found: Opened, prompt: str, settings: Settings | None) -> None:
        if found.file is not None:
            self._waiting = found if found.photo is None or found.landed else None
        if found.photo is None:
            self._messages.say(f"not restored from {found.name}: {'; '.join(found.lost)}", "file", "warning")
            return
        photo, lost = found.photo, list(found.lost)
        if settings is None and found.settings is not None and found.suits(self._session.model):
            settings = found.settings
        elif settings is None and found.model is not None:
            lost.append(f"its settings, which are for the model {found.model!r}, and this editor has {self._session.model!r}")
        subject = Subject(photo, prompt or found.prompt or "", MarkState(photo.size), settings or Settings(), found.path)
        with self._easel.timeline.together():
            self._easel.lay(subject)
            self._easel.modes.rest()
            if found.edit_type is not None:
                lost += self._restore(found.edit_type, found, photo)
        if found.after is not None:
            self._add(found.after, found, photo)
        words = f"opened {found.name}, {photo.size[0]}x{photo.size[1]}"
        if lost:
            self._messages.say(f"{words}; not restored: {'; '.join(lost)}", "file", "warning")
        else:
            self._messages.say(words if subject.prompt else f"{words}; say in the prompt what it shows", "file")

    def revert(self, index: int) -> None:
        """Go back to a run."""
        entry = self._session.history.revert(index)
        self._go_back(entry)
        self._easel.stage.set_result(entry.after.picture)
        self._messages.say(f"back at run {index + 1}", "run")

    def continue_from(self, index: int) -> None:
        """Edit the result of a run. What it moved is selected where it is now; arrows and clicks go."""
        self._go_on(self._session.history.revert(index))
        self._messages.say(f"going on from the result of run {index + 1}", "run")

    def compare(self, index: int) -> None:
        """See the result of a run over the picture that is there; where that has another size, go back to the run."""
        entry = self._session.history[index]
        if entry.after.size != self._easel.subject.photo.size:
            self.revert(index)
            return
        self._session.history.revert(index)
        self._easel.stage.set_result(entry.after.picture)
        self.refresh()

    def state(self) -> Mapping[str, Any]:
        """All that is needed to come back here."""
        easel, session = self._easel, self._session
        return {
            "prompt": session.prompt,
            "mode": easel.modes.mode,
            "fields": easel.modes.form.values(),
            "marks": easel.view.state.to_json(),
            "settings": session.settings,
            "path": easel.subject.path,
        }

    def refresh(self) -> None:
        """The history is another one."""
        history = self._session.history
        self._shelf.show(history)
        self.base.disabled = history.current is None
        if self.base.value != (value := "result" if self._on_result() else "source"):
            self.base.value = value

    def _go_back(self, entry: Entry) -> None:
        state = entry.state
        marks = MarkState.from_json(state["marks"])
        with self._easel.timeline.together():
            self._easel.lay(Subject(entry.before, state["prompt"], marks, state["settings"], state["path"]))
            self._easel.modes.show(state["mode"], state["fields"])
        self.refresh()

    def _go_on(self, entry: Entry) -> None:
        photo = entry.after
        landed = self._session.landed(entry.edits, photo.size)
        marks = MarkState.holding(landed if landed is not None else MarkState.from_json(entry.state["marks"]).mask)
        with self._easel.timeline.together():
            self._easel.lay(Subject(photo, entry.state["prompt"], marks, self._session.settings))
            self._easel.modes.rest()
        self.refresh()

    def _generate(self, file: EditFile, found: Opened, prompt: str, settings: Settings | None) -> None:
        """Make the picture that a file names by its seed, then show it."""
        types = self._session.registry.edit_types()

        def shown(made: Photo | BaseException) -> None:
            if isinstance(made, Photo):
                self._show(remade(found, made, types, self._known), prompt, settings)
            else:
                lost = (f"the picture of seed {file.seed}, as {in_words(made)}", *found.lost[1:])
                self._show(replace(found, lost=lost), prompt, settings)

        self._runs.generate(file, lambda made: self._guarded(lambda: shown(made)))

    def _restore(self, edit_type: type[Edit], found: Opened, photo: Photo) -> list[str]:
        """Show an edit; gives what could not be shown."""
        fields, modes, view = form_fields(edit_type), self._easel.modes, self._easel.view
        try:
            mask, drags = marks_of(fields, found.values, photo.size)
            if found.landed:
                landed = None if found.edit is None else self._session.landed([found.edit], photo.size)
                mask, drags = mask & False if landed is None else landed, []
            view.apply(lambda state: state.change(mask, drags=drags))
            modes.show(edit_type.mode, found.values)
            if found.landed:
                modes.rest()
        except DragonkitError as error:
            return [f"its marks and fields, as {error}"]
        return []

    def _add(self, after: Photo, found: Opened, photo: Photo) -> None:
        """What came of it is a run, too."""
        if after.size != photo.size:
            return
        edits = () if found.edit is None else (found.edit,)
        self._session.history.add(Entry(photo.picture, edits, None, self.state(), photo, after))
        self._easel.stage.set_result(after.picture)
        self.refresh()

    def _laid(self, before: Subject) -> None:
        subject, current = self._easel.subject, self._session.history.current
        self.prompt.value = subject.prompt
        if not subject.inverts_as(before):
            self._runs.prepare()
        if subject.photo is not before.photo:
            self._messages.forget("file")
        if subject.marks is not before.marks and current is not None and subject.photo is current.before:
            self._easel.stage.set_result(current.after.picture)
            self._easel.stage.set_source()
        self.refresh()

    def _reworded(self) -> None:
        subject = self._easel.subject
        if self.prompt.value != subject.prompt:  # otherwise it was set from here
            self._easel.lay(replace(subject, prompt=self.prompt.value))

    def _rebased(self) -> None:
        """Somebody has chosen what to go on from; or the switch follows what is there."""
        current = self._session.history.current
        if current is None or (self.base.value == "result") == self._on_result():
            return
        if self.base.value == "result":
            self._go_on(current)
        else:
            self._go_back(current)

    def _on_result(self) -> bool:
        """Whether the picture that is there is what the run that is shown made."""
        current = self._session.history.current
        return current is not None and self._session.photo is current.after

    def _known(self) -> Iterator[Photo]:
        """All pictures that are here."""
        for subject in self._easel.timeline.subjects:
            yield subject.photo
        for entry in self._session.history:
            yield from (entry.before, entry.after)

    def _coming(self, name: str, size: int) -> None:
        if size > MOST:
            self._messages.fail(too_large(name, size), "file")
        else:
            self._messages.say(f"{name} is coming, {size / 1e6:.1f} MB", "file", "working")

    def _came(self, name: str, content: bytes) -> None:
        self._guarded(lambda: self.open(Sent(name, content)))

    def _guarded(self, action: Any) -> None:
        """A front end swallows what its callbacks raise; here it is told."""
        try:
            action()
        except Exception as error:
            self._messages.fail(error, "file")
