"""Jobs from their edit files to the PNGs at their places: what every engine's workers do."""

from __future__ import annotations

import errno
import os
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from dragonkit.batching.jobs import Job
from dragonkit.batching.manifest import Record
from dragonkit.batching.opening import opened
from dragonkit.batching.outbox import TakenError, outbox
from dragonkit.diffusion.source import Source
from dragonkit.editing.editor import Editor
from dragonkit.editing.layout import Layout
from dragonkit.editing.results import EditResult
from dragonkit.editing.storing import Metadata
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.edits.sharing import without_masks
from dragonkit.errors import Cancelled, DragonkitError, EditFileError, ModelError
from dragonkit.imaging.photo_files import open_photo
from dragonkit.models.devices import torch_threads
from dragonkit.plugins import registry as plugins
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["NoRoomError", "Task", "Worker"]

Outcome = TypeVar("Outcome")


class NoRoomError(EditFileError):
    """The disk for results is full: no job's fault, and the next one would fare no better."""


class Task(NamedTuple):
    """A job to be done, with what its record will say.

    Attributes:
        ours: hash of the pixels of the result of that name that this batch wrote, and may replace; "" for none.
    """

    job: Job
    batch: str
    edit: str
    inputs: str
    ours: str

    def record(self, status: str, **more: Any) -> Record:
        """How it ended."""
        return Record(self.job.name, self.batch, self.edit, self.inputs, status, **more)


class _Ready(NamedTuple):
    """A job as an editor takes it."""

    editor: Editor
    source: Source
    layout: Layout
    settings: Settings
    replace: bool
    unsure: str
    seconds: float


class _Edited(NamedTuple):
    """What came of it, and after how long: its share, where several were edited at a time."""

    ready: _Ready
    result: EditResult
    seconds: float


class Worker:
    """Runs jobs with models that it loads once each.

    Args:
        out: path or address of the folder of results.
        model: in place of those that the jobs name.
        settings: on top of the jobs' own.
        metadata: what results say, as in `EditResult.save`.
        threads: of PyTorch on a CPU; results differ by it in their last bits, so it is not left to the machine.
    """

    def __init__(
        self,
        out: str | os.PathLike[str],
        model: str | None = None,
        device: str | None = None,
        settings: Settings | None = None,
        metadata: Metadata = "edit",
        threads: int = 1,
        registry: PluginRegistry | None = None,
    ) -> None:
        self.out, self.model, self.device, self.settings, self.metadata = outbox(out), model, device, settings, metadata
        self.threads = threads
        self.registry = registry or plugins.get_registry()
        self._editors: dict[str, Editor | ModelError] = {}

    def run(self, *tasks: Task) -> list[Record]:
        """Do jobs, those of one model and the same settings at a time. What is wrong with one is in its record, and costs no other.

        Raises:
            Cancelled: somebody said so.
            NoRoomError: results cannot be written any more.
        """
        records, alike = dict[int, Record](), defaultdict[tuple[int, str], list[tuple[int, _Ready]]](list)
        with torch_threads(self.threads), ExitStack() as files:
            for number, task in enumerate(tasks):
                ready = _judged(task, partial(self._ready, task, files))
                if isinstance(ready, Record):
                    records[number] = ready
                else:
                    alike[id(ready.editor), ready.settings.model_dump_json()].append((number, ready))
            for several in alike.values():
                numbers, edited = [number for number, _ in several], _edited_together([ready for _, ready in several])
                for number, work in zip(numbers, edited, strict=True):
                    records[number] = _judged(tasks[number], partial(self._stored, tasks[number], work))
        return [records[number] for number in range(len(tasks))]

    def _ready(self, task: Task, files: ExitStack) -> Record | _Ready:
        """A job with all that it needs; its record, where its result is there already."""
        job, begun = task.job, time.perf_counter()
        file, unsure = files.enter_context(opened(job, self.registry))
        file.check_pictures()
        edits, settings = self.registry.edits_from(file), (self.settings or Settings()).over(file.settings)
        editor = self._editor(self.model or file.model_to_load(self.registry.models()))
        file = file.model_copy(update={"settings": settings})
        with self.out.copy(job.name) as there:
            replace = there is not None and bool(task.ours) and _pixels(there).startswith(task.ours)
            if there is not None and not replace and self.metadata != "none":
                picture = file.photo() if file.image else file.seed or 0
                full, scale = editor.settings(settings), file.seed_guidance_scale
                _check_ours(there, job, EditFile.of(editor.card.name, picture, file.prompt, full, edits, scale))
                return task.record("kept", result=_pixels(there), unsure=unsure)
        source = editor.source_of(file)
        layout = Layout(self.registry, edits, source.image_size)  # which refuses what would cost others their turn
        return _Ready(editor, source, layout, settings, replace, unsure, time.perf_counter() - begun)

    def _stored(self, task: Task, edited: Callable[[], _Edited]) -> Record:
        ready, result, seconds = edited()
        begun, status, pixels = time.perf_counter(), "done", result.photo.hash.removeprefix("sha256:")
        try:
            self.out.save(task.job.name, result, self.metadata, overwrite=ready.replace)
        except TakenError:
            with self.out.copy(task.job.name) as there:
                if there is None or _pixels(there) != pixels:
                    raise _not_ours(task.job) from None
            status = "kept"
        took = round(ready.seconds + seconds + time.perf_counter() - begun, 3)
        return task.record(status, warnings=tuple(result.report.warnings), result=pixels, unsure=ready.unsure, seconds=took)

    def _editor(self, model: str) -> Editor:
        if model not in self._editors:
            try:
                self._editors[model] = Editor.from_pretrained(model, self.device, registry=self.registry)
            except ModelError as error:  # looked for once, and not for each of the jobs
                self._editors[model] = error
        editor = self._editors[model]
        if isinstance(editor, ModelError):
            raise editor
        return editor


def _edited_together(jobs: Sequence[_Ready]) -> list[Callable[[], _Edited]]:
    """What gives the outcome of each. Where one fails they are edited alone, so that it fails alone."""
    if len(jobs) > 1:
        begun, first = time.perf_counter(), jobs[0]
        try:
            results = first.editor.edit([one.source for one in jobs], [one.layout for one in jobs], first.settings)
        except Cancelled:
            raise
        except Exception:  # it comes again, and is told then
            pass
        else:
            seconds = (time.perf_counter() - begun) / len(jobs)
            return [partial(_Edited, one, result, seconds) for one, result in zip(jobs, results, strict=True)]
    return [partial(_edited_alone, one) for one in jobs]


def _edited_alone(job: _Ready) -> _Edited:
    begun = time.perf_counter()
    return _Edited(job, job.editor.edit(job.source, job.layout, job.settings), time.perf_counter() - begun)


def _judged(task: Task, work: Callable[[], Outcome]) -> Outcome | Record:
    """What the work gives, or the record of what is wrong with the job. Cancelled, NoRoomError."""
    begun = time.perf_counter()

    def failed(error: str) -> Record:
        return task.record("failed", error=error, seconds=round(time.perf_counter() - begun, 3))

    try:
        return work()
    except Cancelled:
        raise
    except DragonkitError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoRoomError(f"there is no room for results: {error}") from error
        return failed(str(error))
    except Exception as error:  # a plugin's mistake, or ours, costs its job and no other
        return failed(f"this is a bug in dragonkit or a plugin ({type(error).__name__}: {error}); please report it")


def _check_ours(there: Path, job: Job, wanted: EditFile) -> None:
    """EditFileError unless a file is the very result that is wanted, of a run that was ended before it could say so."""
    try:
        found = EditFile.load(there).shareable()
    except DragonkitError:
        raise _not_ours(job) from None
    if without_masks(found.model_dump(mode="json")) != without_masks(wanted.shareable().model_dump(mode="json")):
        raise _not_ours(job)


def _not_ours(job: Job) -> EditFileError:
    return EditFileError(f"{job.name}.png is there already, and not by this batch as the job is now; take it away, or give another --out.")


def _pixels(path: Path) -> str:
    """Hash of a picture's pixels; "" where it is none."""
    try:
        return open_photo(path).hash.removeprefix("sha256:")
    except DragonkitError:
        return ""
