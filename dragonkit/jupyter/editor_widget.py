"""The notebook editor: a picture to mark, a mode with its fields, Run, and what came out. It puts the parts together."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets as W
import numpy as np
from IPython.display import display
from PIL import Image

from dragonkit.editing.results import EditResult
from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, EditFileError
from dragonkit.imaging.masks import MaskSource, load_mask
from dragonkit.jupyter.canvas.fallback import Still, still
from dragonkit.jupyter.elements import STYLE, row
from dragonkit.jupyter.forms.form import Form
from dragonkit.jupyter.marks.state import MarkState
from dragonkit.jupyter.panels.easel import Easel
from dragonkit.jupyter.panels.export_panel import ExportPanel
from dragonkit.jupyter.panels.history_panel import HistoryPanel
from dragonkit.jupyter.panels.messages import Messages
from dragonkit.jupyter.panels.pictures import Pictures
from dragonkit.jupyter.panels.run_panel import RunPanel
from dragonkit.jupyter.panels.runs import Runs
from dragonkit.jupyter.work.export import python_script
from dragonkit.jupyter.work.history import Entry, History
from dragonkit.jupyter.work.opening import Source, opened, remade
from dragonkit.jupyter.work.session import Session, load_editor
from dragonkit.jupyter.work.subject import Subject
from dragonkit.plugins.registry import get_registry

if TYPE_CHECKING:
    from dragonkit.editing.editor import Editor

__all__ = ["EditorWidget"]


class EditorWidget(W.VBox):
    """Edit a picture with the mouse.

    The picture is inverted in the background as soon as the editor is made. Everything that can be clicked can be called as well.

    Args:
        image: path, PIL image, array or tensor; or a result, whose prompt, model and settings are taken over where none are given; or
            an edit file, or a PNG that carries one, whose edit comes back with them. The messages say what could not be brought back.
        prompt: what it shows.
        model: a name from `dragonkit models`, a hub id, a folder or a .safetensors file; loaded in the background. Default "toybox".
        editor: an editor that is there already, in place of `model`.
        mask: what to mark to begin with.
        settings: what differs from the model's defaults.

    Raises:
        ImageError, MaskError, EditFileError, ModelNotFoundError: one of these cannot be used.

    Example:
        editor = dk.EditorWidget("photo.png", prompt="a fish")
        editor                 # in a notebook: paint, drag, press Run
        editor.result.image    # in the next cell
    """

    def __init__(
        self,
        image: Source,
        prompt: str = "",
        model: str | None = None,
        *,
        editor: Editor | None = None,
        mask: MaskSource | None = None,
        settings: Settings | None = None,
    ) -> None:
        registry = get_registry() if editor is None else editor.registry
        found, generated = opened(image, registry.edit_types()), None
        if found.photo is None and found.file is not None and found.seed is not None:
            editor = editor or load_editor(model or found.file.model_to_load(registry.models()), registry)
            if found.suits(editor.card.name):
                generated = editor.source_of(found.file)
                found = remade(found, generated.photo, registry.edit_types())
        if (photo := found.photo) is None:
            raise EditFileError(f"{found.name} cannot be edited, as it does not hold {'; '.join(found.lost)}.")
        if model is None and editor is None and found.file is not None:  # another model has settings of its own
            model = found.file.model_to_load(registry.models())
        self._session = session = Session(photo, prompt or found.prompt or "", model or found.model or "toybox", editor, settings)
        if settings is None and found.settings is not None and found.suits(session.model):
            session.settings = found.settings
        if generated is not None:
            session.remember(generated, session.settings)
        marks = MarkState(photo.size)
        if mask is not None:
            marks.set_mask(load_mask(mask, photo.size))
        self._messages = messages = Messages()
        self._panel = panel = RunPanel(self._guard(self._run_pressed), self._guard(self.cancel))
        self._runs = Runs(session, panel, messages, self._finished)
        self._easel = easel = Easel(session, Subject(photo, session.prompt, marks, session.settings, found.path), messages)
        self.view = easel.view
        self._shelf = HistoryPanel(
            self._guard(lambda index: self._pictures.compare(index)), self._guard(self.revert), self._guard(self.continue_from)
        )
        self._pictures = pictures = Pictures(session, easel, self._runs, self._shelf, messages)
        self._still = Still(self._seen)
        easel.on_laid(lambda before: self._still.renew())
        self.exports = ExportPanel(self.edit_file, self.script, self._shown_result, messages, easel.view)
        easel.modes.on_change(self.exports.forget_script)
        tools, *rest = easel.tools.widget.children
        easel.tools.widget.children = (row(pictures.door, tools), *rest)
        base = row(W.Label("go on from"), pictures.base)
        picture = [easel.tools.widget, easel.view.widget, easel.view.front, easel.tools.help, easel.tools.picking, easel.stage.after, base]
        words = [pictures.prompt, easel.modes.widget, panel.widget, messages.widget, self._shelf.widget, self.exports.widget]
        columns = W.HBox([W.VBox(picture).add_class("dk-picture"), W.VBox(words).add_class("dk-words")]).add_class("dk-columns")
        super().__init__([W.HTML(STYLE), columns], layout=W.Layout(max_width="100%"))
        self.add_class("dk-editor")
        self._runs.prepare()
        if found.file is not None:
            pictures.show(found, prompt, session.settings)
            if mask is not None:
                self.mask = mask

    @property
    def marks(self) -> MarkState:
        """Everything marked on the picture; `mask` is the part most people want."""
        return self.view.state

    @property
    def mask(self) -> np.ndarray:
        """What is marked, bool (H, W), read-only; set it to anything that `load_mask` reads."""
        return self.marks.mask

    @mask.setter
    def mask(self, mask: MaskSource) -> None:
        wanted = load_mask(mask, self.marks.size)
        self.view.apply(lambda state: state.set_mask(wanted))

    @property
    def mode(self) -> str:
        """The mode's name. UnknownModeError when set to one that nobody offers."""
        return self._easel.modes.mode

    @mode.setter
    def mode(self, mode: str) -> None:
        self._easel.modes.mode = mode

    @property
    def form(self) -> Form:
        """The mode's fields: `editor.form.update({"scale": 1.5})`."""
        return self._easel.modes.form

    @property
    def edits(self) -> list[Edit]:
        """What Run would do now. EditError when something is missing or wrong."""
        return [self._easel.modes.edit()]

    @property
    def result(self) -> EditResult | None:
        """What the last run gave, or the one that was reverted to; None before the first."""
        current = self.history.current
        return None if current is None else current.result

    @property
    def history(self) -> History:
        """All runs, oldest first."""
        return self._session.history

    @property
    def status(self) -> str:
        """What was said last, errors too."""
        return self._messages.all[-1]

    @property
    def error(self) -> BaseException | None:
        """What the last run failed with, traceback and all; None when it did not."""
        return self._runs.error

    def run(self) -> None:
        """Start, and return at once; `wait` gives the result.

        Raises:
            EditError: something is missing or wrong, or a run is going on.
        """
        self._runs.run(self.edits, self._pictures.state())

    def cancel(self) -> None:
        """Stop the run within one step. What was made so far stays."""
        self._runs.cancel()

    def wait(self, timeout: float | None = None) -> EditResult | None:
        """The result, once inversion and run are over.

        Raises:
            TimeoutError: they are not within `timeout` seconds each.
            DragonkitError: what the run failed with; Cancelled after `cancel`.
        """
        self._runs.wait(timeout)
        return self.result

    def open_picture(self, source: Source, prompt: str = "") -> None:
        """Edit something else; what was there before comes back with undo.

        Args:
            source: as `image` of the editor. An edit file, and a PNG that carries one, bring back picture, prompt, marks, mode and
                settings; the messages say what could not be brought back.
            prompt: what it shows; as the file says when left out.

        Raises:
            ImageError, EditFileError: it cannot be used.
        """
        self._pictures.open(source, prompt)

    def revert(self, index: int) -> None:
        """Go back to a run of the history: its picture, marks, fields and result. Nothing is removed."""
        self._pictures.revert(index)

    def continue_from(self, index: int) -> None:
        """Edit the result of a run. What it moved is selected where it is now; arrows and clicks go."""
        self._pictures.continue_from(index)

    def edit_file(self) -> EditFile:
        """The edit file of what is asked for now. EditError while the model is being loaded, or when something is missing."""
        session = self._session
        settings = session.editor.settings(session.settings)
        return EditFile.of(session.model, session.photo, session.prompt, settings, self.edits)

    def script(self) -> str:
        """A Python script that gives the same result, pixel by pixel. EditError when something is missing."""
        session = self._session
        return python_script(session.model, session.photo, session.prompt, session.settings, self.edits, self._easel.subject.path)

    def close(self) -> None:
        """Stop what is going on, and remove the widget."""
        if hasattr(self, "_runs"):  # ipywidgets closes one, too, that was refused while it was being made
            self.cancel()
            self._session.stop()
        super().close()

    def _run_pressed(self) -> None:
        """A click may still be at work on what it selects."""
        if self._easel.picks.selecting:
            self._messages.say("Run waits until the selection is there", "run", "working")
        self._easel.picks.then(self._guard(self.run))

    def _ipython_display_(self) -> None:
        """The widget, and below it a picture for places that show no widgets; the browser hides it while the editor lives."""
        display(self._repr_mimebundle_(), raw=True)
        self._still.show()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        self._guard(self._easel.modes.refresh)()
        return super()._repr_mimebundle_(**options)

    def _seen(self) -> Image.Image:
        stage = self._easel.stage
        return still(stage.result, None) if stage.result is not None and stage.comparing else still(stage.picture, self.marks)

    def _finished(self, entry: Entry) -> None:
        """A run came to an end; this is its thread."""
        assert entry.result is not None
        report = entry.result.report
        if entry.photo is self._session.photo:  # otherwise somebody has gone on to another picture since
            self._easel.stage.set_result(entry.after.picture)
        self._pictures.refresh()
        self._still.renew()
        if report.warnings:
            self._messages.forget("picture")  # they say it again
        words = " ".join([f"{', '.join(report.modes)}: done in {report.seconds:.1f} s.", *report.warnings])
        self._messages.say(words, "run", "warning" if report.warnings else "done")

    def _shown_result(self) -> EditResult:
        if (result := self.result) is None:
            came = "this result was opened from a file; press Run to make it again"
            raise EditError("there is no result yet; press Run first" if self.history.current is None else came)
        return result

    def _guard(self, action: Callable[..., Any]) -> Callable[..., None]:
        """A front end swallows what its callbacks raise; here it is told."""

        def call(*values: Any) -> None:
            try:
                action(*values)
            except Exception as error:
                self._messages.fail(error, "asked")

        return call
