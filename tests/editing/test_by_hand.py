"""Whole edits held against the formulas, which know nothing of dragonkit's engine: a move (`reference`) and a drag (`paper`)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from helpers import by_hand
from PIL import Image

from dragonkit import testing
from dragonkit.diffusion.sampling import guided_sampling
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.editing.editor import Editor
from dragonkit.editing.layout import Layout
from dragonkit.editing.planning import plan_edits
from dragonkit.editing.sources import Sources
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.modes.drag import Drag
from dragonkit.modes.move import Move
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.registry import PluginRegistry

SIZE = 32  # latents of 8 x 8 cells, features on 16 x 16
EXACT = 1e-10

# what the presets say of 50 steps, and the same of a fifth as many
FEW = {"steps": 10, "guided": [0, 1, 2, 4], "reads_from": 1, "noise": dict.fromkeys((2, 3), 0.4), "rounds": {4: 3}}
ALL = {
    "steps": 50,
    "guided": [step for step in range(30) if step < 10 or step % 2 == 0],
    "reads_from": 5,
    "noise": dict.fromkeys(range(11, 20), 0.4),
    "rounds": dict.fromkeys((22, 24, 26, 28), 3),
}
runs = pytest.mark.parametrize("run", [FEW, pytest.param(ALL, marks=pytest.mark.slow)], ids=lambda run: str(run["steps"]))


def box(side: int, left: int, top: int, width: int, height: int) -> torch.Tensor:
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask


@dataclass
class Bench:
    """A float64 model and a picture."""

    pipeline: Any
    editor: Editor
    picture: Image.Image

    def latents(self, edit: Edit, preset: str, steps: int) -> torch.Tensor:
        """z_0 of the engine."""
        editor, settings = self.editor, Settings.preset(preset, steps=steps)
        source = editor.invert(self.picture, "a red fish", settings, check=False)
        layout = Layout(editor.registry, edit, source.image_size)
        plan = plan_edits(editor.registry, editor.backbone, source, layout, settings)
        guide = Sources(editor.backbone, editor.registry).guides(source, [], settings)
        return guided_sampling(editor.backbone, source.schedule, plan.sampling, guide)

    def by_hand(self, edit: by_hand.Edit, steps: int, extrapolated: bool = False) -> torch.Tensor:
        """The same from the formulas; of the engine's it takes the picture's clean latents and what the words are told as."""
        source = self.editor.invert(self.picture, "a red fish", Settings.preset("reference", steps=steps), check=False)
        network = by_hand.Network(self.pipeline, steps)
        branch = by_hand.source_of(network, source.latents_at(0), source.condition, edit.layers, extrapolated)
        return by_hand.edited(network, branch, source.condition, source.negative_condition, edit)


@pytest.fixture(scope="module")
def bench() -> Bench:
    pipeline = testing.tiny_pipeline("epsilon", dtype=torch.float64)
    editor = Editor(StableDiffusion(pipeline), ModelCard("tiny", "nowhere"), PluginRegistry(discover=False))
    pixels = np.random.default_rng(0).integers(0, 255, (SIZE // 4, SIZE // 4, 3), dtype=np.uint8)
    return Bench(pipeline, editor, Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BICUBIC))


MOVE = Move(mask=box(SIZE, 4, 8, 12, 8).numpy(), shift=(8, 4))


def move_by_hand(run: dict[str, Any], **switches: Any) -> by_hand.Edit:
    """MOVE: four feature cells to the right and two down, which are two latent cells and one."""
    old, new = box(16, 2, 4, 6, 4), box(16, 6, 6, 6, 4)
    masks = {"target": new, "preserve": ~(old | new), "vacated": old & ~new, "around": ~(old | new)}
    old, new = box(8, 1, 2, 3, 2), box(8, 3, 3, 3, 2)
    return by_hand.Edit(
        by_hand.move_energies(masks, lambda features: torch.roll(features, (2, 4), (1, 2)), **switches),
        lambda noise: torch.where(new, torch.roll(noise, (1, 2), (2, 3)), noise),
        target=new,
        region=old | new,
        **{name: value for name, value in run.items() if name != "steps"},
    )


@pytest.fixture(scope="module")
def expected(bench: Bench) -> torch.Tensor:
    return bench.by_hand(move_by_hand(FEW), FEW["steps"])


@runs
def test_a_move_under_the_preset_reference(bench: Bench, run: dict[str, Any]) -> None:
    ours, wanted = bench.latents(MOVE, "reference", run["steps"]), bench.by_hand(move_by_hand(run), run["steps"])
    assert ours.dtype == torch.float64 and (ours - wanted).abs().max() < EXACT


@pytest.mark.slow
@pytest.mark.parametrize(
    "other",
    [
        lambda edit: replace(edit, separate=True),
        lambda edit: replace(edit, keys_of_inversion=True),
        lambda edit: replace(edit, features="nearest"),
        lambda edit: replace(edit, energies=move_by_hand(FEW, raw=True).energies),
        lambda edit: replace(edit, energies=move_by_hand(FEW, halved=True).energies),
        lambda edit: replace(edit, target=None),
        lambda edit: replace(edit, noise={}),
        lambda edit: replace(edit, rounds={}),
        lambda edit: replace(edit, reads_from=2),
    ],
)
def test_another_way_would_show(bench: Bench, expected: torch.Tensor, other: Callable[[by_hand.Edit], by_hand.Edit]) -> None:
    assert (bench.by_hand(other(move_by_hand(FEW)), FEW["steps"]) - expected).abs().max() > 1e5 * EXACT


@runs
def test_a_drag_under_the_preset_paper(bench: Bench, run: dict[str, Any]) -> None:
    """Patches of noise, one similarity over all neighbourhoods, guidance in each of the first 60 % and away from no words in 40 %, the
    source's keys beside its own; the inversion extrapolated, as the preset leaves it."""
    ends = [((9, 9), (17, 13)), ((21, 21), (25, 13))]  # middles of feature cells
    middles = [torch.tensor([pair[place] for pair in ends]) // 2 for place in (0, 1)]
    around = torch.tensor([(x, y) for y in (-1, 0, 1) for x in (-1, 0, 1)])
    starts, stops = ((middle[:, None] + around).flatten(0, 1) for middle in middles)

    def patched(noise: torch.Tensor) -> torch.Tensor:
        copied = noise.clone()
        for (from_x, from_y), (to_x, to_y) in torch.tensor(ends) // 4:
            copied[..., to_y - 1 : to_y + 2, to_x - 1 : to_x + 2] = noise[..., from_y - 1 : from_y + 2, from_x - 1 : from_x + 2]
        return copied

    drag = Drag(points=ends, mask=box(SIZE, 4, 4, 24, 24).numpy())
    energies = by_hand.drag_energies(starts, stops, ~box(16, 2, 2, 12, 12))
    guided = range(run["steps"] * 3 // 5)
    edit = by_hand.Edit(energies, patched, guided=guided, led=0.4, reads_from=run["reads_from"], beside=True)
    ours, wanted = bench.latents(drag, "paper", run["steps"]), bench.by_hand(edit, run["steps"], extrapolated=True)
    assert (ours - wanted).abs().max() < EXACT
