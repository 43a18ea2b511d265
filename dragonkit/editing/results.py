"""What an edit gives back: the picture, a report in numbers, and the edit file that makes it again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from pydantic import BaseModel, ConfigDict

from dragonkit.editing.places import PlaceReport
from dragonkit.edits.file import PNG_KEY, EditFile
from dragonkit.errors import ImageError

__all__ = ["EditResult", "Report", "StepReport"]


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
        reconstruction_psnr: dB, how well the source comes back without any edit; None when that was not checked.
        autoencoder_psnr: dB, the most that it could be.
        network_evaluations: UNet calls of this edit, counted per picture in the batch; an inversion made earlier is not in it.
        seconds: wall time of this edit.
        warnings: sentences worth reading.
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

    @property
    def resized(self) -> bool:
        return self.image_size != self.working_size


@dataclass(frozen=True, eq=False)
class EditResult:
    """The outcome of an edit.

    Attributes:
        image: the edited picture, RGB, of the input's size.
        report: what happened, in numbers.
        edit_file: makes the picture again.
        region: float32 (H, W) in [0, 1], how much of each pixel the edit might change; with `keep="pixels"` the picture is the
            source's bit for bit where it is 0.
    """

    image: Image.Image
    report: Report
    edit_file: EditFile
    region: np.ndarray

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write a PNG that carries its edit file: `dragonkit run` on it makes the picture again.

        Raises:
            ImageError: the name does not end in .png, or the place cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() != ".png":
            raise ImageError(
                f"a result is saved as PNG, which carries its edit file, but the name is {path.name!r}; use result.image.save for others"
            )
        info = PngInfo()
        info.add_itxt(PNG_KEY, self.edit_file.dumps())
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self.image.save(path, pnginfo=info)
        except OSError as error:
            raise ImageError(f"the result could not be written to {path}: {error.strerror or error}; choose another place") from error
        return path
