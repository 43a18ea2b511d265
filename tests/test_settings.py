"""Settings: defaults, ranges, and what is normalised."""

from __future__ import annotations

import pytest

from dragonkit.errors import EditError
from dragonkit.settings import Settings


def test_defaults() -> None:
    settings = Settings()
    assert (settings.steps, settings.guidance_scale, settings.energy_scale, settings.guided) == (50, 1.0, 0.03, (0.0, 0.6))
    assert (settings.memory, settings.keep, settings.hold, settings.layers) == ("bank", "pixels", 0.6, (1, 2))
    assert Settings(**settings.model_dump()) == settings
    assert hash(Settings()) == hash(settings)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("steps", 0, "from 1 to 1000"),
        ("guidance_scale", -1, "from 0 to 100"),
        ("energy_scale", 11, "from 0 to 10"),
        ("energy_scale", float("inf"), "from 0 to 10"),
        ("seed", -1, "from 0 to"),
        ("guided", (0, 2), "from 0 to 1"),
        ("guided", (0.6, 0.2), "start must not be after the stop"),
        ("every", 0, "from 1"),
        ("memory", "disk", "'bank' or 'recompute'"),
        ("keep", "nothing", "'pixels' or 'latents' or 'energy'"),
        ("hold", 1.5, "from 0 to 1"),
        ("layers", (), "at least 1"),
        ("layers", (1, 4), "from 0 to 3"),
        ("layers", (1, 1), "only once"),
        ("inversion_iterations", 0, "from 1 to 50"),
    ],
)
def test_values_out_of_range_are_refused_by_name(field: str, value: object, allowed: str) -> None:
    with pytest.raises(EditError) as caught:
        Settings(**{field: value})
    assert str(caught.value).startswith(f"Settings.{field}")
    assert allowed in str(caught.value)


def test_layers_are_sorted() -> None:
    assert Settings(layers=(2, 1)) == Settings(layers=(1, 2))


def test_every_field_is_described() -> None:
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
