"""A picture being edited: its model and its inversion, the run that is going on, and the history. Knows no widgets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np
from PIL import Image

from dragonkit.editing.layout import Layout
from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError
from dragonkit.imaging.masks import Grid
from dragonkit.imaging.photos import Photo
from dragonkit.jupyter.work.history import Entry, History
from dragonkit.jupyter.work.job import EditJob, Progress, Watch
from dragonkit.models.loading import find_card
from dragonkit.modes.moving import MovingEdit
from dragonkit.plugins.registry import PluginRegistry, get_registry

if TYPE_CHECKING:
    from dragonkit.diffusion.source import Source
    from dragonkit.editing.editor import Editor

__all__ = ["Session", "load_editor"]

# widgets with the same model share it while one of them lives
_editors: WeakValueDictionary[tuple[str, int], Any] = WeakValueDictionary()
_loading = threading.Lock()


class Session:
    """Loads the model and inverts the picture in the background, and runs edits on it.

    Args:
        photo: the picture to edit.
        prompt: what it shows.
        model: a name, used where there is no `editor`.
        editor: an editor that is there already.
        settings: what differs from the model's defaults.

    Attributes:
        photo, prompt, settings: as given; call `prepare` after a change.
        registry: the plugins.
        model: the model's name.
        history: the runs that came to an end.

    Raises:
        ModelNotFoundError: there is no such model.
    """

    def __init__(self, photo: Photo, prompt: str, model: str, editor: Editor | None = None, settings: Settings | None = None) -> None:
        self.photo, self.prompt, self.settings = photo, prompt, settings or Settings()
        self.registry: PluginRegistry = get_registry() if editor is None else editor.registry
        self.model = find_card(model, self.registry.models(), self.registry.suspects("model")).name if editor is None else editor.card.name
        self.history = History()
        self._editor = editor
        self._preparation: EditJob | None = None
        self._generation: EditJob | None = None
        self._generated: tuple[Source, Settings] | None = None

    @property
    def picture(self) -> Image.Image:
        """The photo as RGB."""
        return self.photo.picture

    @property
    def editor(self) -> Editor:
        """EditError while the model is being loaded."""
        if self._editor is None:
            raise EditError(f"the model {self.model!r} is still being loaded; try again in a moment")
        return self._editor

    def prepare(self, on_progress: Callable[[Progress], Any], on_done: Callable[[Source | None, BaseException | None], Any]) -> None:
        """Begin to load the model and to invert the picture; an inversion that is no longer wanted is stopped.

        Args:
            on_progress: called on another thread.
            on_done: called there with the source, or the error; not after a later `prepare`.
        """

        before, photo, prompt = self._preparation, self.photo, self.prompt
        self._preparation = job = _job(lambda job: self._preparation is job, on_progress, on_done)
        if before is not None:
            before.cancel()
        job.start(lambda watch: self._invert(photo, prompt, watch))

    def generate(
        self, file: EditFile, on_progress: Callable[[Progress], Any], on_done: Callable[[Source | None, BaseException | None], Any]
    ) -> None:
        """Begin to make the picture that an edit file names by its seed; one that is being made is stopped.

        Args:
            on_progress, on_done: as for `prepare`.
        """
        self.stop_generating()
        self._generation = job = _job(lambda job: self._generation is job, on_progress, on_done)
        job.start(lambda watch: self._generate(file, watch))

    def remember(self, source: Source, settings: Settings) -> None:
        """A picture that was generated under these settings, and how: it is not inverted while its prompt and they are the same."""
        self._generated = source, settings

    def stop_generating(self) -> None:
        """Nobody waits any more for a picture that is being made."""
        before, self._generation = self._generation, None
        if before is not None:
            before.cancel()

    def run(self, job: EditJob, edits: Sequence[Edit], state: Mapping[str, Any]) -> None:
        """Begin to edit the picture, once it is prepared; the job's result is the `Entry`, which is in the history then, too.

        Args:
            state: kept in the history beside the result.

        Raises:
            EditError: the job is still running.
        """
        preparation, photo = self._preparation, self.photo
        assert preparation is not None

        def work(watch: Watch) -> Entry:
            layout = Layout(self.registry, edits, photo.size)  # a refusal need not wait for the inversion
            watch.wait_for(lambda: not preparation.running)
            if preparation.error is not None:
                raise preparation.error
            source = preparation.result
            result = self.editor.edit(
                source, layout, self.settings, on_step=watch.on_step, progress=watch.on_progress, on_draft=watch.on_draft
            )
            self.history.add(entry := Entry(photo.picture, tuple(edits), result, state, photo))
            return entry

        job.start(work)

    def landed(self, edits: Sequence[Edit], size: tuple[int, int]) -> np.ndarray | None:
        """Where what edits move is in their result, bool (H, W); None for edits that move nothing, or none.

        Args:
            size: (width, height) of the picture.
        """
        if not edits or not all(isinstance(edit, MovingEdit) for edit in edits):
            return None
        masks = Layout(self.registry, edits, size).on(Grid(*size, *size))
        landed: np.ndarray = np.logical_or.reduce([one.target for one in masks])
        return landed

    def advice(self, source: Source) -> list[str]:
        """What is worth knowing before an edit of this source."""
        return self.editor.advice(source)

    @property
    def preparing(self) -> bool:
        return self._preparation is not None and self._preparation.running

    @property
    def prepared(self) -> bool:
        return self._preparation is not None and self._preparation.result is not None

    def wait(self, timeout: float | None = None) -> bool:
        """Whether the inversion is over within `timeout` seconds."""
        return self._preparation is None or self._preparation.wait(timeout)

    def stop(self) -> None:
        """Stop the inversion, and the making of a picture."""
        self.stop_generating()
        if self._preparation is not None:
            self._preparation.cancel()

    def _loaded(self, watch: Watch) -> Editor:
        if self._editor is None:
            self._editor = load_editor(self.model, self.registry, watch)
        return self._editor

    def _invert(self, photo: Photo, prompt: str, watch: Watch) -> Source:
        editor = self._loaded(watch)
        if self._generated is not None:
            source, settings = self._generated
            if photo is source.photo and prompt == source.prompt and self.settings == settings:
                return source  # how it was made is known, and need not be guessed back
        return editor.invert(photo, prompt, self.settings, progress=watch.on_progress)

    def _generate(self, file: EditFile, watch: Watch) -> Source:
        self.remember(source := self._loaded(watch).source_of(file, watch.on_progress), file.settings)
        return source


def _job(
    wanted: Callable[[EditJob], bool],
    on_progress: Callable[[Progress], Any],
    on_done: Callable[[Source | None, BaseException | None], Any],
) -> EditJob:
    """A job whose callbacks are called while it is wanted."""
    job = EditJob(
        lambda progress: on_progress(progress) if wanted(job) else None,
        on_done=lambda done: on_done(done.result, done.error) if wanted(done) else None,
    )
    return job


def load_editor(model: str, registry: PluginRegistry, watch: Watch | None = None) -> Editor:
    """The editor that all widgets with this model share."""
    watch = watch or Watch(threading.Event(), lambda progress: None)
    watch.wait_for(lambda: _loading.acquire(blocking=False))
    try:
        editor = _editors.get((model, id(registry)))
        if editor is None:
            from dragonkit.editing.editor import Editor  # slow: it loads torch

            editor = _editors[model, id(registry)] = Editor.from_pretrained(model, registry=registry, progress=watch.on_fetched)
        return editor
    finally:
        _loading.release()
