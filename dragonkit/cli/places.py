"""Where results go and where models run; checked before the model is loaded, so that a mistake costs no minutes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragonkit.cli.console import warn
from dragonkit.errors import EditError, ImageError, ModelError
from dragonkit.files import check_writable, free_name
from dragonkit.words import closest

if TYPE_CHECKING:
    from dragonkit.editing.results import EditResult

__all__ = ["MetadataOption", "NoMetadataOption", "OverwriteOption", "Place", "check_device", "check_output", "told"]

MetadataOption = Annotated[
    str,
    typer.Option(
        "--metadata",
        metavar="KIND",
        help="What the PNG says: 'edit' for masks, settings and words, 'full' for the source picture as well, which anybody can take out, "
        "or 'none'. Where pictures and models lie here is never said.",
    ),
]
NoMetadataOption = Annotated[bool, typer.Option("--no-metadata", help="The same as --metadata none.")]
OverwriteOption = Annotated[bool, typer.Option("--overwrite", help="Replace what is there already.")]

DEVICES = ("cpu", "cuda", "mps", "xpu")


class Place:
    """Where a result goes, checked before it is made.

    Args:
        out: what was asked for; None for the first free of photo-move.png, photo-move-2.png, ...
        usual: the name when nothing was asked for.
        inputs: files that are read; whatever is not a path is skipped.
        metadata: as in `EditResult.save`.
        overwrite: whether what is there already is replaced.

    Raises:
        ImageError: it cannot go there.
        EditError: there are no such metadata.
    """

    def __init__(self, out: Path | None, usual: Path, inputs: Iterable[Any], metadata: str, overwrite: bool) -> None:
        from dragonkit.editing.storing import BESIDE, METADATA

        if metadata not in METADATA:
            raise EditError(f"--metadata is {metadata!r}, but must be {' or '.join(METADATA)}.{closest(metadata, METADATA)}")
        self._beside = () if metadata == "none" else (BESIDE,)
        self.path = out or (usual if overwrite else free_name(usual, self._beside))
        self._metadata, self._overwrite = metadata, overwrite
        check_output(self.path, inputs, overwrite)
        for ending in self._beside:
            check_output(self.path.with_name(self.path.stem + ending), inputs, overwrite or metadata == "edit", suffix="")

    def save(self, result: EditResult) -> Path:
        """Write the result, and say where: a work of minutes is not lost because the name was taken meanwhile, or the disk is full."""
        path = self.path
        while True:
            try:
                return result.save(path, self._metadata, self._overwrite)  # type: ignore[arg-type]
            except ImageError as error:
                if isinstance(error.__cause__, FileExistsError):
                    path = free_name(self.path, self._beside)
                    continue
                elsewhere = Path(tempfile.mkdtemp(prefix="dragonkit-")) / path.name
                try:
                    result.save(elsewhere, self._metadata)  # type: ignore[arg-type]
                except ImageError:
                    elsewhere.parent.rmdir()
                    raise error from None
                warn(f"{error}; until then it lies in {str(elsewhere)!r}")
                return elsewhere


def check_output(out: Path, inputs: Iterable[Any] = (), overwrite: bool = False, suffix: str = ".png", option: str = "--out") -> None:
    """Refuse a place that has another ending, is one of the inputs, is taken, or cannot be written. Nothing stays behind.

    Args:
        out: where the result shall go; missing folders above it are fine.
        inputs: files that are read; whatever is not a path is skipped.
        overwrite: whether what is there already may be replaced; an input never is.
        suffix: what the name must end in; "" for anything.
        option: what users know it as.

    Raises:
        ImageError: it cannot go there.
    """
    what = f"{option} is {str(out)!r}"
    if os.path.isdir(out):  # unlike Path.is_dir it takes any name
        raise ImageError(f"{what}, which is a directory; give the name of a file in it.")
    if suffix and out.suffix.lower() != suffix:
        raise ImageError(f"{what}, but must end in {suffix}: only a PNG can carry its edit file.")
    for path in inputs:
        if isinstance(path, (str, os.PathLike)) and _same_file(out, path):
            raise ImageError(f"{what}, an input, which would be lost; give another name.")
    try:
        check_writable(out)
    except NotADirectoryError as error:
        raise ImageError(f"{what}, but {error.filename!r} is not a directory; give another place.") from error
    except OSError as error:
        raise ImageError(f"{what}, which cannot be written: {error.strerror or error}; give another place.") from error
    if os.path.lexists(out) and not overwrite:
        raise ImageError(f"{what}, which is there already; give another name, or add --overwrite.")


@contextmanager
def told(place: Path) -> Iterator[None]:
    """Within this block an error of the disk is an ImageError that names the place."""
    try:
        yield
    except OSError as error:
        raise ImageError(f"{str(place)!r} could not be written: {error.strerror or error}; choose another place") from error


def check_device(device: str | None) -> None:
    """Refuse a device that is misspelt or not there. Loads torch for anything but the CPU. Raises ModelError."""
    if device is None or device == "cpu":
        return
    kind, _, number = device.partition(":")
    if kind not in DEVICES or (":" in device and not number.isdigit()):
        raise ModelError(f"--device is {device!r}, but must be one of {', '.join(DEVICES)}, or cuda:1 for the second GPU.")
    import torch

    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "xpu": torch.xpu.device_count(), "mps": int(torch.backends.mps.is_available())}
    if int(number or 0) >= counts[kind]:
        raise ModelError(
            f"--device is {device!r}, but PyTorch finds {counts[kind]} of {kind!r} here; leave the option out to take what is there."
        )


def _same_file(a: Path, b: str | os.PathLike[str]) -> bool:
    try:
        return os.path.samefile(a, b)
    except (OSError, ValueError):  # one of them does not exist, so nothing is lost
        return False
