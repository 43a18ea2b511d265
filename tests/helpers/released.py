"""What the preset `reference` does otherwise than the released code, and what each is worth on toybox scenes with known answers.

    PYTHONPATH=tests python -m helpers.released 6      # six scenes; docs/method.md shows the outcome

Moves are done by hand (`helpers.by_hand`, which tests hold the engine against), with one switch after the other set to the
released code's way.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from helpers import by_hand
from torch import Tensor

import dragonkit as dk
from dragonkit.bench.outcomes import FIRST_SEED, done, inverted
from dragonkit.bench.reports.statistics import interval, paired
from dragonkit.bench.tasks.catalogue import TASKS
from dragonkit.bench.tasks.figures import judge
from dragonkit.bench.tasks.parts import Task
from dragonkit.diffusion.source import feature_grid, latent_grid
from dragonkit.editing.layout import Layout
from dragonkit.imaging.images import to_image
from dragonkit.imaging.lookup import warp

REFERENCE = dk.Settings.preset("reference")
RAW_SCALE = 0.5e3 * 8e-2  # of a move's gradient

NAME = "the preset `reference`"

WAYS: Mapping[str, Mapping[str, Any]] = {
    NAME: {},
    "features from a call of their own": {"separate": True},
    "keys and values as the inversion had them": {"keys_of_inversion": True},
    "features resized nearest": {"features": "nearest"},
    "masks sampled nearest": {"nearest_masks": True},
    "raw cosines": {"raw": True},
    "layers halved, inpaint not": {"halved": True},
    "raw gradients times 40": {"raw_scale": RAW_SCALE},
}
ALL = {name: value for way in WAYS.values() for name, value in way.items()}


def moves(editor: dk.Editor, tasks: Iterable[Task]) -> dict[str, list[float]]:
    """dB to the known answer where it differs from the source, by way."""
    found: dict[str, list[float]] = {}
    for task in tasks:
        source = inverted(editor, task, REFERENCE)
        network = by_hand.Network(editor.backbone.pipeline, REFERENCE.steps)
        branch = by_hand.source_of(network, source.latents_at(0), source.condition)
        for name, way in {**WAYS, "all of these": ALL}.items():
            edit = _move(editor, source, task, **way)
            clean = by_hand.edited(network, branch, source.condition, source.negative_condition, edit)
            found.setdefault(name, []).append(judge(task, to_image(editor.backbone.decode(clean), source.image_size)).changed)
    return found


def _move(
    editor: dk.Editor, source: dk.Source, task: Task, nearest_masks: bool = False, raw: bool = False, halved: bool = False, **switches: Any
) -> by_hand.Edit:
    assert task.shift is not None
    layout = Layout(editor.registry, dk.Move(mask=task.source, shift=task.shift), source.image_size)
    features, cells = (_masks(layout, grid, nearest_masks and task) for grid in (feature_grid(source), latent_grid(source)))
    schedule, steps = REFERENCE.schedule, REFERENCE.steps
    return by_hand.Edit(
        by_hand.move_energies(features, features["follow"], raw=raw, halved=halved),
        lambda noise: torch.where(cells["target"], cells["copy"](noise), noise),
        guided=sorted(schedule.guided(steps)),
        reads_from=steps // 10,
        scale=REFERENCE.energy_scale,
        guidance_scale=REFERENCE.guidance_scale,
        target=cells["target"],
        region=~cells["preserve"],
        noise=schedule.noise_at(steps),
        rounds=schedule.rounds_at(steps),
        **switches,
    )


def _masks(layout: Layout, grid: Any, nearest: Task | bool) -> dict[str, Any]:
    """dragonkit's masks, and where content comes from; or the released code's: every n-th pixel, moved by whole cells, rounded down."""
    if not isinstance(nearest, bool):
        cell, (dx, dy) = int(grid.cell_width), nearest.shift or (0, 0)
        by = (int(dy / cell), int(dx / cell))
        old = torch.from_numpy(nearest.source[::cell, ::cell].copy())
        new = torch.roll(old, by, (0, 1))

        def rolled(one: Tensor) -> Tensor:
            return torch.roll(one, by, (-2, -1))

        return {
            "target": new, "preserve": ~(old | new), "vacated": old & ~new, "around": ~(old | new), "follow": rolled, "copy": rolled,
        }  # fmt: skip
    (masks,) = layout.on(grid)
    names = {"target": "target", "preserve": "preserve", "vacated": "vacated", "around": "surroundings"}
    return {
        **{name: torch.from_numpy(getattr(masks, part)) for name, part in names.items()},
        "follow": lambda one: warp(one, masks.correspondence),
        "copy": lambda one: warp(one[0], masks.correspondence, mode="nearest")[None],
    }


def edits(name: str, editor: dk.Editor, ways: Mapping[str, tuple[dk.Settings, Mapping[str, Any]]], n: int) -> dict[str, list[float]]:
    """The same of edits under other settings, or with other fields."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    for seed in range(FIRST_SEED, FIRST_SEED + n):
        task = TASKS[name](seed)
        for way, (settings, changes) in ways.items():
            changed = replace(task, edits=tuple((mode, {**fields, **changes}) for mode, fields in task.edits))
            found[way].append(done(editor, changed, settings).figures.changed)
    return found


def show(title: str, found: Mapping[str, list[float]]) -> None:
    print(f"\n{title}, dB where the answer differs from the source, and the difference to the preset\n")
    first = next(iter(found.values()))
    for name, values in found.items():
        mean, (more, low, high) = interval(values).mean, paired(values, first)
        print(f"| {name} | {mean:.1f} | {more:+.2f} [{low:+.2f}, {high:+.2f}] |", flush=True)


def main(n: int) -> None:
    editor = dk.Editor.from_pretrained(device="cpu", dtype=torch.float32)
    show("move", moves(editor, (TASKS["move"](seed) for seed in range(FIRST_SEED, FIRST_SEED + n))))
    preset: tuple[dk.Settings, Mapping[str, Any]] = (REFERENCE, {})
    for name in ("drag", "drag-rigid"):
        show(name, edits(name, editor, {NAME: preset, "contrast_weight=0.2": (REFERENCE, {"contrast_weight": 0.2})}, n))
    five = REFERENCE.model_copy(update={"guidance_scale": 5.0})
    show("appearance", edits("appearance", editor, {NAME: preset, "guidance_scale=5": (five, {})}, n))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 6)
