"""diffusers' schedulers and what becomes of their noise levels: `python -m helpers.schedulers` writes the table of docs/checkpoints.md."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import diffusers

from dragonkit.diffusion.schedule import DDIM
from dragonkit.errors import UnsupportedModelError

PAGE = Path(__file__).parents[2] / "docs" / "checkpoints.md"
BEGIN, END = "<!-- schedulers -->", "<!-- end of schedulers -->"
STABLE_DIFFUSION = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
OPTIONAL = ("LMSDiscreteScheduler", "DPMSolverSDEScheduler", "CosineDPMSolverMultistepScheduler")
"""They need packages that are optional there."""


def classes() -> dict[str, type]:
    """All that this diffusers has, by name, but for `OPTIONAL`."""
    found = {name: getattr(diffusers, name) for name in dir(diffusers) if name.endswith("Scheduler")}
    return {name: kind for name, kind in found.items() if inspect.isclass(kind) and name not in OPTIONAL and not name.startswith("Flax")}


def build(kind: Any) -> Any:
    """With Stable Diffusion's noise levels, as far as it takes them. None where it is not for pictures' latents at all."""
    takes = inspect.signature(kind.__init__).parameters
    try:
        return kind(**{name: value for name, value in STABLE_DIFFUSION.items() if name in takes})
    except TypeError:  # it needs arguments of another world
        return None
    except ValueError:  # it has noise levels of its own
        return kind()


def verdict(scheduler: Any) -> str:
    """ "read", or why not."""
    if scheduler is None:
        return "not for latents"
    try:
        DDIM.of(scheduler, 10)
    except UnsupportedModelError as error:
        return "refused: no `alphas_cumprod`" if "no alphas_cumprod" in str(error) else "refused"
    prediction = scheduler.config.get("prediction_type", "epsilon")
    return "read" if prediction in ("epsilon", "v_prediction") else f"refused: predicts {prediction}"


def table() -> str:
    lines = ["| scheduler | noise levels | steps, where it does not say |", "|---|---|---|"]
    for name, kind in sorted(classes().items()):
        scheduler = build(kind)
        what = verdict(scheduler)
        spacing = scheduler.config.get("timestep_spacing", "leading") if what == "read" else ""
        lines.append(f"| `{name}` | {what} | {spacing} |")
    return "\n".join(lines)


def page() -> str:
    """The page with a new table."""
    before, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n\n{table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
