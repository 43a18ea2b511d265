"""From a job to the edit file to run: what lies elsewhere is fetched, pictures and masks from outside of the values are put in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from dragonkit.batching.addresses import below, fetch, filesystem, is_remote
from dragonkit.batching.jobs import Job, Select
from dragonkit.edits.file import EditFile
from dragonkit.edits.pictures import replaced
from dragonkit.edits.values import mask_to_json
from dragonkit.errors import EditError, EditFileError, MaskError
from dragonkit.imaging.images import ImageSource
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.words import closest, short

__all__ = ["opened", "selected"]

SURE = 0.8
"""Intersection over union that the masks of two clicks beside each other must have; below that the selector is unsure."""
ASIDE = 0.03
"""How far beside it the second click is, as a share of the picture's shorter side."""
LEAST, MOST = 0.002, 0.6
"""Shares of the picture that an object usually covers."""


@contextmanager
def opened(job: Job, registry: PluginRegistry) -> Iterator[tuple[EditFile, str]]:
    """The edit file of a job, and why its mask is worth a look, "" where it is not. What was fetched is gone when the block ends.

    Raises:
        DragonkitError: the job is broken, or something that it names is missing, unreadable or not to be followed.
    """
    if job.broken:
        raise EditFileError(job.broken)
    with TemporaryDirectory(prefix="dragonkit-batch-") as near:
        try:
            values, folder = _brought_near(job, Path(near))
            values, photos, unsure = _completed(job, values, registry, Path(near))
        except OSError as error:
            raise EditFileError(f"{job.origin}: a file that it names cannot be read: {error.strerror or error}. Check its path.") from error
        file = EditFile.loads(json.dumps(values), job.origin, folder, job.trust_paths)
        yield file.with_pictures(*photos), unsure


def selected(registry: PluginRegistry, picture: ImageSource | Photo, select: Select) -> tuple[np.ndarray, str]:
    """The mask, bool (H, W), that a selector makes of a picture, and why it is worth a look; "" where it is not.

    It is, where clicks beside each other do not mean the same, or where it covers nearly nothing or nearly all.

    Raises:
        EditError: there is no such selector, or it takes no clicks, or it selects nothing.
    """
    selectors = registry.selectors()
    if select.selector not in selectors:
        known = sorted(name for name, one in selectors.items() if one.gesture == "clicks")
        raise EditError(f"there is no selector {select.selector!r}; take {' or '.join(known)}.{closest(select.selector, known)}")
    selector, image = selectors[select.selector], open_photo(picture).picture
    if selector.gesture != "clicks":
        raise EditError(f"the selector {selector.name!r} needs a {selector.gesture} drawn, but here it can only click; take 'object'.")
    x, y = (share * side for share, side in zip(select.at, image.size, strict=True))
    mask = selector.select(image, [(x, y, True)])
    aside = ASIDE * min(image.size)
    for dx, dy in ((aside, 0), (-aside, 0), (0, aside), (0, -aside)):
        place = (min(max(x + dx, 0), image.width), min(max(y + dy, 0), image.height), True)
        try:
            other = selector.select(image, [place])
        except MaskError:
            other = np.zeros_like(mask)
        same = float((mask & other).sum() / (mask | other).sum())
        if same < SURE:
            return mask, f"clicks {aside:.0f} pixels apart select what is the same to {same:.0%} only"
    covers = float(mask.mean())
    return mask, "" if LEAST <= covers <= MOST else f"the mask covers {covers:.1%} of the picture"


def _brought_near(job: Job, near: Path) -> tuple[Mapping[str, Any], str]:
    """The values with addresses in place of which stand paths of copies, and the folder that other paths are relative to."""
    away = is_remote(job.folder)

    def bring(text: str) -> str:
        if is_remote(text):
            if not job.trust_paths:
                raise EditFileError(f"{job.origin}: {short(text)} lies outside of its folder; trust the job's paths with --trust-paths.")
            return str(fetch(text, near))
        place = below(job.folder, text) if away and len(text) < 1024 and PurePosixPath(text).suffix else None
        if place is not None:
            there, name = filesystem(place)
            if there.isfile(name):
                return str(fetch(place, near))
        return text

    words = {key: job.values[key] for key in ("prompt", "model") if key in job.values}
    rest = {key: value for key, value in job.values.items() if key not in words}
    return {**replaced(rest, bring), **words}, str(near) if away else job.folder


def _completed(job: Job, values: Mapping[str, Any], registry: PluginRegistry, near: Path) -> tuple[Mapping[str, Any], list[Photo], str]:
    """The values with the job's own picture and mask put in, the pictures that they name by a hash, and why to look at the mask."""
    if not job.picture:
        return values, [], ""
    photo, unsure, mask = open_photo(fetch(job.picture, near)), "", None
    if job.select is not None:
        made, unsure = selected(registry, photo, job.select)
        mask = mask_to_json(made)
    elif job.mask:
        mask = mask_to_json(fetch(job.mask, near))
    edits = [dict(edit) for edit in values["edits"]]
    if mask is not None:
        types = registry.edit_types()
        masked = [edit for edit in edits if edit["mode"] in types and "mask" in types[edit["mode"]].model_fields]
        if not masked:
            raise EditFileError(f"{job.origin}: there is a mask, but no edit that takes one; leave out --masks and --select.")
        for edit in masked:
            edit["mask"] = mask
    return {**values, "image": photo.hash, "edits": edits}, [photo], unsure
