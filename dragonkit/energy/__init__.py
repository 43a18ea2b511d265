"""What an energy is: `similarity` has the formulas, `terms` makes the standard ones from an edit's masks.

The names below load torch when they are first used; `terms` loads none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragonkit.lazy import loader

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
else:
    __getattr__ = loader(__name__, _HOMES)
