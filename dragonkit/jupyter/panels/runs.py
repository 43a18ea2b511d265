"""Between the session, which works, and the panels, which show: what is said when, and errors that are never lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from PIL import Image

from dragonkit.edits.edit import Edit
from dragonkit.edits.file import EditFile
from dragonkit.errors import Cancelled
from dragonkit.imaging.photos import Photo
from dragonkit.jupyter.panels.messages import Messages, Subject
from dragonkit.jupyter.panels.run_panel import RunPanel
from dragonkit.jupyter.work.history import Entry
from dragonkit.jupyter.work.job import EditJob, Progress
from dragonkit.jupyter.work.session import Session

if TYPE_CHECKING:
    from dragonkit.diffusion.source import Source

__all__ = ["Runs"]

PATIENCE = 1.0
"""Seconds after which Cancel says what it waits for."""


class Runs:
    """Prepares the picture, runs edits, and tells the panels.

    Args:
        session: what works.
        panel, messages: what shows.
        on_result: called with every run that came to an end, on its thread.

    Attributes:
        error: what the last run failed with; None when it did not, or was cancelled.
    """

    def __init__(self, session: Session, panel: RunPanel, messages: Messages, on_result: Callable[[Entry], Any]) -> None:
        self.session, self.panel, self.messages, self._on_result = session, panel, messages, on_result
        self.error: BaseException | None = None
        self._mode = ""  # of the run
        self.job = EditJob(self._progressed, self._previewed, self._finished)

    def prepare(self) -> None:
        """Load the model and invert the picture, in the background."""
        self.messages.say("loading the model and inverting the picture; mark it meanwhile", "picture", "working")
        self.session.prepare(
            lambda progress: self.panel.progress("fetching the model" if progress.unit == "MB" else "inverting", progress), self._prepared
        )

    def generate(self, file: EditFile, then: Callable[[Photo | BaseException], Any]) -> None:
        """Make the picture that an edit file names by its seed, in the background.

        Args:
            then: called on another thread with the picture, or with what it failed with.
        """

        def made(source: Source | None, error: BaseException | None) -> None:
            if not self.job.running:
                self.panel.rest()
            if source is not None:
                then(source.photo)
            elif error is not None and not isinstance(error, Cancelled):
                then(error)

        self.messages.say(f"making the picture of seed {file.seed}, {file.prompt!r}", "file", "working")
        self.session.generate(file, lambda progress: self.panel.progress("making the picture", progress), made)

    def run(self, edits: Sequence[Edit], state: Mapping[str, Any]) -> None:
        """Start. EditError when a run is going on."""
        session, panel = self.session, self.panel
        if not (session.preparing or session.prepared):  # it failed, or was stopped
            self.prepare()
        if not self.job.running:  # before it starts, since it may be over at once
            self.error = None
            self.messages.forgive()
            panel.busy(True)
            self._mode = edits[0].mode
            self._say_that_it_runs()
        session.run(self.job, edits, state)

    def _say_that_it_runs(self) -> None:
        waits = "waits until the picture is inverted"
        self.messages.say(f"{self._mode}: {waits if self.session.preparing else 'running'}", "run", "working")

    def cancel(self) -> None:
        """Stop the run within a step. A plugin that does not return is named after a while."""
        self.job.cancel()
        if not self.job.running:  # an interpreter that ends cancels, too, and would wait for ever for a thread that it no longer starts
            return
        timer = threading.Timer(PATIENCE, self._say_what_holds_up)
        timer.daemon = True
        timer.start()

    def _say_what_holds_up(self) -> None:
        if (plugin := self.job.held_up_by) is not None:
            self.messages.say(f"Cancel waits for {plugin}, which must return first; if it never does, restart the kernel", "run", "warning")

    def wait(self, timeout: float | None = None) -> None:
        """Wait for inversion and run. TimeoutError, or what the run failed with."""
        if not (self.session.wait(timeout) and self.job.wait(timeout)):
            raise TimeoutError(f"not done after {timeout} s; it says: {self.messages.all[-1]}")
        if self.job.error is not None:
            raise self.job.error

    def _progressed(self, progress: Progress) -> None:
        self.panel.progress("editing", progress)

    def _previewed(self, image: Image.Image) -> None:
        self.panel.preview(image, self.session.picture.size)

    def _prepared(self, source: Source | None, error: BaseException | None) -> None:
        if not self.job.running:
            self.panel.rest()
        if isinstance(error, Cancelled):
            return
        if source is None:
            assert error is not None
            self._fail(error, "picture")
            return
        back, most = source.reconstruction_psnr, source.autoencoder_psnr
        check = "" if back is None else f": without any edit it comes back at {back:.1f} dB, of {most:.1f} dB that the autoencoder allows"
        advice = self.session.advice(source)
        if advice:
            self.messages.say(f"the picture is inverted; careful: {' '.join(advice)}", "picture", "warning")
        else:
            self.messages.say(f"the picture is inverted{check}", "picture")
        if self.job.running:
            self._say_that_it_runs()

    def _finished(self, job: EditJob) -> None:
        self.panel.busy(False)
        self.panel.rest()
        if isinstance(job.error, Cancelled):
            self.messages.say("cancelled; the marks and earlier results are as they were", "run")
        elif job.error is not None:
            self._fail(job.error, "run")
        else:
            try:
                self._on_result(job.result)
            except Exception as error:  # on this thread nobody else would see it
                self._fail(error, "run")

    def _fail(self, error: BaseException, about: Subject) -> None:
        self.error = error
        self.messages.fail(error, about)
