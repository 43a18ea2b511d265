"""What a plugin's energy may give, what is said of one that does nothing, and whose fault a gradient is."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from helpers.straight_flow import CARD, StraightFlow

from dragonkit.editing.editor import Editor
from dragonkit.edits.edit import Edit
from dragonkit.edits.settings import Settings
from dragonkit.errors import EditError, OutOfMemoryError, PluginHookError
from dragonkit.modes.move import Move
from dragonkit.plugins.answers import EditMasks, EnergyTerm, Features
from dragonkit.plugins.blame import running_in
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.specs import hookimpl

PICTURE = np.random.default_rng(0).integers(0, 256, (32, 32, 3), dtype=np.uint8)
MASK = np.zeros((32, 32), bool)
MASK[4:16, 4:16] = True
MOVE = Move(mask=MASK, shift=(12, 8))
SETTINGS = Settings(steps=2, hold=0.0, hold_vacated=0.0)

Energy = Callable[[Features], Any]


def editor_with(*energies: Energy, weight: float = 1.0) -> Editor:
    class Extra:
        @hookimpl
        def dragonkit_energy_terms(self, edit: Edit, masks: EditMasks) -> list[EnergyTerm] | None:
            return [EnergyTerm(f"look{number}", energy, weight) for number, energy in enumerate(energies)] or None

    registry = PluginRegistry(discover=False)
    registry.register(Extra(), "culprit")
    return Editor(StraightFlow(), CARD, registry)


def warnings_of(*energies: Energy, **options: Any) -> tuple[str, ...]:
    return editor_with(*energies, **options).edit(PICTURE, MOVE, SETTINGS).report.warnings


IDLE: dict[str, Energy] = {
    "a constant": lambda features: torch.tensor(3.0),
    "the source only": lambda features: features.source.square().mean(),
    "detached": lambda features: features.generated.detach().square().mean(),
    "through numpy": lambda features: torch.from_numpy(features.generated.detach().numpy()).mean(),
    "no gradients": torch.no_grad()(lambda features: features.generated.square().mean()),
    "integers": lambda features: features.generated.argmax(),
    "weights of its own": lambda features: (features.generated.detach() * torch.ones(1, requires_grad=True)).mean(),
}


@pytest.mark.parametrize("case", IDLE)
def test_an_energy_without_effect_is_told_once_with_its_plugin(case: str) -> None:
    told = [warning for warning in warnings_of(IDLE[case]) if "had no effect" in warning]
    assert len(told) == 1
    assert "the energy 'culprit.look0' of plugin 'culprit' had no effect" in told[0] and "features.generated" in told[0]


def test_what_does_nothing_on_purpose_or_only_sometimes_is_not_told() -> None:
    def in_one_layer(features: Features) -> Any:
        return features.generated.mean() if features.layer == "block.2" else features.source.mean()

    assert not any("no effect" in warning for warning in warnings_of(in_one_layer))
    assert not any("no effect" in warning for warning in warnings_of(lambda features: features.generated.abs().mean()))
    assert not any("no effect" in warning for warning in warnings_of(IDLE["detached"], weight=0.0))
    unguided = editor_with(IDLE["detached"]).edit(PICTURE, MOVE, Settings(steps=2, energy_scale=0))
    assert not any("no effect" in warning for warning in unguided.report.warnings)


def test_an_idle_energy_changes_no_bit() -> None:
    alone, beside = (
        editor_with(*energies).edit(PICTURE, MOVE, SETTINGS).image.tobytes() for energies in ((), (IDLE["weights of its own"],))
    )
    assert alone == beside


class Backwards(torch.autograd.Function):
    error: Any = None

    @staticmethod
    def forward(context: Any, x: torch.Tensor) -> torch.Tensor:
        return x.sum()

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> Any:
        raise Backwards.error


@pytest.mark.parametrize("error", [KeyError("angle"), SystemExit(3), RuntimeError("no"), TypeError("no")])
def test_a_gradient_that_cannot_be_had_is_the_plugins_fault(error: BaseException) -> None:
    Backwards.error = error
    good = lambda features: features.generated.square().mean()  # noqa: E731
    with pytest.raises(PluginHookError, match=rf"^plugin 'culprit': the energy term 'look1' .* raised {type(error).__name__}: "):
        editor_with(good, lambda features: Backwards.apply(features.generated)).edit(PICTURE, MOVE, SETTINGS)


@pytest.mark.parametrize(
    "error", [MemoryError(), torch.OutOfMemoryError("full"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
@pytest.mark.parametrize("where", ["forward", "backward"])
def test_no_memory_is_nobodys_fault(error: BaseException, where: str) -> None:
    def full(features: Features) -> Any:
        if where == "forward":
            raise error
        return Backwards.apply(features.generated)

    Backwards.error = error
    with pytest.raises(OutOfMemoryError):
        editor_with(full).edit(PICTURE, MOVE, SETTINGS)


def test_ctrl_c_says_which_plugin_was_running_and_on_another_thread_it_cannot_be_one() -> None:
    def interrupt(features: Features) -> Any:
        raise KeyboardInterrupt

    editor = editor_with(interrupt)
    with pytest.raises(KeyboardInterrupt) as caught:
        editor.edit(PICTURE, MOVE, SETTINGS)
    assert caught.value.__notes__ == [
        "plugin 'culprit' (registered by hand) in the energy term 'look0' of its hook dragonkit_energy_terms was running"
    ]
    got = list[BaseException]()

    def work() -> None:
        try:
            editor.edit(PICTURE, MOVE, SETTINGS)
        except BaseException as error:
            got.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(60)
    assert isinstance(got[0], PluginHookError) and "raised KeyboardInterrupt" in str(got[0])


def test_it_is_known_which_plugin_a_thread_is_in() -> None:
    seen = list[str | None]()

    def look(features: Features) -> Any:
        seen.append(running_in(threading.current_thread()))
        return features.generated.mean()

    editor_with(look).edit(PICTURE, MOVE, SETTINGS)
    assert set(seen) == {"plugin 'culprit' (registered by hand) in the energy term 'look0' of its hook dragonkit_energy_terms"}
    assert running_in(threading.current_thread()) is None


def test_what_the_callers_own_functions_raise_is_no_plugins_fault() -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError("mine")

    editor = editor_with()
    for options in ({"progress": fail}, {"on_step": fail}):
        with pytest.raises(ZeroDivisionError, match="mine"):
            editor.edit(PICTURE, MOVE, SETTINGS, prompt=f"a fish {options}", **options)
    with pytest.raises(ZeroDivisionError, match="mine"):
        editor.invert(PICTURE, "another", progress=fail)
    with pytest.raises(SystemExit):
        editor.invert(PICTURE, "a third", progress=lambda *_: sys.exit(1))


def test_the_mask_of_a_mode_without_memory_is_nobodys_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise MemoryError("Unable to allocate 15.6 GiB for an array")

    monkeypatch.setattr("dragonkit.modes.moving.load_mask", full)
    with pytest.raises(OutOfMemoryError, match="smaller picture") as caught:
        editor_with().edit(PICTURE, MOVE, SETTINGS)
    assert "author" not in str(caught.value)
    with pytest.raises(EditError):  # and the editor is as it was
        editor_with().edit(PICTURE, [], SETTINGS)
