"""Scenes as numbers: one row per scene, one column per object. Drawing them is `rendering`'s work, editing them `scenes`'.

All random numbers are drawn on the CPU in float64, so a seed means the same scene on every machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from dragonkit.errors import EditError
from dragonkit.toybox.drawing.backgrounds import KIND_NAMES
from dragonkit.toybox.drawing.colors import ACCENTS, BACKGROUND_COLORS, COLORS, OBJECT_COLORS, PATTERNS, draw_color
from dragonkit.toybox.drawing.objects import BY_NUMBER, CATEGORIES

MOST = 3
"""Objects in a sampled scene, at most. Pasting may add more."""

_SIZES = ((0.42, 0.56), (0.36, 0.50), (0.31, 0.43))  # range of half sizes in scenes of one, two, three objects
_GRID = 2.0**40  # positions lie on this grid, on which adding and taking away again is exact
_TRIES = 8  # places tried for each object


@dataclass(frozen=True, eq=False)
class SceneBatch:
    """Parameters of `count` scenes of up to `most` objects, all on the CPU.

    Lengths are in units of half the picture's width: the picture spans [-1, 1] in x (right) and y (down). Objects are listed back to
    front; columns from `objects[row]` on are unused. Continuous numbers are float64, numbers of names int64.
    """

    objects: Tensor  # (count,) how many objects
    category: Tensor  # (count, most) into CATEGORIES
    place: Tensor  # (count, most, 2) centre
    scale: Tensor  # (count, most) half size
    angle: Tensor  # (count, most) degrees, clockwise as seen
    mirror: Tensor  # (count, most) 1, or -1 for left and right exchanged
    shape: Tensor  # (count, most, 4) the category's shape numbers, in [0, 1]
    color: Tensor  # (count, most) into COLORS
    paint: Tensor  # (count, most, 2, 3) RGB of main and second colour
    pattern: Tensor  # (count, most) into PATTERNS
    weave: Tensor  # (count, most, 3) the pattern's angle in radians, its period in own-frame units, its phase in turns
    background: Tensor  # (count,) into backgrounds.KIND_NAMES
    background_color: Tensor  # (count,) into BACKGROUND_COLORS
    background_paint: Tensor  # (count, 2, 3) RGB
    knobs: Tensor  # (count, 8) the background's shape, in [0, 1]

    def __len__(self) -> int:
        return len(self.objects)

    @property
    def most(self) -> int:
        """How many objects a row has room for."""
        return self.category.shape[1]

    def rows(self, which: int | slice | Tensor) -> SceneBatch:
        """The scenes `which`, as a batch; a single number gives a batch of one."""
        if isinstance(which, int):
            which = torch.tensor([range(len(self))[which]])
        return SceneBatch(*(getattr(self, field.name)[which] for field in fields(self)))


def sample(count: int, seed: int, objects: int | None = None) -> SceneBatch:
    """`count` random scenes with `objects` objects each (1 to 3), or 1 to 3 at random when None.

    The same arguments give the same scenes on every machine. Raises EditError for a count below 1, a negative
    seed or objects outside 1 to 3.
    """
    if count < 1:
        raise EditError(f"toybox.sample needs at least one scene, got count={count}; pass count=1 or more")
    if objects is not None and objects not in range(1, MOST + 1):
        raise EditError(f"a toybox scene has 1 to {MOST} objects, got objects={objects}; pass 1, 2 or 3, or None for a random number")
    if not 0 <= seed < 2**63:
        raise EditError(f"a toybox seed is a whole number from 0 to 2**63 - 1, got {seed}; pass one in that range")
    rng = torch.Generator().manual_seed(seed)

    def u(*shape: int) -> Tensor:
        return torch.rand(count, *shape, generator=rng, dtype=torch.float64)

    def pick(choices: int, *shape: int) -> Tensor:
        return (u(*shape) * choices).long().clamp(max=choices - 1)

    number = pick(MOST) + 1 if objects is None else torch.full((count,), objects)
    category = pick(len(CATEGORIES), MOST)
    limits = torch.tensor(_SIZES, dtype=torch.float64)[number - 1]
    scale = torch.lerp(limits[:, :1], limits[:, 1:], u(MOST))
    tilt = torch.tensor([c.tilt for c in BY_NUMBER], dtype=torch.float64)[category]
    color, pattern = pick(len(COLORS), MOST), pick(len(PATTERNS), MOST)
    background, background_color = pick(len(KIND_NAMES)), pick(len(BACKGROUND_COLORS))
    return SceneBatch(
        objects=number,
        category=category,
        place=_places(number, scale, u(MOST, _TRIES, 2), u(MOST)),
        scale=scale,
        angle=snap((u(MOST) * 2 - 1) * tilt),
        mirror=torch.where(u(MOST) < 0.5, -1.0, 1.0).double(),
        shape=u(MOST, 4),
        color=color,
        paint=_paint(color, u(MOST), u(MOST, 2, 3)),
        pattern=pattern,
        weave=_weave(pattern, u(MOST, 3)),
        background=background,
        background_color=background_color,
        background_paint=_background_paint(background_color, u(3), u(3)),
        knobs=u(8),
    )


def snap(value: Tensor) -> Tensor:
    """`value` on the grid on which a move there and back is exact."""
    return torch.round(value * _GRID) / _GRID


def join(batches: Sequence[SceneBatch]) -> SceneBatch:
    """The rows of several batches of the same `most`, as one batch."""
    return SceneBatch(*(torch.cat([getattr(batch, field.name) for batch in batches]) for field in fields(SceneBatch)))


def _places(number: Tensor, scale: Tensor, tries: Tensor, bold: Tensor) -> Tensor:
    """Centres (count, most, 2) that keep objects inside the picture and mostly, not always, apart."""
    room = (1.02 - scale).clamp(min=0)[:, :, None, None]
    tries = (tries * 2 - 1) * room
    places = [tries[:, 0, 0]]
    for slot in range(1, scale.shape[1]):
        # Gap to the nearest object already there, in units of the sum of half sizes; the first try that is far enough wins, else the best.
        gaps = [(tries[:, slot] - places[k][:, None]).norm(dim=-1) / (scale[:, slot] + scale[:, k])[:, None] for k in range(slot)]
        gap = torch.stack(gaps).amin(0)
        enough = torch.where(bold[:, slot] < 0.35, 0.45, 0.9)[:, None]
        best = torch.where(gap >= enough, 10 - torch.arange(gap.shape[1]), gap).argmax(1)
        places.append(tries[torch.arange(len(scale)), slot, best])
    return snap(torch.stack(places, 1))


def _paint(color: Tensor, choice: Tensor, jitter: Tensor) -> Tensor:
    """Main and second colour (count, most, 2, 3)."""
    accents = torch.tensor([[COLORS.index(name) for name in ACCENTS[main]] for main in COLORS])
    second = accents[color, (choice * accents.shape[1]).long()]
    return torch.stack([draw_color(OBJECT_COLORS, color, jitter[:, :, 0]), draw_color(OBJECT_COLORS, second, jitter[:, :, 1])], 2)


def _weave(pattern: Tensor, u: Tensor) -> Tensor:
    """Angle, period and phase (count, most, 3) of the patterns: broad enough for a picture of 64 pixels."""
    angle = (u[..., 0] * 2 - 1) * torch.pi
    fade = pattern == PATTERNS.index("faded")
    period = torch.where(fade, 0.9, 0.7 + 0.22 * u[..., 1])
    return torch.stack([angle, period, u[..., 2]], -1)


def _background_paint(color: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Two shades (count, 2, 3) of the background's colour, far enough apart to see and not to distract."""
    light = draw_color(BACKGROUND_COLORS, color, first, hue_shift=(first[:, 0] - 0.5) * 0.10)
    deep = draw_color(BACKGROUND_COLORS, color, second)
    mean = deep.mean(-1, keepdim=True)
    deep = (mean + (deep - mean) * 1.45) * 0.89
    return torch.stack([light, deep.clamp(0, 1)], 1)
