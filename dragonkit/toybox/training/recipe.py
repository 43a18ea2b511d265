"""The training recipe as values: one `Recipe` says everything a training run needs, three named ones ship."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AutoencoderRecipe(_Part):
    """`AutoencoderKL` that makes `size / 2**(len(channels) - 1)` latents a side."""

    channels: tuple[int, ...]
    latent_channels: int
    layers: int = 1
    minutes: float = Field(gt=0)
    decoder_minutes: float = Field(default=0, ge=0)
    """Of training for the decoder alone, after the latents are settled."""
    batch: int = 16
    learning_rate: float = 2e-3
    kl_weight: float = 1e-6


class UNetRecipe(_Part):
    """`UNet2DConditionModel` with four down and four up blocks."""

    channels: tuple[int, int, int, int]
    attention: tuple[bool, bool, bool, bool] = (True, True, True, False)
    """Which down blocks have attention, finest first."""
    decoder_attention: tuple[bool, bool, bool, bool] = (False, True, True, True)
    """Which up blocks have attention, coarsest first."""
    heads: int = 1
    layers: int = 1
    groups: int = 16
    minutes: float = Field(gt=0)
    batch: int = 32
    learning_rate: float = 1e-3
    ema: float = 0.999
    caption_dropout: float = 0.1
    prediction_type: Literal["epsilon", "v_prediction"] = "v_prediction"


class TextRecipe(_Part):
    width: int = 64
    layers: int = 2
    length: int = 40


class Recipe(_Part):
    """Everything a training run needs. `minutes` are of training; each stage ends with a learning rate of zero when they are over."""

    name: str
    size: int
    seed: int = 0
    autoencoder: AutoencoderRecipe
    unet: UNetRecipe
    text: TextRecipe = TextRecipe()
    pool: int = 0
    """How many scenes to draw before they repeat; 0 renders fresh ones for ever (on a GPU that costs nothing)."""
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = False
    compile: bool = False

    def lasting(self, factor: float) -> Recipe:
        """This recipe with every stage's minutes multiplied."""
        first, unet = self.autoencoder, self.unet
        minutes = {"minutes": first.minutes * factor, "decoder_minutes": first.decoder_minutes * factor}
        parts = {"autoencoder": first.model_copy(update=minutes), "unet": unet.model_copy(update={"minutes": unet.minutes * factor})}
        return self.model_copy(update=parts)


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            name="cpu64",
            size=64,
            autoencoder=AutoencoderRecipe(
                channels=(16, 32, 64), latent_channels=8, minutes=22, decoder_minutes=45, batch=8, learning_rate=2e-3
            ),
            unet=UNetRecipe(channels=(64, 96, 128, 128), attention=(False, True, True, False), minutes=132, batch=16, learning_rate=1e-3),
            pool=48_000,
            channels_last=True,
        ),
        Recipe(  # another model to compare with: other size, latents and prediction
            name="cpu32",
            size=32,
            seed=5,
            autoencoder=AutoencoderRecipe(channels=(16, 32), latent_channels=4, minutes=5, batch=16, learning_rate=2e-3),
            unet=UNetRecipe(
                channels=(32, 48, 64, 96),
                attention=(False, True, True, False),
                groups=8,
                minutes=18,
                batch=32,
                learning_rate=1e-3,
                prediction_type="epsilon",
            ),
            pool=6_000,
        ),
        Recipe(
            name="gpu128",
            size=128,
            autoencoder=AutoencoderRecipe(channels=(64, 96, 128), latent_channels=4, minutes=9, batch=64, learning_rate=1e-3),
            unet=UNetRecipe(channels=(96, 128, 176, 192), heads=4, minutes=15, batch=256, learning_rate=6e-4, ema=0.9995),
            text=TextRecipe(width=128, layers=3),
            precision="bfloat16",
            channels_last=True,
            compile=True,
        ),
    )
}


def load_recipe(name_or_path: str) -> Recipe:
    """A named recipe, or one from a JSON file.

    Raises:
        ValueError: neither a known name nor a readable recipe file.
    """
    if name_or_path in RECIPES:
        return RECIPES[name_or_path]
    path = Path(name_or_path)
    if not path.is_file():
        raise ValueError(f"no recipe or file is called {name_or_path!r}; give a JSON file or one of {', '.join(RECIPES)}")
    try:
        return Recipe.model_validate_json(path.read_text())
    except ValidationError as error:
        raise ValueError(f"{path} is not a training recipe: {error}") from error
