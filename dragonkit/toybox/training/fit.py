"""One training loop for both stages: a time budget, a cosine learning rate that ends with it, checkpoints that resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from dragonkit.files import replacing

WARM_UP = 0.05
"""Share of the time during which the learning rate rises."""


class Ema:
    """An exponential moving average of a module's parameters, warmed up over the first steps."""

    def __init__(self, module: nn.Module, decay: float):
        self.decay, self.steps = decay, 0
        self.parameters = list(module.parameters())
        self.shadow = [value.detach().clone() for value in self.parameters]

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.shadow, [value.detach() for value in self.parameters], 1 - decay)  # one kernel, not one for each

    @torch.no_grad()
    def swap(self) -> None:
        """Exchange the module's parameters and their averages."""
        for value, average in zip(self.parameters, self.shadow, strict=True):
            trained = value.detach().clone()
            value.copy_(average)
            average.copy_(trained)


def fit(
    stage: str,
    module: nn.Module,
    loss: Callable[[], Tensor],
    *,
    seconds: float,
    batch: int,
    learning_rate: float,
    folder: Path,
    precision: torch.dtype = torch.float32,
    ema_decay: float = 0.0,
    weight_decay: float = 0.0,
    log_every: float = 20.0,
    save_every: float = 100.0,
) -> None:
    """Minimise `loss()` over `module`'s parameters for `seconds`, then leave the averaged weights in it.

    The learning rate warms up at first, then falls on a half cosine to zero when the time is over. `folder/STAGE.pt` is written
    every `save_every` seconds and picked up by the next call, with the time that was given and the time that was spent.

    Args:
        seconds: all that is done here counts, checkpoints as well; at least one step is done.
        loss: draws its own batch of `batch` images and returns a scalar; run under autocast when `precision` is not float32.
    """
    path, device = folder / f"{stage}.pt", next(module.parameters()).device
    optimizer = torch.optim.AdamW(
        module.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=weight_decay, fused=device.type == "cuda"
    )
    ema, step, before, begun = Ema(module, ema_decay), 0, 0.0, time.perf_counter()
    if path.exists():
        state = torch.load(path, map_location=device)
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        ema.shadow, ema.steps, step = state["ema"], state["step"], state["step"]
        seconds, before = state["seconds"], state["spent"]
        print(f"{stage}: resuming at step {step}, after {before:.0f} of {seconds:.0f} s", flush=True)

    def spent() -> float:
        return before + time.perf_counter() - begun

    def save() -> None:
        state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "ema": ema.shadow}
        with replacing(path) as file:  # a crash while writing must not cost the last good checkpoint
            torch.save({**state, "step": step, "seconds": seconds, "spent": spent()}, file)

    first, total, seen = step, torch.zeros((), device=device), 0
    last_log = last_save = spent()
    while (now := spent()) < seconds or step == 0:
        share = min(1.0, now / seconds)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, share / WARM_UP) * 0.5 * (1 + math.cos(math.pi * share))
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            value = loss()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        ema.update()
        step, seen, total = step + 1, seen + 1, total + value.detach()
        now = spent()
        if now - last_log >= log_every:
            mean = total.item() / seen  # the GPU catches up here
            rate = seen * batch / (spent() - last_log)
            print(f"{stage} {now:.0f}/{seconds:.0f} s  step {step}  loss {mean:.5f}  {rate:.0f} images/s", flush=True)
            total, seen, last_log = torch.zeros((), device=device), 0, spent()
        if now - last_save >= save_every:
            save()
            last_save = spent()
    if step > first:
        save()
    ema.swap()
