"""Stopped at any point of an inversion or an edit, by anything: the editor goes on as if nothing had been, to the last bit."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import pytest
import torch
from helpers.straight_flow import CARD, StraightFlow

from dragonkit.diffusion import attention
from dragonkit.diffusion.stable_diffusion import StableDiffusion
from dragonkit.diffusion.turns import turn_on
from dragonkit.editing.editor import Editor
from dragonkit.edits.settings import Settings
from dragonkit.errors import Cancelled, OutOfMemoryError
from dragonkit.modes.appearance import Appearance
from dragonkit.modes.move import Move
from dragonkit.plugins.loading import Plugin
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.testing import tiny_editor

PICTURE, OTHER = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
MASK, SECOND = np.zeros((2, 32, 32), bool)
MASK[4:12, 4:12] = True
SECOND[20:28, 20:28] = True
EDITS = [Move(mask=MASK, shift=(12, 2)), Appearance(mask=SECOND, reference=OTHER, reference_mask=MASK)]
SETTINGS = Settings(steps=2, hold=0.0, hold_vacated=0.0, inversion_iterations=1)


class Points:
    """Where a run may be stopped: every call of the network and of a hook, and every report to the caller.

    Attributes:
        at: at which of them, counted from 1; 0 for none.
        passed: how many there were.
    """

    def __init__(self, strike: Callable[[], Any]) -> None:
        self.strike, self.at, self.passed = strike, 0, 0

    def pass_one(self, *_: Any) -> None:
        self.passed += 1
        if self.passed == self.at:
            self.strike()

    def watched(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            self.pass_one()
            return function(*args, **named)

        return call


def raising(error: Callable[[], BaseException]) -> Callable[[], None]:
    def strike() -> None:
        raise error()

    return strike


FAULTS: dict[str, tuple[Callable[[], Any], type[BaseException]]] = {
    "cancel": (raising(Cancelled), Cancelled),
    "Ctrl-C": (lambda: signal.raise_signal(signal.SIGINT), KeyboardInterrupt),
    "SIGTERM": (lambda: signal.raise_signal(signal.SIGTERM), SystemExit),
    "no memory": (raising(MemoryError), OutOfMemoryError),
    "no memory on the device": (raising(lambda: torch.OutOfMemoryError("CUDA out of memory")), OutOfMemoryError),
    "no memory on a CPU": (raising(lambda: RuntimeError("DefaultCPUAllocator: can't allocate memory: 1 byte")), OutOfMemoryError),
}


@contextmanager
def sigterm_exits() -> Iterator[None]:
    """As servers handle it."""
    before = signal.signal(signal.SIGTERM, lambda *_: exit(143))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def run(editor: Editor, points: Points) -> bytes:
    """The whole way: two pictures inverted, one of them checked, and two edits in one pass."""
    result = editor.edit(PICTURE, EDITS, SETTINGS, "a fish", on_step=points.pass_one, progress=points.pass_one)
    return result.image.tobytes()


def forget_everything(editor: Editor) -> None:
    editor.forget()
    editor._sources._inversions.clear()


def is_free(editor: Editor) -> bool:
    got = threading.Event()

    def take() -> None:
        with turn_on(editor.backbone):
            got.set()

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(10)
    return got.is_set()


def strike_everywhere(editor: Editor, points: Points, expected_error: type[BaseException], step: int = 1) -> int:
    """Strike once at every `step`th point; returns how many there were."""
    expected = run(editor, points)
    total = points.passed
    for at in range(1, total + 1, step):
        forget_everything(editor)
        points.passed, points.at = 0, at
        if expected_error is OutOfMemoryError:  # an edit is made again with less
            with suppress(OutOfMemoryError):
                assert run(editor, points) == expected
        else:
            with pytest.raises(expected_error):
                run(editor, points)
            assert points.passed == at
        points.at = 0
        assert is_free(editor)
        assert run(editor, points) == expected, f"after point {at} of {total}"
    return total


def watch_backbone(backbone: Any, points: Points, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("encode", "decode", "condition", "predict"):
        monkeypatch.setattr(backbone, name, points.watched(getattr(backbone, name)))


# which fault it is makes no difference to where it can strike, so most skip some places
@pytest.mark.parametrize(("fault", "step"), [pytest.param("cancel", 1, marks=pytest.mark.slow), *((fault, 6) for fault in FAULTS)])
def test_at_every_point_of_a_run(fault: str, step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    strike, error = FAULTS[fault]
    points = Points(strike)
    editor = Editor(StraightFlow(), CARD, PluginRegistry(discover=False))
    watch_backbone(editor.backbone, points, monkeypatch)
    monkeypatch.setattr(Plugin, "call", points.watched(Plugin.call))
    with sigterm_exits():
        assert strike_everywhere(editor, points, error, step) > 80


@pytest.mark.parametrize("fault", [pytest.param("cancel", marks=pytest.mark.slow), "Ctrl-C"])
def test_within_the_network(fault: str, tiny_pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of a call, where processors and hooks are on: they come off."""
    strike, error = FAULTS[fault]
    points = Points(strike)
    editor = Editor(StableDiffusion(tiny_pipeline), tiny_editor().card, PluginRegistry(discover=False))
    monkeypatch.setattr(attention, "attend", points.watched(attention.attend))
    unet = tiny_pipeline.unet
    before = dict(unet.attn_processors)
    assert strike_everywhere(editor, points, error, step=29) > 120
    assert all(unet.attn_processors[name] is processor for name, processor in before.items())
    assert not any(module._forward_hooks for module in unet.modules())


def test_processors_come_off_though_ctrl_c_comes_just_then(tiny_pipeline: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone, unet = StableDiffusion(tiny_pipeline), tiny_pipeline.unet
    before, kinds = dict(unet.attn_processors), type(next(iter(backbone.attention._modules.values())))
    words, latents = backbone.condition(["a fish"], (32, 32)), torch.zeros(1, 4, 8, 8)
    changes, put_on = list[Any](), kinds.set_processor

    def set_processor(module: Any, processor: Any) -> None:
        changes.append(processor)
        if len(changes) == len(before) + 3:  # while they are taken off
            raise KeyboardInterrupt
        put_on(module, processor)

    monkeypatch.setattr(kinds, "set_processor", set_processor)
    with pytest.raises(KeyboardInterrupt):
        backbone.predict(latents, 300.0, words)
    assert all(unet.attn_processors[name] is processor for name, processor in before.items())
