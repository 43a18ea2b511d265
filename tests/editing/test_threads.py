"""Threads, editors and backbones that share a network take turns: each gives what it would give alone, bit for bit."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.straight_flow import CARD, StraightFlow

from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.diffusion.turns import turn_on
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Settings
from dragonkit.errors import Cancelled
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.move import Move
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import tiny_editor

THREADS, SOON = 8, 60.0
PICTURES = [np.random.default_rng(number).integers(0, 256, (32, 32, 3), dtype=np.uint8) for number in range(THREADS)]
MASK = np.zeros((32, 32), bool)
MASK[8:16, 8:16] = True


def edits_of(number: int) -> list[Any]:
    look = Appearance(mask=MASK, reference=PICTURES[(number + 1) % THREADS], reference_mask=MASK)
    return [Move(mask=MASK, shift=(4 + number, 2)), look] if number % 2 else [Move(mask=MASK, shift=(4 + number, 2))]


def pictures_of(editor: Editor, number: int) -> list[bytes]:
    """A picture inverted and edited, one generated, and what is remembered of the inversion."""
    settings = Settings(steps=2)
    made = [editor.edit(PICTURES[number], edit, settings, prompt="a fish").image.tobytes() for edit in edits_of(number)]
    made.append(editor.generate("a bird", number, settings).pixels.tobytes())
    made.append(editor.invert(PICTURES[number], "a fish", settings).trajectory.numpy().tobytes())
    return made


def in_threads(work: Callable[[int], Any], threads: int = THREADS) -> list[Any]:
    outcomes: list[Any] = [None] * threads

    def run(number: int) -> None:
        try:
            outcomes[number] = work(number)
        except BaseException as error:
            outcomes[number] = error

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)  # threads change places often
    try:
        for thread in running:
            thread.start()
        for thread in running:
            thread.join(SOON)
            assert not thread.is_alive(), "it hangs"
    finally:
        sys.setswitchinterval(before)
    return outcomes


def one_editor(pipeline: Any) -> Callable[[int], Editor]:
    editor = Editor(StableDiffusion(pipeline), tiny_editor().card, PluginRegistry(discover=False))
    return lambda number: editor


def editors_on_one_backbone(pipeline: Any) -> Callable[[int], Editor]:
    backbone, registry = StableDiffusion(pipeline), PluginRegistry(discover=False)
    editors = [Editor(backbone, tiny_editor().card, registry) for _ in range(2)]
    return lambda number: editors[number % 2]


def backbones_on_one_pipeline(pipeline: Any) -> Callable[[int], Editor]:
    registry = PluginRegistry(discover=False)
    editors = [Editor(StableDiffusion(pipeline), tiny_editor().card, registry) for _ in range(2)]
    return lambda number: editors[number % 2]


def of_another_family(pipeline: Any) -> Callable[[int], Editor]:
    editor = Editor(StraightFlow(), CARD, PluginRegistry(discover=False))
    return lambda number: editor


@pytest.mark.parametrize(
    ("shared", "threads"),
    [
        (one_editor, 3),
        pytest.param(one_editor, THREADS, marks=pytest.mark.slow),
        (editors_on_one_backbone, 3),
        pytest.param(backbones_on_one_pipeline, 3, marks=pytest.mark.slow),
        (of_another_family, 4),
    ],
)
def test_threads_give_what_each_gives_alone(shared: Callable[[Any], Callable[[int], Editor]], threads: int, tiny_pipeline: Any) -> None:
    processors = dict(tiny_pipeline.unet.attn_processors)
    alone = shared(tiny_pipeline)
    expected = [pictures_of(alone(number), number) for number in range(threads)]
    together = shared(tiny_pipeline)
    assert in_threads(lambda number: pictures_of(together(number), number), threads) == expected
    assert all(tiny_pipeline.unet.attn_processors[name] is processor for name, processor in processors.items())
    assert pictures_of(together(0), 0) == expected[0]  # what was remembered meanwhile is right, too


def test_bare_calls_from_many_threads_do_not_see_each_other(tiny_pipeline: Any) -> None:
    backbone = StableDiffusion(tiny_pipeline)
    words = backbone.condition(["a fish"], (32, 32))
    latents = torch.randn(THREADS, 1, 4, 8, 8, generator=torch.Generator().manual_seed(3))

    @torch.no_grad()
    def predict(number: int) -> list[torch.Tensor]:
        seen = backbone.predict(latents[number], 300.0, words, features=("up.1", "up.2"), record=True)
        read = backbone.predict(latents[number], 300.0, words, read=seen.keys_values, form="concatenate")
        return [seen.noise_pred, *seen.features.values(), *(part for pair in seen.keys_values.values() for part in pair), read.noise_pred]

    expected = [predict(number) for number in range(THREADS)]
    for _ in range(3):
        for got, alone in zip(in_threads(predict), expected, strict=True):
            assert len(got) == len(alone) and all(torch.equal(a, b) for a, b in zip(got, alone, strict=True))


def test_who_waits_can_change_their_mind_and_leaves_the_model_free(tiny_pipeline: Any) -> None:
    editor = one_editor(tiny_pipeline)(0)
    source, told = editor.invert(PICTURES[0], "a fish", Settings(steps=2)), list[tuple[int, int]]()

    def give_up(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) == 3:
            raise Cancelled

    held, go = threading.Event(), threading.Event()

    def hold() -> None:
        with turn_on(editor.backbone):
            held.set()
            go.wait(SOON)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(SOON)
    calls = editor.backbone.calls
    for work in (
        lambda: editor.edit(source, edits_of(0)[0], progress=give_up),
        lambda: editor.invert(PICTURES[1], progress=give_up),
        lambda: editor.generate("a fish", progress=give_up),
    ):
        told.clear()
        with pytest.raises(Cancelled):
            work()
        assert [done for done, _ in told] == [0, 0, 0]
    assert editor.backbone.calls == calls
    go.set()
    holder.join(SOON)
    told.clear()
    assert editor.edit(source, edits_of(0)[0], progress=lambda done, total: told.append((done, total))).image.size == (32, 32)
    assert [done for done, _ in told] == list(range(1, told[0][1] + 1)), "nobody waited, so nothing says so"


def test_one_thread_may_use_the_model_within_its_turn(tiny_pipeline: Any) -> None:
    """An observer that edits, or asks for a preview."""
    editor = one_editor(tiny_pipeline)(0)
    inner = list[bytes]()

    def watch(step: Any) -> None:
        step.preview()
        if step.done == 1:
            inner.extend(pictures_of(editor, 1))

    outer = editor.edit(PICTURES[0], edits_of(0)[0], Settings(steps=3), on_step=watch).image.tobytes()
    assert inner == pictures_of(editor, 1)
    assert outer == editor.edit(PICTURES[0], edits_of(0)[0], Settings(steps=3)).image.tobytes()
