"""The training recipe as values: one `Recipe` says everything a training run needs, three named ones ship."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class AutoencoderRecipe(_Part):
    """`AutoencoderKL` that makes `size / 2**(len(channels) - 1)` latents a side."""

    channels: tuple[int, ...]
    latent_channels: int
    layers: int = 1
    minutes: float = Field(gt=0)
    """From the start of the run until it is trained."""
    batch: int = 16
    learning_rate: float = 2e-3
    ema: float = 0.998
    kl_weight: float = 3e-4
    pool: int = 20_000
    """Scenes at hand at a time; new ones come in as training goes on."""


class UNetRecipe(_Part):
    """`UNet2DConditionModel` with four down and four up blocks."""

    channels: tuple[int, int, int, int]
    attention: tuple[bool, bool, bool, bool] = (False, True, True, False)
    """Which down blocks have attention, finest first."""
    decoder_attention: tuple[bool, bool, bool, bool] = (False, True, True, True)
    """Which up blocks have attention, coarsest first."""
    heads: int = 1
    layers: int = 1
    groups: int = 16
    batch: int = 32
    learning_rate: float = 1e-3
    ema: float = 0.999
    caption_dropout: float = 0.1
    prediction_type: Literal["epsilon", "v_prediction"] = "v_prediction"
    pool: int = 20_000
    """Scenes to draw while the autoencoder is trained, at most."""


class TextRecipe(_Part):
    width: int = 64
    layers: int = 2
    length: int = 40


class Recipe(_Part):
    """Everything a training run needs. The clock runs from the start of the run: what compiling and drawing take is lost to training."""

    name: str
    size: int
    seed: int = 0
    minutes: float = Field(gt=0)
    """From the start of the run until the model is written."""
    autoencoder: AutoencoderRecipe
    unet: UNetRecipe
    text: TextRecipe = TextRecipe()
    precision: Literal["float32", "bfloat16"] = "float32"
    channels_last: bool = True
    compile: bool = False

    @model_validator(mode="after")
    def _time_is_left(self) -> Recipe:
        if self.autoencoder.minutes >= self.minutes:
            raise ValueError(
                f"the autoencoder takes {self.autoencoder.minutes:g} of {self.minutes:g} minutes, which leaves none for the UNet"
            )
        return self

    @property
    def cells(self) -> int:
        """Latents a side."""
        return self.size // 2 ** (len(self.autoencoder.channels) - 1)

    def lasting(self, factor: float) -> Recipe:
        """This recipe with all minutes multiplied."""
        first = self.autoencoder.model_copy(update={"minutes": self.autoencoder.minutes * factor})
        return self.model_copy(update={"autoencoder": first, "minutes": self.minutes * factor})


RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(  # the embedded model's, for one H100
            name="gpu128",
            size=128,
            minutes=9,
            autoencoder=AutoencoderRecipe(channels=(32, 64, 96), latent_channels=4, minutes=5 / 3, batch=64),
            unet=UNetRecipe(channels=(64, 96, 160, 224), heads=4, batch=256, ema=0.9995, pool=260_096),
            text=TextRecipe(width=128, layers=3),
            precision="bfloat16",
            compile=True,
        ),
        Recipe(  # another model to compare with, for two CPU cores: other size, latents and prediction
            name="cpu32",
            size=32,
            seed=5,
            minutes=24,
            autoencoder=AutoencoderRecipe(channels=(16, 32), latent_channels=4, minutes=5, pool=6_000),
            unet=UNetRecipe(channels=(32, 48, 64, 96), groups=8, prediction_type="epsilon", pool=6_016),
        ),
        Recipe(  # nothing is learnt, everything is run: for tests, and to see whether a machine can train at all
            name="tiny",
            size=32,
            minutes=0.6,
            autoencoder=AutoencoderRecipe(channels=(8, 16, 16), latent_channels=4, minutes=0.3, batch=4, pool=16),
            unet=UNetRecipe(
                channels=(8, 16, 16, 16),
                attention=(False, False, True, False),  # one block is enough to tell encoder from decoder
                groups=2,  # the coarsest level is a single cell: two channels a group would be normalised to plus and minus one
                heads=2,
                batch=4,
                pool=16,
            ),
            text=TextRecipe(width=16, layers=1, length=16),
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
