"""Which keys and values the decoder reads when several plans hold at once."""

from __future__ import annotations

import numpy as np
import torch

from dragonkit.diffusion.backbone import Prediction
from dragonkit.diffusion.reading import PlannedAttention, merged_memory
from dragonkit.plugins.answers import AttentionPlan

SIZES = [(4, 6), (8, 2)]


def recorded(offset: int, size: tuple[int, int]) -> Prediction:
    """Two layers, at the latents' size and at half of it; keys number their places."""
    height, width = size
    keys = {}
    for name, tokens in (("fine", height * width), ("coarse", height * width // 4)):
        key = (torch.arange(tokens) + offset).reshape(1, tokens, 1).float()
        keys[name] = (key, -key)
    return Prediction(torch.zeros(1, 1, height, width), {}, keys)


RECORDED = [recorded(0, SIZES[0]), recorded(1000, SIZES[1])]


def read(*planned: PlannedAttention, index: int = 5) -> tuple[dict[str, list[int]] | None, str]:
    memory, form = merged_memory(planned, index, 10, RECORDED, SIZES)
    if memory is not None:
        assert all(torch.equal(key, -value) for key, value in memory.values())
    return memory and {layer: key[0, :, 0].int().tolist() for layer, (key, _) in memory.items()}, form


def test_without_a_plan_that_holds_nothing_is_read() -> None:
    assert read() == (None, "replace")
    late = PlannedAttention(AttentionPlan(start=0.6))
    assert read(late) == (None, "replace")
    assert read(late, index=6)[0] is not None
    assert read(PlannedAttention(AttentionPlan(start=0.0, stop=0.5))) == (None, "replace")


def test_a_plan_without_masks_reads_the_whole_source() -> None:
    assert read(PlannedAttention(AttentionPlan())) == ({"fine": list(range(24)), "coarse": list(range(6))}, "replace")


def test_masks_choose_places_of_source_and_reference_at_every_layers_size() -> None:
    right = np.zeros((4, 6), bool)
    right[:, 4:] = True
    top = np.zeros((80, 20), bool)  # masks may lie on any raster over their picture
    top[:20] = True
    memory, _ = read(PlannedAttention(AttentionPlan(source_mask=right, reference_mask=top), reference=0))
    assert memory == {"fine": [4, 5, 10, 11, 16, 17, 22, 23, 1000, 1001, 1002, 1003], "coarse": [2, 5, 1000]}


def test_a_layer_with_nothing_to_read_reads_its_own() -> None:
    corner, opposite = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    corner[:2, :2] = opposite[2:, 4:] = True
    for plans in ([AttentionPlan(source_mask=corner & False)], [AttentionPlan(source_mask=corner), AttentionPlan(source_mask=opposite)]):
        assert read(*map(PlannedAttention, plans)) == ({"fine": [], "coarse": []}, "concatenate")


def test_plans_merge_to_what_all_read_of_the_source_and_any_reads_of_references() -> None:
    left, upper, everything = np.zeros((4, 6), bool), np.zeros((4, 6), bool), np.ones((8, 2), bool)
    left[:, :2] = upper[:2] = True
    plans = (
        PlannedAttention(AttentionPlan(source_mask=left, reference_mask=everything), reference=0),
        PlannedAttention(AttentionPlan("concatenate", source_mask=upper)),
    )
    memory, form = read(*plans)
    assert form == "concatenate"
    assert memory == {"fine": [0, 1, 6, 7, *range(1000, 1016)], "coarse": [0, *range(1000, 1004)]}
