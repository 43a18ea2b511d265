"""Scenes drawn: the one implementation behind single scenes, training batches and answers to edits.

Every object is drawn once, in a square window around its centre, together with all other objects of its category; the windows are then
laid over the backgrounds, back to front. All bookkeeping is done on the CPU beforehand and sent over in two copies, so a GPU never waits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from dragonkit.errors import EditError
from dragonkit.toybox.drawing import backgrounds, patterns
from dragonkit.toybox.drawing.layers import Drawing
from dragonkit.toybox.drawing.objects import BY_NUMBER, REACH
from dragonkit.toybox.parameters import SceneBatch

RIM = 0.045  # width of the dark rim, in units of half the picture's width
RIM_DEPTH = 0.48
SMALLEST, LARGEST = 8, 4096
_FINE = 1024.0  # centres lie on this fraction of a pixel, so that a move by whole pixels moves the very same picture


@dataclass(frozen=True)
class _Plan:
    """A batch's objects sorted by category, and where their windows lie."""

    numbers: Tensor  # (n, width of the table) float32, on the device
    groups: list[tuple[int, int, int, int]]  # category, first object, end, half window
    half: int  # the largest half window
    pad: int  # pixels that windows stick out of the picture
    slots: list[tuple[Tensor, Tensor]]  # per column: the objects' numbers in the table, their rows in the batch


def render(batch: SceneBatch, size: int, device: str | torch.device = "cpu") -> Tensor:
    """Pictures (count, 3, size, size) of a batch, float32 RGB in [0, 1], on `device`; `size` is 8 to 4096 pixels, else EditError."""
    return _render(batch, size, torch.device(device), False)[0]


def render_with_masks(batch: SceneBatch, size: int, device: str | torch.device = "cpu") -> tuple[Tensor, Tensor]:
    """Pictures as from `render`, and visible coverage (count, most, size, size) in [0, 1]: an object's share of each pixel that no later
    object hides; zero for unused columns."""
    pictures, coverage = _render(batch, size, torch.device(device), True)
    assert coverage is not None
    return pictures, coverage


def check_size(size: int) -> None:
    """Raise EditError unless `size` is a picture's width in pixels that can be drawn."""
    if not isinstance(size, int) or not SMALLEST <= size <= LARGEST:
        raise EditError(f"a toybox picture is {SMALLEST} to {LARGEST} pixels wide, got size={size!r}; pass a whole number in that range")


@torch.no_grad()
def _render(batch: SceneBatch, size: int, device: torch.device, masks: bool) -> tuple[Tensor, Tensor | None]:
    check_size(size)
    plan = _plan(batch, size, device)
    canvas = torch.nn.functional.pad(_background(batch, size, device), (0, 0, plan.pad, plan.pad, plan.pad, plan.pad))
    windows = torch.zeros(len(plan.numbers), 2 * plan.half, 2 * plan.half, 4, device=device)
    for category, first, end, half in plan.groups:
        edge = plan.half - half
        inside = slice(edge, edge + 2 * half)
        windows[first:end, inside, inside] = _objects(category, plan.numbers[first:end], half, 2 / size)
    covers = torch.zeros(batch.most, *canvas.shape[:3], device=device) if masks else None
    steps = torch.arange(2 * plan.half, device=device)
    for slot, (chosen, rows) in enumerate(plan.slots):
        if len(chosen) == 0:
            continue
        corner = plan.numbers[chosen, :2].long()
        where = rows[:, None, None], (corner[:, 1, None] + steps)[:, :, None], (corner[:, 0, None] + steps)[:, None, :]
        top = windows[chosen]
        hidden = 1 - top[..., 3:]
        canvas[where] = canvas[where] * hidden + top[..., :3]
        if covers is not None:
            for earlier in covers[:slot]:
                earlier[where] = earlier[where] * hidden[..., 0]
            covers[slot][where] = top[..., 3]
    inner = slice(plan.pad, plan.pad + size)
    pictures = canvas[:, inner, inner].permute(0, 3, 1, 2).clamp(0, 1).contiguous()
    return pictures, None if covers is None else covers[:, :, inner, inner].transpose(0, 1).contiguous()


# -- objects: one call per category ------------------------------------------------------------------------------------------------------


def _objects(category: int, table: Tensor, half: int, pixel: float) -> Tensor:
    """Windows (n, 2 half, 2 half, 4) of n objects of one category: RGB times coverage, and coverage."""
    column = iter(table[:, 2:].unsqueeze(-1).unsqueeze(-1).unbind(1))
    take = lambda n: [next(column) for _ in range(n)]  # noqa: E731
    fx, fy, scale, cos, sin, mirror = take(6)
    shape, (angle, period, phase) = take(4), take(3)
    main, second, weave = (table[:, a:b] for a, b in ((15, 18), (18, 21), (21, 27)))

    steps = torch.arange(-half, half, device=table.device, dtype=torch.float32)
    unit = pixel / scale
    dx, dy = (steps[None, None, :] - fx) * unit, (steps[None, :, None] - fy) * unit
    x, y = (cos * dx + sin * dy) * mirror, cos * dy - sin * dx
    drawing = BY_NUMBER[category].draw(x, y, *shape)

    size = 2 * half
    distance = torch.stack([layer.distance.expand(len(table), size, size) for layer in drawing.layers], 1) * (scale / pixel)[:, None]
    mix, rims, surface = _paints(category, table.device)
    alpha = (0.5 - distance).clamp(0, 1)
    # What the layers in front leave to see of each layer.
    weight = alpha
    rest = 1 - alpha
    if alpha.shape[1] > 1:
        seen = rest.flip(1).cumprod(1).flip(1)
        cover = 1 - seen[:, 0]
        weight = torch.cat([alpha[:, :-1] * seen[:, 1:], alpha[:, -1:]], 1)
    else:
        cover = 1 - rest[:, 0]
    rim = (1 + distance * (pixel / RIM)).clamp(0, 1)
    light = 1.07 - 0.13 * dy.clamp(-1, 1) - 0.08 * dx.clamp(-1, 1)
    weight = weight * (1 - rims[:, None, None] * rim * rim) * light[:, None]

    bases = torch.stack([main, second, torch.ones_like(main)], 1)  # (n, 3, RGB)
    colors = torch.einsum("lk,nkc->nlc", mix[:, :3], bases) + mix[:, 3:]
    rgb = torch.matmul(weight.flatten(2).transpose(1, 2), colors).view(len(table), size, size, 3)
    second_share = patterns.share(x, y, weave, angle, period, phase, unit) * weight[:, surface].sum(1)
    rgb = rgb + second_share[..., None] * (second - main)[:, None, None, :]
    return torch.cat([torch.minimum(rgb, cover[..., None]), cover[..., None]], -1)


@lru_cache(maxsize=256)
def _paints(category: int, device: torch.device) -> tuple[Tensor, Tensor, list[int]]:
    """Per layer: shares of main, second, white and a fixed colour (layers, 6); rim depth (layers,); and which layers carry the pattern."""
    zero = torch.zeros(1)
    drawing: Drawing = BY_NUMBER[category].draw(zero, zero, *[zero] * 4)
    named = {
        "surface": (1.0, 0.0, 0.0), "main": (1.0, 0.0, 0.0), "second": (0.0, 1.0, 0.0), "shade": (0.7, 0.0, 0.0), "shine": (0.4, 0.0, 0.6),
    }  # fmt: skip
    mix = [(*named[p], 0.0, 0.0, 0.0) if isinstance(p, str) else (0.0, 0.0, 0.0, *p) for p in (layer.paint for layer in drawing.layers)]
    rims = [RIM_DEPTH * layer.rim for layer in drawing.layers]
    surface = [k for k, layer in enumerate(drawing.layers) if layer.paint == "surface"]
    return torch.tensor(mix, device=device), torch.tensor(rims, device=device), surface


# -- bookkeeping, on the CPU -------------------------------------------------------------------------------------------------------------


def _plan(batch: SceneBatch, size: int, device: torch.device) -> _Plan:
    """Sort the objects by category and work out their windows."""
    used = torch.arange(batch.most)[None] < batch.objects[:, None]
    row, slot = used.nonzero(as_tuple=True)
    order = torch.argsort(batch.category[row, slot], stable=True)
    row, slot = row[order], slot[order]
    category = batch.category[row, slot]
    # Pixel k's centre is at (2 k + 1) / size - 1.
    fine = torch.round(((batch.place[row, slot] + 1) * (size / 2) - 0.5) * _FINE) / _FINE
    whole = torch.floor(fine)
    radius = (batch.scale[row, slot] * (REACH * size / 2)).ceil().long() + 2
    groups, first = [], 0
    for number, amount in zip(*torch.unique_consecutive(category, return_counts=True), strict=True):
        end = first + int(amount)
        groups.append((int(number), first, end, int(radius[first:end].max())))
        first = end
    half = max((g[3] for g in groups), default=1)
    corner = (whole - half).clamp(-2 * half, size)  # an object far outside is drawn where nobody looks
    pad = int(max(0, -int(corner.min()), int(corner.max()) + 2 * half - size)) if len(row) else 0
    turn = torch.deg2rad(batch.angle[row, slot])
    table = torch.cat(
        [
            corner + pad, fine - whole, batch.scale[row, slot, None], torch.cos(turn)[:, None], torch.sin(turn)[:, None],
            batch.mirror[row, slot, None], batch.shape[row, slot], batch.weave[row, slot], batch.paint[row, slot].flatten(1),
            patterns.coefficients(batch.pattern[row, slot]),
        ], 1,
    )  # fmt: skip
    picked = [(slot == k).nonzero()[:, 0] for k in range(batch.most)]
    both = torch.stack([torch.cat(picked), row[torch.cat(picked)]]).to(device).split([len(p) for p in picked], 1)
    return _Plan(table.float().to(device), groups, half, pad, [(pair[0], pair[1]) for pair in both])


def _background(batch: SceneBatch, size: int, device: torch.device) -> Tensor:
    """Backgrounds (count, size, size, 3)."""
    order = torch.argsort(batch.background, stable=True)
    table = torch.cat([batch.knobs, batch.background_paint.flatten(1)], 1)[order].float().to(device)
    axis = (torch.arange(size, device=device, dtype=torch.float32) * 2 + 1) / size - 1
    x, y = axis[None, :].expand(size, size), axis[:, None].expand(size, size)
    pixel, shares, first = 2 / size, [], 0
    for number, amount in zip(*torch.unique_consecutive(batch.background[order], return_counts=True), strict=True):
        knobs = table[first : first + int(amount), :8, None, None]
        shares.append(backgrounds.KINDS[backgrounds.KIND_NAMES[int(number)]](x, y, knobs, pixel))
        first += int(amount)
    share = torch.cat(shares)[torch.argsort(order).to(device)]
    paint = table[torch.argsort(order).to(device), 8:].view(-1, 2, 1, 1, 3)
    return torch.lerp(paint[:, 0], paint[:, 1], share[..., None])
