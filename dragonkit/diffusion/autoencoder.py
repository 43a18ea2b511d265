"""Pictures to latents and back, by any of diffusers' autoencoders of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dragonkit.errors import ModelError, UnsupportedModelError
from dragonkit.shapes import ImageTensor, Latents

__all__ = ["Autoencoder"]


class Autoencoder:
    """`AutoencoderKL`, `AutoencoderTiny` or one like them, with the scale of latents that its configuration says.

    Attributes:
        pixels_per_latent: how many pixels a side one latent cell covers.

    Raises:
        UnsupportedModelError: it is not for pictures of three colours.
    """

    def __init__(self, vae: Any):
        self.vae, config = vae, vae.config
        widths = config.get("block_out_channels") or config.get("down_block_out_channels")
        if not widths or (config.get("in_channels", 3), config.get("out_channels", 3)) != (3, 3):
            raise UnsupportedModelError(
                f"the autoencoder is a {type(vae).__name__} of {config.get('in_channels')} channels in and "
                f"{config.get('out_channels')} out; give one of RGB pictures such as AutoencoderKL"
            )
        self.pixels_per_latent = 2 ** (len(widths) - 1)

    @property
    def latent_channels(self) -> int:
        return int(self.vae.config.latent_channels)

    def encode(self, images: ImageTensor) -> Latents:
        """Pictures (b, 3, H, W) in [-1, 1] to latents (b, c, h, w) of about unit spread, float32 or better. The same picture always gives
        the same."""

        def compute() -> Tensor:
            encoded = self.vae.encode(images.to(dtype=self.vae.dtype))
            # the posterior's mean, where there is one
            return encoded.latent_dist.mean if hasattr(encoded, "latent_dist") else encoded.latents

        scale, shift = self._scale(raw := _wide(self._finite(compute)))
        return (raw - shift) * scale

    def decode(self, latents: Latents) -> ImageTensor:
        """Latents (b, c, h, w) to pictures (b, 3, H, W) in [-1, 1], float32."""
        scale, shift = self._scale(latents)
        raw = _wide(latents) / scale + shift
        return self._finite(lambda: self.vae.decode(raw.to(self.vae.dtype)).sample).float().clamp(-1, 1)

    def _scale(self, like: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """What latents are multiplied by, after what is taken off them."""
        config = self.vae.config
        scale, shift = config.get("scaling_factor") or 1.0, config.get("shift_factor") or 0.0
        mean, std = (config.get(name) for name in ("latents_mean", "latents_std"))
        if mean is None or std is None:
            return scale, shift
        mean, std = (torch.tensor(values, dtype=torch.float32, device=like.device).reshape(1, -1, 1, 1) for values in (mean, std))
        return scale / std, mean + shift

    def _finite(self, compute: Callable[[], Tensor]) -> Tensor:
        """Some autoencoders overflow float16, and SDXL's says so: these compute in float32."""
        half = self.vae.dtype == torch.float16
        if not (half and self._says_so):
            out = compute()
            if not half or torch.isfinite(out).all():
                return out
        with self._upcast():
            out = compute()
        if not torch.isfinite(out).all():
            raise ModelError("the autoencoder gave NaN or infinite numbers, also in float32; give the model another one, or load it anew")
        return out

    @property
    def _says_so(self) -> bool:
        """Whether its configuration does: where that leaves it out, diffusers fills in yes."""
        config = self.vae.config
        return bool(config.get("force_upcast")) and "force_upcast" not in config.get("_use_default_values", ())

    @contextmanager
    def _upcast(self) -> Iterator[None]:
        nn.Module.to(self.vae, torch.float32)  # diffusers' own `to` warns of layers to be kept in float32, even of none
        try:
            yield
        finally:
            nn.Module.to(self.vae, torch.float16)  # which loses nothing: that is where its numbers came from


def _wide(tensor: Tensor) -> Tensor:
    return tensor if tensor.dtype == torch.float64 else tensor.float()
