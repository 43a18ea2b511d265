"""The plugins' energy terms as the loop calls them: checked, blamed on their plugins, and found out where they do nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import torch
from torch import Tensor

from dragonkit.diffusion.guidance import PlannedTerm
from dragonkit.errors import DragonkitError, PluginHookError, ShapeError
from dragonkit.plugins.answers import EnergyTerm, Features
from dragonkit.plugins.loading import Plugin

__all__ = ["idle_terms", "planned_term"]


def planned_term(plugin: Plugin, term: EnergyTerm, prefix: str, reference: int | None, regions: Mapping[str, Tensor]) -> PlannedTerm:
    """A plugin's term for the loop.

    Args:
        prefix: of its name in reports.
        reference, region: as in `PlannedTerm`; the region is looked up by `term.region`.
    """
    energy = _Energy(plugin, term)
    label = f"{prefix}{plugin.name}.{term.name}"
    return PlannedTerm(label, replace(term, function=energy), reference, regions.get(term.region), energy.origin, energy.blamed)


def idle_terms(terms: Sequence[PlannedTerm]) -> Iterator[str]:
    """A sentence for each term that was called and never depended on the generated features, so that the picture knows nothing of it."""
    for planned in terms:
        energy = planned.term.function
        if isinstance(energy, _Energy) and energy.called and not energy.acts and planned.term.weight:
            yield (
                f"the energy {planned.label!r} of plugin {energy.plugin.name!r} had no effect: it does not depend on features.generated, "
                "or was detached from it; compute it from these features without detach, numpy or torch.no_grad"
            )


class _Energy:
    """The function of a term. Errors name its plugin, and its answer is a real scalar.

    Attributes:
        called: whether it was.
        acts: whether an answer depended on the generated features.
    """

    def __init__(self, plugin: Plugin, term: EnergyTerm):
        self.plugin, self._name, self._function = plugin, term.name, term.function
        where = f"from {plugin.origin}" if plugin.origin else "registered by hand"
        self.origin = f"plugin {plugin.name!r} ({where}), hook dragonkit_energy_terms"
        self.called = self.acts = False

    def blamed(self) -> AbstractContextManager[None]:
        """Within this block errors name the plugin: the gradient is the plugin's code, too."""
        return self.plugin.blamed(f"the energy term {self._name!r} of its hook dragonkit_energy_terms", DragonkitError)

    def __call__(self, features: Features) -> Tensor:
        with self.blamed():
            energy = self._function(features)
        what = f"{self.origin}: the energy {self._name!r}"
        if not isinstance(energy, Tensor) or energy.ndim != 0:
            actual = tuple(energy.shape) if isinstance(energy, Tensor) else type(energy).__name__
            raise ShapeError("a scalar tensor", actual, what, "Sum or average it.")
        if energy.is_complex() or energy.is_meta or energy.layout != torch.strided:
            kind = "on the meta device, which holds no numbers" if energy.is_meta else f"{energy.dtype}, {energy.layout}"
            message = (
                f"the energy term {self._name!r} of its hook dragonkit_energy_terms must give a real number, but gave a tensor {kind}."
            )
            raise PluginHookError(self.plugin.name, self.plugin.origin, message)
        self.called, self.acts = True, self.acts or _depends_on(energy, features.generated)
        return energy


def _depends_on(energy: Tensor, features: Tensor) -> bool:
    """Whether there is a way from the energy back to the features along which gradients flow."""
    goal, seen, todo = features.grad_fn, set[object](), [energy.grad_fn]
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        if node is goal or getattr(node, "variable", None) is features:  # the latter for a leaf
            return True
        seen.add(node)
        todo += [following for following, _ in node.next_functions]
    return False
