"""Whose kernel computes attention: xformers' where it is there, fits this PyTorch and takes the numbers; else PyTorch's own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Literal

import torch

__all__ = ["MEND", "Kernel", "Xformers", "kernel_for", "xformers"]

MEND = "pip install 'dragonkit[xformers]' brings a pair that fits, and pip uninstall xformers does without"


@dataclass(frozen=True)
class Xformers:
    """What there is of xformers.

    Attributes:
        version: "" where it is not installed.
        attention: its `memory_efficient_attention`; None where it cannot be used.
        problem: why not, in a few words; "" where it can, or is not installed.
    """

    version: str = ""
    attention: Any = None
    problem: str = ""


@dataclass(frozen=True)
class Kernel:
    """Whose kernel computes attention, and why."""

    name: Literal["xformers", "torch"]
    why: str


@cache
def xformers() -> Xformers:
    """xformers as it is here, found out once, without a word."""
    try:
        found = version("xformers")
    except PackageNotFoundError:
        return Xformers()
    try:
        from xformers import _cpp_lib
        from xformers.ops import memory_efficient_attention
    except Exception as error:  # whatever a package built for another PyTorch may do
        return Xformers(found, None, f"cannot be imported beside PyTorch {torch.__version__} ({type(error).__name__}: {error})")
    failure = getattr(_cpp_lib, "_cpp_library_load_exception", None)
    if failure is None:
        return Xformers(found, memory_efficient_attention)
    built = getattr(getattr(failure, "build_info", None), "torch_version", "another one")
    return Xformers(found, None, f"was built for PyTorch {built}, and this is {torch.__version__}")


@cache
def kernel_for(device: torch.device, dtype: torch.dtype, channels: int) -> Kernel:
    """Whose kernel computes attention of heads with so many channels there; xformers is tried on a few numbers, forth and back, first."""
    if device.type != "cuda":
        return Kernel("torch", f"xformers is for CUDA, this is {device.type}")
    here = xformers()
    if here.attention is None:
        return Kernel("torch", f"xformers {here.version} {here.problem}" if here.version else "xformers is not installed")
    try:
        with torch.enable_grad():
            query, key, value = (torch.zeros(1, 16, 2, channels, device=device, dtype=dtype, requires_grad=True) for _ in range(3))
            here.attention(query, key, value).sum().backward()
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # it refuses inputs by several errors of its own
        first = str(error).strip().partition("\n")[0]
        return Kernel("torch", f"xformers {here.version} does not take {channels} channels of {dtype} ({type(error).__name__}: {first})")
    return Kernel("xformers", f"xformers {here.version} fits, and takes {channels} channels of {dtype}")
