"""The masks of an edit, on the feature grid already, as tensors on a device. Loads no torch before they are asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragonkit.plugins.answers import EditMasks

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["Cells"]


class Cells:
    """Brings the arrays of `EditMasks` to a device once: they stay the same through a run, and energies ask for them at every step.

    Example:
        cells = Cells(masks)
        gather(features.generated, cells("target", features.generated))
    """

    def __init__(self, masks: EditMasks) -> None:
        self._masks = masks
        self._there: dict[tuple[str, torch.device], Tensor] = {}

    def __call__(self, name: str, like: Tensor) -> Tensor:
        """The array of that name, such as "target", on the device of `like`."""
        if (name, like.device) not in self._there:
            import torch

            self._there[name, like.device] = torch.from_numpy(getattr(self._masks, name)).to(like.device)
        return self._there[name, like.device]
