"""What an edit gives back: the picture, a report in numbers, and the edit file that makes it again."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from pydantic import BaseModel, ConfigDict

from dragonkit.editing.places import PlaceReport
from dragonkit.editing.storing import METADATA, Metadata, store
from dragonkit.edits.file import EditFile
from dragonkit.errors import EditError, ImageError
from dragonkit.imaging.photo_files import open_photo
from dragonkit.imaging.photos import Photo
from dragonkit.words import closest, short

__all__ = ["EditResult", "Report", "StepReport"]

SHOWN = 1024  # pixels: what a notebook shows, and keeps, of a result


class StepReport(BaseModel):
    """One denoising step: its number from 0, what the network was told, and the weighted energies by "plugin.term" (none when unguided)."""

    model_config = ConfigDict(frozen=True)

    index: int
    time: float
    energies: dict[str, float]


class Report(BaseModel):
    """What happened, in numbers.

    Attributes:
        model, modes, prompt: what ran.
        image_size: (width, height) of the picture as given, and of the result.
        working_size: (width, height) that the model saw; the picture was resized to it and back where they differ.
        steps: every step with its energies.
        reconstruction_psnr: dB, how well the source comes back without any edit; None when that was not checked under this edit's guidance.
        autoencoder_psnr: dB, the most that it could be.
        network_evaluations: UNet calls of this edit, counted per picture in the batch; an inversion made earlier is not in it.
        seconds: wall time of this edit, and of those that were made at the same time.
        warnings: sentences worth reading.
        attention: whose kernels computed attention: "torch", "xformers", or both; None where the model does not tell.
        places: where each edit acts: how much of the picture its mask covers, how much may change, and which borders cut its target.
    """

    model_config = ConfigDict(frozen=True)

    model: str
    modes: tuple[str, ...]
    prompt: str
    image_size: tuple[int, int]
    working_size: tuple[int, int]
    steps: tuple[StepReport, ...]
    reconstruction_psnr: float | None
    autoencoder_psnr: float | None
    network_evaluations: int
    seconds: float
    warnings: tuple[str, ...] = ()
    places: tuple[PlaceReport, ...] = ()
    attention: str | None = None

    @property
    def resized(self) -> bool:
        """Whether the model saw the picture at another size than it has."""
        return self.image_size != self.working_size


@dataclass(frozen=True, eq=False, repr=False)
class EditResult:
    """The outcome of an edit.

    Attributes:
        image: the edited picture, of the input's size and kind: L, LA, RGB or RGBA, with 8 bits.
        report: what happened, in numbers.
        edit_file: makes the picture again.
        region: float32 (H, W) in [0, 1], how much of each pixel the edit might change; with `keep="pixels"` the picture is the
            source's bit for bit where it is 0.
        photo: the same picture with all of its bits, as it is saved; `image` when left out.
    """

    image: Image.Image
    report: Report
    edit_file: EditFile
    region: np.ndarray
    photo: Photo = None  # type: ignore[assignment]  # set below

    def __post_init__(self) -> None:
        if self.photo is None:
            object.__setattr__(self, "photo", open_photo(self.image))

    def save(self, path: str | os.PathLike[str], metadata: Metadata = "edit", overwrite: bool = True) -> Path:
        """Write a PNG, whole or not at all.

        Args:
            path: a name that ends in .png; missing folders are made.
            metadata: "edit" puts in masks, settings and words, and of the source picture the hash of its pixels: `dragonkit run` makes
                the result again when it is given that picture. "full" puts in the source and reference pictures as well, for anybody
                to take out; what is larger than 8 MB lies beside the PNG instead, as an edit file with pictures. "none" puts in
                nothing. Where models and pictures lie on this machine is never written.
            overwrite: whether what is there already is replaced.

        Raises:
            ImageError: the name does not end in .png, there is something already, or the place cannot be written.
            EditError: `metadata` is none of these.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ImageError(
                f"a result is saved as PNG, which carries its edit file, but the name is {path.name!r}; use result.image.save for others"
            )
        if metadata not in METADATA:
            known = " or ".join(map(repr, METADATA))
            raise EditError(f"metadata is {short(metadata)}, but must be {known}.{closest(str(metadata), METADATA)}")
        try:
            store(path, self.photo, self.edit_file, metadata, overwrite)
        except FileExistsError as error:
            raise ImageError(f"{str(error.filename or path)!r} is there already; choose another name, or overwrite it") from error
        except OSError as error:
            raise ImageError(f"the result could not be written to {path}: {error.strerror or error}; choose another place") from error
        return path

    def __repr__(self) -> str:
        report, (width, height) = self.report, self.image.size
        done = f"{', '.join(report.modes)} with {report.model}, {self.edit_file.settings.steps} steps, {report.seconds:.1f} s"
        return f"<EditResult {width}x{height}: {done}>"

    def _repr_png_(self) -> bytes:
        """The picture for a notebook, at most 1024 pixels wide and high."""
        shown = self.image.copy()
        shown.thumbnail((SHOWN, SHOWN))
        buffer = io.BytesIO()
        shown.save(buffer, format="PNG")
        return buffer.getvalue()
