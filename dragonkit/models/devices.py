"""Where a model runs and in which precision: checked before anything is loaded."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dragonkit.errors import ModelError
from dragonkit.plugins.blame import is_out_of_memory
from dragonkit.words import first_line, short

if TYPE_CHECKING:
    import torch

__all__ = ["checked_device", "checked_dtype", "default_dtype", "refuse_deleted_folder", "torch_threads"]


def refuse_deleted_folder() -> None:
    """ModelError when the current folder has been deleted: Intel's MKL, which PyTorch computes with, ends the process there."""
    try:
        os.getcwd()
    except OSError as error:
        raise ModelError(f"the current folder cannot be used ({error.strerror}); go to one that is there, such as with cd ~") from error


def checked_device(device: Any = None, what: str = "the device") -> torch.device:
    """The device of that name; CUDA where there is one, else the CPU, when left out.

    Args:
        what: what messages call it.

    Raises:
        ModelError: there is no such device here.
    """
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ModelError(
            f"{what} is {short(device)}, but must be such as cpu, cuda, cuda:1 or mps; leave it out to take what is there"
        ) from error
    try:
        torch.zeros(1, device=found).cpu()
    except Exception as error:  # each kind of device has its own way to say that it is not there
        if is_out_of_memory(error):
            raise
        raise ModelError(
            f"{what} is {short(str(device))}, which PyTorch cannot use here ({first_line(error)}); leave it out to take what is there"
        ) from error
    return found


def checked_dtype(dtype: Any, device: torch.device) -> torch.dtype:
    """The precision asked for, a torch.dtype or its name, or `default_dtype`. ModelError where it is none; a warning if it does no good."""
    import torch

    if dtype is None:
        return default_dtype(device)
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype.removeprefix("torch."), dtype)
    if not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise ModelError(
            f"dtype must be a floating-point torch.dtype such as torch.float32, got {short(dtype)}; leave it out to take what suits"
        )
    if dtype == torch.float16 and device.type == "cpu":
        warnings.warn("float16 is slow on a CPU and gains nothing there; leave dtype out", stacklevel=3)
    return dtype


def default_dtype(device: torch.device) -> torch.dtype:
    """The precision a model runs in where nobody asks for another: float16 on CUDA; bfloat16 on a CPU that multiplies it natively, which
    is a sixth faster there and slower elsewhere; float32 otherwise."""
    import torch

    if device.type == "cuda":
        return torch.float16
    if device.type == "cpu":
        capabilities: Mapping[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # torch 2.10 cannot say
        if capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"):
            return torch.bfloat16
    return torch.float32


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Within this block PyTorch computes with so many threads on a CPU; then with as many as before."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
