"""One job from its edit file to the PNG on disk: what every engine's workers do."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np

from dragonkit.batching.jobs import Job
from dragonkit.batching.manifest import Record
from dragonkit.editing.editor import Editor
from dragonkit.editing.storing import Metadata
from dragonkit.edits.file import EditFile
from dragonkit.edits.settings import Settings
from dragonkit.errors import Cancelled, DragonkitError, EditFileError
from dragonkit.imaging.photos import Photo, pixel_hash
from dragonkit.plugins.registry import PluginRegistry, get_registry

__all__ = ["Worker"]


class Worker:
    """Runs jobs with models that it loads once each.

    Args:
        out: the folder of results.
        model: in place of those that the jobs name.
        settings: on top of the jobs' own.
        metadata: what results say, as in `EditResult.save`.
    """

    def __init__(
        self,
        out: Path,
        model: str | None = None,
        device: str | None = None,
        settings: Settings | None = None,
        metadata: Metadata = "edit",
        registry: PluginRegistry | None = None,
    ) -> None:
        self.out, self.model, self.device, self.settings, self.metadata = out, model, device, settings, metadata
        self.registry = registry or get_registry()
        self._editors: dict[str, Editor] = {}

    def run(self, job: Job, digest: str, known: bool) -> Record:
        """Do a job. What goes wrong with it is in the record; only `dragonkit.Cancelled` comes out.

        Args:
            known: whether the manifest has a result of this name, which may then be replaced.
        """
        start = time.perf_counter()
        try:
            status, result, warnings = self._done(job, known)
        except Cancelled:
            raise
        except Exception as error:  # a bug met by one job among thousands is that job's failure, and is told as a bug
            told = str(error) if isinstance(error, DragonkitError) else f"a bug: {type(error).__name__}: {error}"
            return Record(job.name, digest, "failed", round(time.perf_counter() - start, 3), told)
        return Record(job.name, digest, status, round(time.perf_counter() - start, 3), warnings=warnings, result=result)

    def _done(self, job: Job, known: bool) -> tuple[str, str, tuple[str, ...]]:
        file, place = job.edit_file(), self.out / f"{job.name}.png"
        file.check_pictures()
        edits, settings = self.registry.edits_from(file), self._settings(file)
        editor = self._editor(self.model or file.model_to_load(self.registry.models()))
        if os.path.lexists(place) and not known:
            self._check_ours(place, EditFile.of(editor.card.name, _picture(file), file.prompt, editor.settings(settings), edits))
            return "kept", "", ()
        source = editor.source_of(file.model_copy(update={"settings": settings}))
        result = editor.edit(source, edits, settings)
        result.save(place, self.metadata)
        return "done", pixel_hash(np.asarray(result.image.convert("RGB"))), tuple(result.report.warnings)

    def _check_ours(self, place: Path, wanted: EditFile) -> None:
        """EditFileError unless the file at a result's place is that very result, of a run that was ended before it could say so."""
        try:
            there: EditFile | None = EditFile.load(place).shareable()
        except DragonkitError:
            there = None
        if there != wanted.shareable():
            raise EditFileError(f"{str(place)!r} is there already, and not by this batch; take it away, or give another --out.")

    def _settings(self, file: EditFile) -> Settings:
        own = {name: getattr(file.settings, name) for name in file.settings.model_fields_set}
        chosen = {} if self.settings is None else {name: getattr(self.settings, name) for name in self.settings.model_fields_set}
        return Settings(**{**own, **chosen})

    def _editor(self, model: str) -> Editor:
        if model not in self._editors:
            self._editors[model] = Editor.from_pretrained(model, self.device, registry=self.registry)
        return self._editors[model]


def _picture(file: EditFile) -> Photo | int:
    return file.photo() if file.image or file.seed is None else file.seed
