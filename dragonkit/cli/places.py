"""Where results go and where models run; checked before the model is loaded, so that a mistake costs no minutes."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from dragonkit.errors import ImageError, ModelError

__all__ = ["check_device", "check_output"]

DEVICES = ("cpu", "cuda", "mps", "xpu")


def check_output(out: Path, inputs: Iterable[Any] = ()) -> None:
    """Refuse a place that is no PNG, is one of the inputs, or cannot be written. Nothing stays behind.

    Args:
        out: where the result shall go; missing folders above it are fine.
        inputs: files that are read; whatever is not a path is skipped.

    Raises:
        ImageError: it cannot go there.
    """
    if os.path.isdir(out):  # unlike Path.is_dir it takes any name
        raise ImageError(f"--out is {str(out)!r}, which is a directory; give the name of a file in it.")
    if out.suffix.lower() != ".png":
        raise ImageError(f"--out is {str(out)!r}, but must end in .png: only a PNG can carry its edit file.")
    for path in inputs:
        if isinstance(path, (str, os.PathLike)) and _same_file(out, path):
            raise ImageError(f"--out is {str(out)!r}, an input, which would be lost; give another name.")
    folder = next(parent for parent in out.absolute().parents if os.path.lexists(parent))
    if not os.path.isdir(folder):
        raise ImageError(f"--out is {str(out)!r}, but {str(folder)!r} is not a directory; give another place.")
    try:
        if os.path.exists(out):
            out.open("r+b").close()
        else:
            tempfile.TemporaryFile(dir=folder).close()  # asking for permissions is not enough: a disk may be full or read-only
    except OSError as error:
        raise ImageError(f"--out is {str(out)!r}, which cannot be written: {error.strerror or error}; give another place.") from error


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
