"""Slow work on a thread of its own, with progress, previews and a way to stop it. Knows no widgets.

job = EditJob(on_progress=print, on_done=lambda job: print(job.result or job.error))
job.start(lambda watch: editor.edit(source, edit, on_step=watch.on_step, progress=watch.on_progress))
job.cancel()
"""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from dragonkit.errors import Cancelled, DragonkitError, EditError
from dragonkit.jupyter.work.interrupts import interrupting
from dragonkit.plugins.blame import running_in

if TYPE_CHECKING:
    from PIL import Image

    from dragonkit.diffusion.sampling import Step

__all__ = ["EditJob", "Progress", "Watch", "in_words"]

PROGRESS_EVERY, PREVIEW_EVERY = 0.1, 0.5
"""Seconds between two reports, and between two previews: more would flood a notebook's connection."""
DRAFT = 512
"""The longer side of a first preview, in pixels: a photo of many megapixels would take longer to send than the model to begin."""
_POLL = 0.02  # seconds between two looks at whether somebody wants to stop

_jobs: WeakSet[EditJob] = WeakSet()


@dataclass(frozen=True)
class Progress:
    """How far the work is: `step` of `steps` are done.

    Attributes:
        seconds_left: by the steps so far; None while there is only one.
        energies: weighted energies of the step by "plugin.term"; empty at unguided steps and while inverting.
        unit: what is counted.
    """

    step: int
    steps: int
    seconds_left: float | None = None
    energies: Mapping[str, float] = field(default_factory=dict)
    unit: str = "step"


class Watch:
    """What the work is given: it reports here, and learns here that it shall stop.

    Args:
        cancelled: set when somebody wants to stop.
        on_progress, on_preview: called on the thread of the work, at most 10 and 2 times a second.
        clock: seconds.
    """

    def __init__(
        self,
        cancelled: threading.Event,
        on_progress: Callable[[Progress], None],
        on_preview: Callable[[Image.Image], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cancelled, self._on_progress, self._on_preview, self._clock = cancelled, on_progress, on_preview, clock
        self._first: tuple[float, int] | None = None
        self._next_progress = self._next_preview = float("-inf")
        self._last: tuple[int, int, Mapping[str, float]] = 0, 0, {}

    def check(self) -> None:
        """Raise `Cancelled` when somebody wants to stop."""
        if self._cancelled.is_set():
            raise Cancelled()

    def wait_for(self, ready: Callable[[], bool]) -> None:
        """Wait until `ready()`; Cancelled when somebody wants to stop before."""
        while not ready():
            self.check()
            self._cancelled.wait(_POLL)

    def on_progress(self, done: int, steps: int) -> None:
        """For `progress=` of an Editor's methods."""
        same = self._last[:2] == (done, steps)  # `on_step` has told of this step, and knows more
        self._report(done, steps, self._last[2] if same else {})

    def on_fetched(self, done: int, total: int) -> None:
        """For `progress=` of `Editor.from_pretrained`, in bytes."""
        self.check()
        if total:
            self._report(done // 10**6, -(-total // 10**6), {}, "MB")

    def on_draft(self, draft: Image.Image) -> None:
        """For `Editor.edit(on_draft=...)`."""
        self.check()
        if self._on_preview is not None:
            draft = draft.copy()
            draft.thumbnail((DRAFT, DRAFT))
            self._show(draft, self._on_preview)

    def on_step(self, step: Step) -> None:
        """For `Editor.edit(on_step=...)`. A preview is a glimpse, which costs no decoding, and is made only when it is due."""
        self._last = step.done, step.total, step.energies
        self._report(step.done, step.total, step.energies)
        if self._on_preview is not None and self._clock() >= self._next_preview:
            from dragonkit.imaging.images import to_image

            self._show(to_image(step.glimpse()), self._on_preview)

    def _show(self, image: Image.Image, on_preview: Callable[[Image.Image], None]) -> None:
        self._next_preview = self._clock() + PREVIEW_EVERY
        on_preview(image)

    def _report(self, done: int, steps: int, energies: Mapping[str, float], unit: str = "step") -> None:
        self.check()
        now = self._clock()
        if self._first is None or done <= self._first[1]:
            self._first = now, done
        if now >= self._next_progress:
            self._next_progress = now + PROGRESS_EVERY
            begun, first = self._first
            left = (now - begun) / (done - first) * (steps - done) if done > first else None
            self._on_progress(Progress(done, steps, left, dict(energies), unit))


class EditJob:
    """One piece of work at a time on a thread of its own, so that a notebook's clicks are never kept waiting.

    All callbacks are called on that thread.

    Args:
        on_progress: at most 10 times a second.
        on_preview: the picture in the making, at most twice a second.
        on_done: called with the job when it is over; `result` or `error` is set then, and `running` is False.

    Attributes:
        result: what the work returned; None before.
        error: what it raised, `Cancelled` after `cancel()`; None otherwise.
    """

    def __init__(
        self,
        on_progress: Callable[[Progress], None] | None = None,
        on_preview: Callable[[Image.Image], None] | None = None,
        on_done: Callable[[EditJob], None] | None = None,
    ) -> None:
        self._on_progress, self._on_preview, self._on_done = on_progress or (lambda progress: None), on_preview, on_done
        self._cancelled, self._over = threading.Event(), threading.Event()
        self._over.set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self.result: Any = None
        self.error: BaseException | None = None

    @property
    def running(self) -> bool:
        return not self._over.is_set()

    @property
    def held_up_by(self) -> str | None:
        """The plugin whose code runs now, while the job is asked to stop: it must return first. None for none."""
        thread = self._thread
        return running_in(thread) if thread is not None and self.running and self._cancelled.is_set() else None

    def start(self, work: Callable[[Watch], Any]) -> None:
        """Run `work(watch)` and return at once.

        Raises:
            EditError: the last one is still running.
        """
        with self._lock:
            if self.running:
                raise EditError("a run is still going on, so another one was not started; wait for it, or press Cancel first")
            self.result = self.error = None
            self._cancelled.clear()
            self._over.clear()
            _jobs.add(self)
            # a daemon: a notebook that is shut down must not wait for all steps; `_stop_all` waits for one
            self._thread = threading.Thread(target=self._run, args=(work,), name="dragonkit-job", daemon=True)
            self._thread.start()

    def cancel(self) -> None:
        """Ask the work to stop, which it does within a step. Nothing happens when none is running."""
        self._cancelled.set()

    def wait(self, timeout: float | None = None) -> bool:
        """Whether all is over, callbacks too, within `timeout` seconds."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(timeout)
            return not thread.is_alive()
        return not self.running

    def _run(self, work: Callable[[Watch], Any]) -> None:
        try:
            with interrupting(self.cancel):
                self.result = work(Watch(self._cancelled, self._on_progress, self._on_preview))
        except BaseException as error:  # handed on in .error: nobody else could see it on this thread
            self.error = error
        finally:
            self._over.set()
            if self._on_done is not None:
                self._on_done(self)


@atexit.register
def _stop_all() -> None:
    """An interpreter that ends while torch computes on another thread aborts, and its exit code says so."""
    jobs = [job for job in _jobs if job.running]
    for job in jobs:
        job.cancel()
    for job in jobs:
        job.wait(10)


def in_words(error: BaseException) -> str:
    """An error as a sentence for people: dragonkit's own are sentences; of others the kind is named, too."""
    if isinstance(error, DragonkitError):
        return str(error)
    text = str(error).strip().splitlines()
    return f"something unexpected happened: {type(error).__name__}{f': {text[0]}' if text else ''}"
