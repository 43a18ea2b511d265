"""One training loop for both stages: a time budget, a cosine learning rate that ends with it, checkpoints that resume."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

PEAK_TFLOPS = {"H100": 989.0, "H200": 989.0, "A100": 312.0}
"""Dense bf16 peaks by a part of the device's name, for the utilisation in the log."""


class Ema:
    """An exponential moving average of a module's parameters, warmed up over the first steps."""

    def __init__(self, module: nn.Module, decay: float):
        self.module, self.decay, self.steps = module, decay, 0
        self.shadow = {name: value.detach().clone() for name, value in module.state_dict().items()}

    @torch.no_grad()
    def update(self) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        for name, value in self.module.state_dict().items():
            if value.is_floating_point():
                self.shadow[name].lerp_(value, 1 - decay)
            else:
                self.shadow[name].copy_(value)


def fit(
    stage: str,
    module: nn.Module,
    loss: Callable[[], Tensor],
    *,
    minutes: float,
    batch: int,
    learning_rate: float,
    folder: Path,
    device: torch.device,
    precision: torch.dtype,
    flops_per_image: float = 0.0,
    ema_decay: float = 0.0,
    weight_decay: float = 0.0,
    log_every: float = 20.0,
    save_every: float = 120.0,
    on_save: Callable[[], None] | None = None,
) -> None:
    """Minimise `loss()` over `module`'s parameters for `minutes`, then leave the averaged weights in it.

    The learning rate warms up over 200 steps and falls on a half cosine to zero when the time is over. `folder/STAGE.pt` is written
    every `save_every` seconds and picked up by the next call, with the minutes that were already spent.

    Args:
        loss: draws its own batch of `batch` images and returns a scalar; run under autocast when `precision` is not float32.
        flops_per_image: forward and backward, for the log.
        on_save: called after each checkpoint with averaged weights in place.
    """
    path = folder / f"{stage}.pt"
    optimizer = torch.optim.AdamW(module.parameters(), lr=learning_rate, betas=(0.9, 0.99), weight_decay=weight_decay)
    ema = Ema(module, ema_decay)
    step, spent = 0, 0.0
    if path.exists():
        state = torch.load(path, map_location=device)
        module.load_state_dict(state["module"])
        optimizer.load_state_dict(state["optimizer"])
        ema.shadow, ema.steps, step, spent = state["ema"], state["step"], state["step"], state["spent"]
        print(f"{stage}: resuming at step {step}, {spent / 60:.1f} of {minutes} minutes spent", flush=True)

    def save() -> None:
        trained = {name: value.clone() for name, value in module.state_dict().items()}
        state = {"module": trained, "optimizer": optimizer.state_dict(), "ema": ema.shadow, "step": step, "spent": spent}
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)  # a crash while writing must not cost the last good checkpoint
        if on_save is not None:
            module.load_state_dict(ema.shadow)
            on_save()
            module.load_state_dict(trained)

    peak = next((value for name, value in PEAK_TFLOPS.items() if device.type == "cuda" and name in torch.cuda.get_device_name(device)), 0.0)
    budget, mean, seen = minutes * 60, torch.zeros((), device=device), 0
    last_log = last_save = last = time.perf_counter()
    while spent < budget:
        for group in optimizer.param_groups:
            group["lr"] = learning_rate * min(1.0, (step + 1) / 200) * 0.5 * (1 + math.cos(math.pi * spent / budget))
        with torch.autocast(device.type, dtype=precision, enabled=precision != torch.float32):
            value = loss()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimizer.step()
        ema.update()
        step, seen, mean = step + 1, seen + 1, mean + value.detach()
        now = time.perf_counter()
        spent, last = spent + now - last, now
        if now - last_log >= log_every:
            rate = seen * batch / (now - last_log)
            tflops = rate * flops_per_image / 1e12
            use = f" ({tflops / peak:.0%} of peak)" if peak else ""
            state = f"{stage} {spent / 60:6.1f}/{minutes:g} min  step {step}  loss {mean.item() / seen:.5f}"
            print(f"{state}  {rate:.0f} images/s  {tflops:.2f} TFLOP/s{use}", flush=True)
            mean, seen, last_log = torch.zeros((), device=device), 0, now
        if now - last_save >= save_every:
            save()
            last_save = last = time.perf_counter()
    save()
    module.load_state_dict(ema.shadow)
