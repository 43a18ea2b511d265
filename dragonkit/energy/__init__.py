"""What an energy is: `similarity` has the formulas, `terms` makes the standard ones from an edit's masks.

The names below load torch when they are first used; `terms` loads none.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

_HOMES = {
    "gather": "energy.similarity",
    "global_similarity": "energy.similarity",
    "inverse_energy": "energy.similarity",
    "local_similarity": "energy.similarity",
    "warp": "imaging.lookup",
}

__all__ = ["gather", "global_similarity", "inverse_energy", "local_similarity", "warp"]

if TYPE_CHECKING:
    from dragonkit.energy.similarity import gather, global_similarity, inverse_energy, local_similarity
    from dragonkit.imaging.lookup import warp


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"dragonkit.{_HOMES[name]}"), name)
    raise AttributeError(f"dragonkit.energy has no {name!r}; see dragonkit.energy.__all__ for what it has")
