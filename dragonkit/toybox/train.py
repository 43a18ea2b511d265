"""Train the embedded model: `python -m dragonkit.toybox.train --config gpu128 --out runs/gpu128`.

Two processes share the machine: one trains the autoencoder, while the other compiles the UNet and draws scenes, then trains on them.
Draws its own scenes, needs no download, runs on CPU and CUDA, and picks up where an earlier call with the same folder stopped.
"""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Mapping
from multiprocessing.connection import wait
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from dragonkit.files import write_text
from dragonkit.toybox.training.autoencoder import adopt_autoencoder, train_autoencoder
from dragonkit.toybox.training.clock import Clock
from dragonkit.toybox.training.denoiser import train_denoiser
from dragonkit.toybox.training.recipe import load_recipe


def train(
    config: Annotated[str, typer.Option(help="A named recipe (gpu128, cpu32, tiny) or a JSON file.")] = "gpu128",
    out: Annotated[Path, typer.Option(help="Folder for checkpoints, sheets and the finished model.")] = Path("runs/toybox"),
    init: Annotated[Path | None, typer.Option(help="A finished model to go on from; its autoencoder stays as it is.")] = None,
    minutes_scale: Annotated[float, typer.Option(help="Multiplies all minutes: 0.1 is a dry run.")] = 1.0,
    threads: Annotated[int, typer.Option(help="CPU threads of each process; 0 leaves torch's choice.")] = 0,
) -> None:
    """Train autoencoder, then UNet with text encoder, and write a diffusers folder to OUT/model."""
    clock = Clock(time.time())
    try:
        recipe = load_recipe(config).lasting(minutes_scale)
        write_text(out / "recipe.json", recipe.model_dump_json(indent=2))
        if init is not None and not (out / "vae").exists():
            adopt_autoencoder(recipe, init, out)
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    stages: dict[str, tuple[Any, ...]] = {"denoiser": (train_denoiser, recipe, out, clock, init)}
    if not (out / "vae").exists():
        stages["autoencoder"] = (train_autoencoder, recipe, out, clock)
    failed = in_processes(stages, threads)
    if failed:
        typer.echo(f"{failed} failed, see above; the same call goes on from the last checkpoint", err=True)
        raise typer.Exit(1)
    clock.say("done", f"the model is in {out / 'model'}")


def in_processes(stages: Mapping[str, tuple[Any, ...]], threads: int) -> str:
    """Run each (function, *arguments) in a process of its own, all at once. Returns the first that fails, which ends the others, or ""."""
    context = multiprocessing.get_context("spawn")  # a forked process cannot use CUDA
    running = {name: context.Process(target=_stage, args=(threads, *call), name=name) for name, call in stages.items()}
    for process in running.values():
        process.start()
    try:
        while running:
            wait([process.sentinel for process in running.values()])
            for name, process in list(running.items()):
                if process.exitcode is not None:
                    del running[name]
                    if process.exitcode:
                        return name
        return ""
    finally:
        for process in running.values():
            process.terminate()
            process.join()


def _stage(threads: int, run: Callable[..., None], *arguments: Any) -> None:
    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
    if threads:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    run(*arguments, device=device)


if __name__ == "__main__":
    typer.run(train)
