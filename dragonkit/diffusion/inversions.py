"""The built-in inversions, offered as a plugin's are."""

from __future__ import annotations

from typing import Any

from dragonkit.plugins.inversion import Inversion
from dragonkit.plugins.specs import hookimpl


@hookimpl
def dragonkit_inversions() -> list[Inversion]:
    return [Inversion("ddim", "denoising step by step in reverse; with more iterations each step is retraced more exactly", _ddim)]


def _ddim(*arguments: Any) -> Any:
    from dragonkit.diffusion.inversion import ddim

    return ddim(*arguments)
