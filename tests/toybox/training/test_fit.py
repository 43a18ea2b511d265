"""The training loop on a clock of its own: it spends its minutes, resumes where it stopped, and leaves averaged weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
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
    def train(minutes: float, **changes: Any) -> nn.Linear:
        torch.manual_seed(0)
        module = nn.Linear(3, 1, bias=False)
        settings = {"batch": 1, "learning_rate": 0.1, "folder": tmp_path, "ema_decay": 0.9}
        settings |= {"device": torch.device("cpu"), "precision": torch.float32}
        fit("stage", module, lambda: (module.weight - TARGET).square().sum(), minutes=minutes, **{**settings, **changes})
        return module

    return train


def saved(folder: Path) -> dict[str, Any]:
    return torch.load(folder / "stage.pt")


def test_it_learns_for_the_minutes_given_and_slows_down_to_zero(train: Callable[..., nn.Linear], tmp_path: Path) -> None:
    module = train(0.5)
    state = saved(tmp_path)
    assert state["spent"] >= 30 and state["step"] > 200
    assert (module.weight - TARGET).abs().max() < 0.2
    assert 0 <= state["optimizer"]["param_groups"][0]["lr"] < 1e-3


def test_the_averaged_weights_are_left_in_the_module(train: Callable[..., nn.Linear], tmp_path: Path) -> None:
    module, state = train(0.05, ema_decay=0.99), saved(tmp_path)
    assert torch.equal(module.weight, state["ema"]["weight"])
    assert not torch.equal(module.weight, state["module"]["weight"])


def test_it_resumes_where_it_stopped(train: Callable[..., nn.Linear], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(0.05)
    first = saved(tmp_path)
    train(0.1)
    second = saved(tmp_path)
    assert f"resuming at step {first['step']}" in capsys.readouterr().out
    assert second["step"] > first["step"] and second["spent"] > first["spent"]
    module = train(0.1)  # nothing is left to spend
    assert saved(tmp_path)["step"] == second["step"]
    assert torch.equal(module.weight, second["ema"]["weight"])


def test_the_optimizers_state_comes_back_too(train: Callable[..., nn.Linear], tmp_path: Path) -> None:
    train(0.05)
    before = saved(tmp_path)["optimizer"]["state"][0]
    train(0.05)
    after = saved(tmp_path)["optimizer"]["state"][0]
    assert torch.equal(before["exp_avg"], after["exp_avg"])


def test_checkpoints_are_shown_with_averaged_weights(tmp_path: Path) -> None:
    module, seen = nn.Linear(3, 1, bias=False), list[torch.Tensor]()
    fit(
        "stage",
        module,
        lambda: (module.weight - TARGET).square().sum(),
        minutes=0.1,
        batch=1,
        learning_rate=0.1,
        folder=tmp_path,
        device=torch.device("cpu"),
        precision=torch.float32,
        ema_decay=0.99,
        save_every=2.0,
        on_save=lambda: seen.append(module.weight.detach().clone()),
    )
    assert len(seen) > 2
    assert torch.equal(seen[-1], saved(tmp_path)["ema"]["weight"])
    assert not list(tmp_path.glob("*.new"))


def test_the_log_tells_stage_step_and_loss(train: Callable[..., nn.Linear], capsys: pytest.CaptureFixture[str]) -> None:
    train(0.1, log_every=1.0, flops_per_image=1e9)
    assert "stage" in (out := capsys.readouterr().out)
    assert "loss" in out and "images/s" in out


def test_the_average_warms_up_and_then_lags() -> None:
    module = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(module.weight)
    ema = Ema(module, 0.5)
    nn.init.ones_(module.weight)
    ema.update()
    assert ema.shadow["weight"].item() == pytest.approx(1 - 2 / 11)  # early on it forgets its random start
    for _ in range(100):
        ema.update()
    assert ema.shadow["weight"].item() == pytest.approx(1)
    nn.init.zeros_(module.weight)
    ema.update()
    assert ema.shadow["weight"].item() == pytest.approx(0.5)
