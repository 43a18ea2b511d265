"""The training loop on a clock of its own: it spends its time, resumes where it stopped, and leaves averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from helpers.faults import full_after, state
from torch import nn

from dragonkit.toybox.training import fit as fit_module
from dragonkit.toybox.training.fit import Ema, fit

TARGET = torch.tensor([[1.0, -2.0, 3.0]])


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock takes a tenth of a second."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(fit_module, "time", SimpleNamespace(perf_counter=lambda: next(ticks) / 10))


@pytest.fixture
def train(tmp_path: Path) -> Callable[..., nn.Linear]:
    def train(seconds: float, **changes: Any) -> nn.Linear:
        torch.manual_seed(0)
        module = nn.Linear(3, 1, bias=False)
        settings = {"batch": 1, "learning_rate": 0.1, "folder": tmp_path, "ema_decay": 0.9}
        fit("stage", module, lambda: (module.weight - TARGET).square().sum(), seconds=seconds, **{**settings, **changes})
        return module

    return train


def saved(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "stage.pt")


def test_it_learns_for_the_time_given_and_slows_down_to_zero(train: Callable[..., nn.Linear], tmp_path: Path) -> None:
    module = train(100)
    last = saved(tmp_path)
    assert last["spent"] >= 100 and last["step"] > 300
    assert (module.weight - TARGET).abs().max() < 0.2
    assert 0 <= last["optimizer"]["param_groups"][0]["lr"] < 1e-3


def test_the_averaged_weights_are_left_in_the_module(train: Callable[..., nn.Linear], tmp_path: Path) -> None:
    module, state = train(3, ema_decay=0.99), saved(tmp_path)
    assert torch.equal(module.weight, state["ema"][0])
    assert not torch.equal(module.weight, state["module"]["weight"])


def test_it_resumes_where_it_stopped(train: Callable[..., nn.Linear], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    class Killed(Exception):
        pass

    module, steps = nn.Linear(3, 1, bias=False), iter(range(60))

    def loss() -> torch.Tensor:
        if next(steps, None) is None:
            raise Killed
        return (module.weight - TARGET).square().sum()

    with pytest.raises(Killed):
        fit("stage", module, loss, seconds=60, batch=1, learning_rate=0.1, folder=tmp_path, ema_decay=0.9, save_every=4.0)
    first = saved(tmp_path)
    assert 0 < first["step"] < 60 and first["spent"] < 60
    train(9)  # the first call's time holds
    second = saved(tmp_path)
    assert f"resuming at step {first['step']}, after {first['spent']:.0f} of 60 s" in capsys.readouterr().out
    assert second["step"] > first["step"] and second["spent"] >= 60 and second["seconds"] == 60

    module = train(60)  # nothing is left to spend
    assert saved(tmp_path)["step"] == second["step"]
    assert torch.equal(module.weight, second["ema"][0])


@pytest.mark.parametrize("size", [0, 100, 1000])
def test_a_full_disk_leaves_the_last_checkpoint(train: Callable[..., nn.Linear], tmp_path: Path, size: int) -> None:
    train(3)
    before = state(tmp_path)
    torch.save({**saved(tmp_path), "seconds": 6.0}, tmp_path / "stage.pt")
    longer = state(tmp_path)
    with full_after(size), pytest.raises((OSError, RuntimeError)):  # torch's own
        train(6)
    assert state(tmp_path) == longer and before.keys() == {"stage.pt"}


def test_the_optimizers_state_comes_back_too(train: Callable[..., nn.Linear], tmp_path: Path) -> None:
    train(3)
    state = saved(tmp_path)
    torch.save({**state, "spent": 2.75}, tmp_path / "stage.pt")
    train(3, save_every=0.0)  # one more step
    assert saved(tmp_path)["optimizer"]["state"][0]["step"] == state["step"] + 1


def test_one_step_is_done_however_little_time_there_is(train: Callable[..., nn.Linear], tmp_path: Path) -> None:
    train(1e-6)
    assert saved(tmp_path)["step"] == 1
    assert not list(tmp_path.glob("*.new"))


def test_the_log_tells_stage_step_and_loss(train: Callable[..., nn.Linear], capsys: pytest.CaptureFixture[str]) -> None:
    train(6, log_every=1.0)
    assert "stage" in (out := capsys.readouterr().out)
    assert "loss" in out and "images/s" in out


def test_the_average_warms_up_and_then_lags() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = Ema(module, 0.5)
    nn.init.ones_(module.weight)
    ema.update()
    assert ema.shadow[0].item() == pytest.approx(1 - 2 / 11)  # early on it forgets its random start
    for _ in range(100):
        ema.update()
    assert ema.shadow[0].item() == pytest.approx(1)
    nn.init.zeros_(module.weight)
    ema.update()
    assert ema.shadow[0].item() == pytest.approx(0.5)


def test_average_and_weights_change_places_and_back() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = Ema(module, 0.5)
    nn.init.ones_(module.weight)
    ema.swap()
    assert (module.weight.item(), ema.shadow[0].item()) == (0, 1)
    ema.swap()
    assert (module.weight.item(), ema.shadow[0].item()) == (1, 0)
