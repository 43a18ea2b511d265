"""Networks that belong to somebody else: how they are for the length of a call, and whether they still are what they were."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

__all__ = ["Lent", "fingerprint", "frozen", "lent", "state_of"]


@runtime_checkable
class Lent(Protocol):
    """What a backbone may offer besides, whose networks others may change between two calls of an editor."""

    def lent(self) -> AbstractContextManager[None]:
        """The length of a call: within, the networks are as the engine needs them; afterwards as they were, also after an error.

        Raises:
            ModelError: something was changed so that the engine cannot use them.
        """

    def state(self) -> str:
        """Names what the networks compute: another text once weights, adapters or noise levels are others."""


def lent(backbone: Any) -> AbstractContextManager[None]:
    """The length of a call with a backbone of any kind."""
    return backbone.lent() if isinstance(backbone, Lent) else nullcontext()


def state_of(backbone: Any) -> str:
    """What a backbone of any kind says of its state; "" when nothing."""
    return backbone.state() if isinstance(backbone, Lent) else ""


@contextmanager
def frozen(networks: Iterable[nn.Module]) -> Iterator[None]:
    """Within this block the networks ask for no gradients of their own, are in evaluation mode and not compiled; then as they were."""
    modules = [module for network in networks for module in network.modules()]
    training = [module for module in modules if module.training]
    asking = [parameter for module in modules for parameter in module.parameters(recurse=False) if parameter.requires_grad]
    # compiled anew for every other processor and hook, they would only be slow
    compiled = [module for module in modules if getattr(module, "_compiled_call_impl", None) is not None]
    with ExitStack() as stack:
        for thing, name, value in [
            *((module, "training", False) for module in training),
            *((parameter, "requires_grad", False) for parameter in asking),
            *((module, "_compiled_call_impl", None) for module in compiled),
        ]:
            stack.callback(setattr, thing, name, getattr(thing, name))
            setattr(thing, name, value)
        yield


def fingerprint(networks: Iterable[nn.Module], more: object = ()) -> str:
    """A hash of what the networks are made of: names, shapes, three numbers of every weight, and how adapters are set.

    The same on every device. Weights that lie elsewhere (offloaded to the meta device) count by name and shape only.

    Args:
        more: what else counts, by its repr.
    """
    digest, numbers = hashlib.sha256(repr(more).encode()), defaultdict[Any, list[Tensor]](list)
    for network in networks:
        for name, weight in network.named_parameters():
            digest.update(f"{name} {tuple(weight.shape)};".encode())
            if not weight.is_meta and weight.numel():
                ends = ([0] * weight.ndim, [side // 2 for side in weight.shape], [side - 1 for side in weight.shape])
                numbers[weight.device, weight.dtype] += [weight.detach()[tuple(place)] for place in ends]
        for name, module in network.named_modules():
            if hasattr(module, "lora_A"):
                how = [getattr(module, part, None) for part in ("active_adapters", "scaling", "merged_adapters", "disable_adapters")]
                digest.update(f"{name} {how};".encode())
    for several in numbers.values():
        digest.update(torch.stack(several).cpu().double().numpy().tobytes())
    return digest.hexdigest()
