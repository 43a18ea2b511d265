"""A whole edit from the papers' formulas, with nothing of dragonkit's engine: what the engine is held against.

What the released code of DragonDiffusion and DiffEditor does otherwise than dragonkit is in here as well, one switch for each;
`helpers.released` tells what each is worth.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

Energies = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""From features (c, h, w) of the generation and the guidance branch to the edit's energy and that of all the rest."""


class Network:
    """The UNet of a Stable Diffusion pipeline: noise, features of up blocks, and the decoder's self-attention, to be noted or replaced."""

    def __init__(self, pipeline: Any, steps: int):
        # of its own: processors stay where they are put, and the engine leaves those that it does not know alone
        scheduler, self.unet = pipeline.scheduler, copy.deepcopy(pipeline.unet)
        self.velocity = scheduler.config.prediction_type == "v_prediction"
        stride, self.all = scheduler.config.num_train_timesteps // steps, scheduler.alphas_cumprod.double()
        self.times = [stride * step + scheduler.config.steps_offset for step in range(steps)]
        self.alphas = [float(scheduler.final_alpha_cumprod), *self.all[self.times].tolist()]
        self.read: dict | None = None
        self.beside, self.noted = False, dict[str, tuple[Tensor, Tensor]]()

    def __call__(
        self, z: Tensor, time: int, words: Tensor, layers: Sequence[int] = (), read: dict | None = None, beside: bool = False
    ) -> tuple[Tensor, list[Tensor], dict]:
        """The noise in z, features of the up blocks, and keys and values by layer; `read` replaces these or stands `beside` them."""
        self.read, self.beside, self.noted, features = read, beside, {}, list[Tensor]()
        before = self.unet.attn_processors  # which the engine leaves alone where they are nobody's it knows
        self.unet.set_attn_processor({name: _Attention(self, name) for name in before})
        hooks = [self.unet.up_blocks[layer].register_forward_hook(lambda _m, _i, out: features.append(out)) for layer in layers]
        out = self.unet(z, time, encoder_hidden_states=words).sample
        for hook in hooks:
            hook.remove()
        self.unet.set_attn_processor(before)
        alpha = float(self.all[time])
        return (alpha**0.5 * out + (1 - alpha) ** 0.5 * z if self.velocity else out), features, self.noted

    def moved(self, z: Tensor, eps: Tensor, level: int, to: int) -> Tensor:
        """DDIM: the clean latents that the noise implies, under as much of it as there is at the other level."""
        here, there = self.alphas[level], self.alphas[to]
        return there**0.5 * (z - (1 - here) ** 0.5 * eps) / here**0.5 + (1 - there) ** 0.5 * eps


@dataclass
class _Attention:
    network: Network
    name: str

    def __call__(self, layer: Any, x: Tensor, encoder_hidden_states: Tensor | None = None, **_: Any) -> Tensor:
        context = x if encoder_hidden_states is None else encoder_hidden_states
        query, key, value = layer.to_q(x), layer.to_k(context), layer.to_v(context)
        if self.name.startswith("up_blocks.") and ".attn1." in self.name:
            self.network.noted[self.name] = key.detach(), value.detach()
            if self.network.read is not None:
                others = self.network.read[self.name]
                key, value = (torch.cat([a, b], 1) if self.network.beside else b for a, b in zip((key, value), others, strict=True))
        query, key, value = (one.unflatten(2, (layer.heads, -1)).transpose(1, 2) for one in (query, key, value))
        shares = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
        return layer.to_out[0]((shares @ value).transpose(1, 2).flatten(2))


@dataclass
class Edit:
    """What to do, and the switches; the defaults of these are dragonkit's way."""

    energies: Energies
    start: Callable[[Tensor], Tensor]
    """z_T of the source to that of the edit."""
    guided: Sequence[int]
    reads_from: int
    beside: bool = False
    scale: float = 0.03
    guidance_scale: float = 4.0
    led: float = 1.0
    """The share of the steps, from the first on, at which there is classifier-free guidance."""
    target: Tensor | None = None
    """bool (h, w): gradients are regional, the edit's inside, the others' outside."""
    region: Tensor | None = None
    noise: Mapping[int, float] = field(default_factory=dict)
    rounds: Mapping[int, int] = field(default_factory=dict)
    seed: int = 0
    layers: Sequence[int] = (1, 2)
    features: str = "bilinear"
    """How they are brought to one grid; "nearest" in the released code."""
    separate: bool = False
    """Features of the generation branch from a call of their own, which reads nothing of the source."""
    keys_of_inversion: bool = False
    """Keys and values as the inversion had them: at the next lower level's latents."""
    raw_scale: float | None = None
    """The gradient times this, instead of as large as `scale` times the latents."""


@dataclass
class Source:
    """The guidance branch, by level: z_0 to z_T of DDIM inversion, keys and values as the inversion had them and of z at its own level,
    and that one's features."""

    way: list[Tensor]
    keys_of_inversion: list[dict]
    keys: list[dict]
    features: list[list[Tensor]]


@torch.no_grad()
def source_of(network: Network, clean: Tensor, words: Tensor, layers: Sequence[int] = (1, 2), extrapolated: bool = False) -> Source:
    """With plain DDIM inversion, or with the noise of the upper end extrapolated from the two levels below."""
    source, below = Source([clean], [{}], [{}], [[]]), list[Tensor]()
    for level, time in enumerate(network.times):
        eps, _, noted = network(source.way[-1], time, words)
        if extrapolated and level:
            below.append(network(source.way[-1], network.times[level - 1], words)[0])
            eps = below[-1] if level == 1 else 2 * below[-1] - below[-2]
        source.way.append(network.moved(source.way[-1], eps, level, level + 1))
        source.keys_of_inversion.append(noted)
        _, features, noted = network(source.way[-1], time, words, layers)
        source.keys.append(noted)
        source.features.append(features)
    return source


def edited(network: Network, source: Source, words: Tensor, no_words: Tensor, edit: Edit) -> Tensor:
    """z_0 of the edit."""
    steps, random = len(network.times), torch.Generator().manual_seed(edit.seed)
    z = edit.start(source.way[-1])
    for index in range(steps):
        level, time = steps - index, network.times[steps - index - 1]
        alpha, below = network.alphas[level], network.alphas[level - 1]
        keys = source.keys_of_inversion if edit.keys_of_inversion else source.keys
        read = keys[level] if index >= edit.reads_from else None
        for again in range(edit.rounds.get(index, 1)):
            if again:
                with torch.no_grad():
                    back = network(z, network.times[max(level - 2, 0)], words)[0]
                z = network.moved(z, back, level - 1, level)
            z = z.detach().requires_grad_()
            eps, generated, _ = network(z, time, words, edit.layers, read, edit.beside)
            if edit.separate:
                generated = network(z, time, words, edit.layers)[1]
            if index < edit.led * steps:
                with torch.no_grad():
                    plain = network(z, time, no_words, read=read, beside=edit.beside)[0]
                    eps = plain + edit.guidance_scale * (eps - plain)
            push = _push(edit, z, generated, source.features[level]) if index in edit.guided else 0
            with torch.no_grad():
                clean = (z - (1 - alpha) ** 0.5 * (eps + push)) / alpha**0.5
                z = below**0.5 * clean + (1 - below) ** 0.5 * eps
                if index in edit.noise:
                    sigma = edit.noise[index] * ((1 - below) / (1 - alpha) * (1 - alpha / below)) ** 0.5
                    fresh = torch.randn(z.shape, generator=random).to(z)
                    noisy = below**0.5 * clean + (1 - below - sigma**2) ** 0.5 * eps + sigma * fresh
                    z = torch.where(edit.region, noisy, z)
    return z


def _push(edit: Edit, z: Tensor, generated: list[Tensor], source: list[Tensor]) -> Tensor:
    """The gradient of the energies, summed over the layers, as large as `scale` times the latents."""
    options = {"mode": edit.features} if edit.features == "nearest" else {"mode": edit.features, "align_corners": False}
    size = (2 * z.shape[2], 2 * z.shape[3])
    pairs = [[F.interpolate(one, size, **options)[0] for one in pair] for pair in zip(generated, source, strict=True)]
    parts = [sum(part) for part in zip(*(edit.energies(*pair) for pair in pairs), strict=True)]
    if edit.target is None:
        gradient = torch.autograd.grad(parts[0] + parts[1], z)[0]
    else:
        inside, outside = torch.autograd.grad(parts[0], z, retain_graph=True)[0], torch.autograd.grad(parts[1], z)[0]
        gradient = inside * edit.target + outside * ~edit.target
    if edit.raw_scale is not None:
        return edit.raw_scale * gradient
    return gradient * (edit.scale * z.detach().square().mean().sqrt() / gradient.square().mean().sqrt())


def cosines(one: Tensor, other: Tensor) -> Tensor:
    """Of two lists of features (c, n), position by position."""
    return (one * other).sum(0) / (one.square().sum(0) * other.square().sum(0)).sqrt()


def move_energies(
    masks: Mapping[str, Tensor],
    follow: Callable[[Tensor], Tensor],
    weights: Sequence[float] = (4.0, 6.0, 0.2, 0.8),
    raw: bool = False,
    halved: bool = False,
) -> Energies:
    """Equations 5, 7 and 8 of a move.

    Args:
        masks: "target", "preserve", "vacated" and "around", bool on the features' grid.
        follow: the source's features to where they shall be.
        weights: of edit, preserve, contrast and inpaint.
        raw: cosines of edit and preserve as they are, from -1 to 1, as in the released code.
        halved: all weights but the last one's, as in the released code.
    """
    w_edit, w_preserve, w_contrast, w_inpaint = (weight * (0.5 if halved and place < 3 else 1) for place, weight in enumerate(weights))

    def alike(one: Tensor, other: Tensor) -> Tensor:
        mean = cosines(one, other).mean()
        return mean if raw else (mean + 1) / 2

    def energies(generated: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        target, preserve, vacated, around = (masks[name] for name in ("target", "preserve", "vacated", "around"))
        edit = w_edit / (1 + 4 * alike(generated[:, target], follow(source)[:, target]))
        rest = w_preserve / (1 + 4 * alike(generated[:, preserve], source[:, preserve]))
        rest = rest + w_contrast * (cosines(generated[:, vacated], source[:, vacated]).mean() + 1) / 2
        means = generated[:, vacated].mean(1), source[:, around].mean(1)
        return edit, rest + w_inpaint / (1 + 4 * (cosines(*means) + 1) / 2)

    return energies


def drag_energies(starts: Tensor, ends: Tensor, preserve: Tensor, weights: Sequence[float] = (4.0, 6.0)) -> Energies:
    """Equation 5 of a drag: one similarity over all neighbourhoods; `starts` and `ends` are cells (x, y), int (n, 2), in the same order."""

    def energies(generated: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        here, there = generated[:, ends[:, 1], ends[:, 0]], source[:, starts[:, 1], starts[:, 0]]
        parts = [(here, there), (generated[:, preserve], source[:, preserve])]
        edit, rest = (weight / (1 + 4 * (cosines(*pair).mean() + 1) / 2) for weight, pair in zip(weights, parts, strict=True))
        return edit, rest

    return energies
