"""One job from its edit file to the PNG at its place: what every engine's workers do."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from dragonkit.batching.jobs import Job
from dragonkit.batching.manifest import Record
from dragonkit.batching.opening import opened
from dragonkit.batching.outbox import TakenError, outbox
from dragonkit.editing.editor import Editor
from dragonkit.editing.storing import Metadata
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.edits.sharing import without_masks
from dragonkit.errors import Cancelled, DragonkitError, EditFileError, ModelError
from dragonkit.imaging.photo_files import open_photo
from dragonkit.plugins import registry as plugins
from dragonkit.plugins.registry import PluginRegistry

__all__ = ["NoRoomError", "Task", "Worker"]


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

    def run(self, task: Task) -> Record:
        """Do a job. What is wrong with it is in the record.

        Raises:
            Cancelled: somebody said so.
            NoRoomError: results cannot be written any more.
        """
        start = time.perf_counter()

        def record(status: str, **more: Any) -> Record:
            return task.record(status, seconds=round(time.perf_counter() - start, 3), **more)

        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            return record(**self._done(task.job, task.ours))
        except Cancelled:
            raise
        except DragonkitError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno in (errno.ENOSPC, errno.EDQUOT):
                raise NoRoomError(f"there is no room for results: {error}") from error
            return record("failed", error=str(error))
        except Exception as error:  # a plugin's mistake, or ours, costs its job and no other
            return record("failed", error=f"this is a bug in dragonkit or a plugin ({type(error).__name__}: {error}); please report it")
        finally:
            torch.set_num_threads(threads)

    def _done(self, job: Job, ours: str) -> dict[str, Any]:
        with opened(job, self.registry) as (file, unsure):
            file.check_pictures()
            edits, settings = self.registry.edits_from(file), (self.settings or Settings()).over(file.settings)
            editor = self._editor(self.model or file.model_to_load(self.registry.models()))
            file = file.model_copy(update={"settings": settings})
            with self.out.copy(job.name) as there:
                replace = there is not None and bool(ours) and _pixels(there).startswith(ours)
                if there is not None and not replace and self.metadata != "none":
                    source = file.photo() if file.image else file.seed or 0
                    full, scale = editor.settings(settings), file.seed_guidance_scale
                    _check_ours(there, job, EditFile.of(editor.card.name, source, file.prompt, full, edits, scale))
                    return {"status": "kept", "result": _pixels(there), "unsure": unsure}
            result = editor.edit(editor.source_of(file), edits, settings)
            status, pixels = "done", result.photo.hash.removeprefix("sha256:")
            try:
                self.out.save(job.name, result, self.metadata, overwrite=replace)
            except TakenError:
                with self.out.copy(job.name) as there:
                    if there is None or _pixels(there) != pixels:
                        raise _not_ours(job) from None
                status = "kept"
            return {"status": status, "warnings": tuple(result.report.warnings), "result": pixels, "unsure": unsure}

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
