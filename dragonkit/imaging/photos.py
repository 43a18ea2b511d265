"""Photos: pictures in their own kind, grey or colour, with or without transparency, of 8 or 16 bits, which an edit gives back.

The model sees 8-bit RGB, transparency flattened onto white. What it made goes back into the photo's own samples.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import IO, Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from dragonkit.imaging.deep import write_deep_png
from dragonkit.imaging.images import load_image

__all__ = ["Photo", "pixel_hash"]


@dataclass(frozen=True, eq=False)
class Photo:
    """A picture in its own kind.

    Attributes:
        samples: uint8 or uint16, (H, W) greys or (H, W, channels): 2 are grey and alpha, 3 RGB, 4 RGB and alpha.
        rgb: uint8 (H, W, 3), as `load_image` gives it: what the model sees.
        profile: the ICC colour profile of the samples.
        density: dots per inch, (horizontal, vertical).
        notes: sentences on what of the file cannot be kept.
    """

    samples: np.ndarray
    rgb: np.ndarray
    profile: bytes | None = None
    density: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """(width, height)."""
        return self.rgb.shape[1], self.rgb.shape[0]

    @property
    def is_grey(self) -> bool:
        return self.samples.ndim == 2 or self.samples.shape[2] == 2

    @property
    def is_deep(self) -> bool:
        """Whether samples have 16 bits."""
        return self.samples.dtype == np.uint16

    @property
    def is_plain(self) -> bool:
        """Whether `rgb` is all there is to the samples."""
        return self.samples is self.rgb

    @cached_property
    def alpha(self) -> np.ndarray | None:
        """float32 (H, W) in [0, 1]; None for a photo without transparency."""
        if self.samples.ndim == 2 or self.samples.shape[2] == 3:
            return None
        return self.samples[..., -1] / np.float32(np.iinfo(self.samples.dtype).max)

    @cached_property
    def picture(self) -> Image.Image:
        """`rgb` as a PIL image, with the profile in its `info` where that is for RGB."""
        image = Image.fromarray(self.rgb)
        image.info.update(_kept(icc_profile=None if self.is_grey else self.profile))
        return image

    @cached_property
    def image(self) -> Image.Image:
        """As a PIL image with 8 bits: L, LA, RGB or RGBA, with profile and density in its `info`."""
        image = Image.fromarray(_eight_bits(self.samples))
        image.info.update(_kept(icc_profile=self.profile, dpi=self.density))
        return image

    @cached_property
    def hash(self) -> str:
        """`pixel_hash` of `rgb`."""
        return pixel_hash(self.rgb)

    @cached_property
    def kind(self) -> str:
        """Tells apart photos of the same `rgb` that differ in anything else; "" for a plain one."""
        said = (self.profile, self.density, self.notes)
        if self.is_plain and said == (None, None, ()):
            return ""
        rest = b"" if self.is_plain else np.ascontiguousarray(self.samples).tobytes()
        return hashlib.sha256(repr((self.samples.dtype, self.samples.shape, said)).encode() + rest).hexdigest()

    def edited(self, rgb: np.ndarray, alpha: np.ndarray | None = None) -> Photo:
        """The photo with another look, in its own kind. A pixel whose colour and transparency stay keeps its samples, bit for bit.

        Where one changes, its colour is what gives `rgb` over white, a grey photo's grey the brightness of that, and 16 bits are the 8
        bits, scaled.

        Args:
            rgb: uint8 (H, W, 3).
            alpha: float32 (H, W) in [0, 1]; the photo's own when left out.
        """
        if self.is_plain:
            return replace(self, samples=rgb, rgb=rgb)
        changed = np.any(rgb != self.rgb, axis=2)
        if self.alpha is not None and alpha is not None:
            changed |= alpha != self.alpha
        colors = rgb[changed].astype(np.float32)
        samples, peak = self.samples.copy(), np.iinfo(self.samples.dtype).max
        if self.alpha is not None:
            share = (self.alpha if alpha is None else alpha)[changed][:, None]
            colors = np.clip((colors - 255 * (1 - share)) / np.maximum(share, 1e-3), 0, 255)
        if self.is_grey:
            colors = colors @ np.array([[0.299], [0.587], [0.114]], np.float32)
        new = np.rint(colors) * (peak / 255)
        if self.alpha is not None:
            new = np.concatenate([new, np.rint(share * peak)], axis=1)
        samples[changed] = new[:, 0] if samples.ndim == 2 else new
        return _photo(samples, self.profile, self.density)

    def write(self, file: IO[bytes], texts: Mapping[str, str] | None = None) -> None:
        """Write a PNG with as many bits as there are, with profile, density and texts."""
        info = PngInfo()
        for key, text in (texts or {}).items():
            info.add_itxt(key, text)
        if not self.is_deep:
            self.image.save(file, format="PNG", pnginfo=info, **_kept(dpi=self.density))
            return
        shell = io.BytesIO()  # PIL knows how to write the rest
        Image.new("L", (1, 1)).save(shell, format="PNG", **_kept(icc_profile=self.profile, dpi=self.density))
        shell.seek(8)
        chunks = []
        while header := shell.read(8):
            chunks.append((header[4:], shell.read(int.from_bytes(header[:4], "big"))))
            shell.read(4)
        kept = [chunk for chunk in chunks if chunk[0] in (b"iCCP", b"pHYs")]
        write_deep_png(file, self.samples, [*kept, *((chunk[0], chunk[1]) for chunk in info.chunks)])

    def png(self) -> bytes:
        """The bytes of a PNG."""
        buffer = io.BytesIO()
        self.write(buffer)
        return buffer.getvalue()

    def __repr__(self) -> str:
        width, height = self.size
        kind = f"{'grey' if self.is_grey else 'RGB'}{'' if self.alpha is None else ' with alpha'}"
        return f"<Photo {width}x{height}, {kind}, {16 if self.is_deep else 8} bits>"


def pixel_hash(rgb: np.ndarray | Image.Image) -> str:
    """What a picture is called where its pixels are not kept: "sha256:" of "WIDTHxHEIGHT RGB ", then its 8-bit RGB bytes, row by row."""
    pixels = np.ascontiguousarray(rgb)
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{width}x{height} RGB ".encode())
    digest.update(pixels.data)
    return f"sha256:{digest.hexdigest()}"


def _photo(samples: np.ndarray, profile: bytes | None, density: tuple[float, float] | None) -> Photo:
    rgb = np.asarray(load_image(Image.fromarray(_eight_bits(samples))))
    return Photo(samples, rgb, profile, density)


def _eight_bits(samples: np.ndarray) -> np.ndarray:
    """uint8 of 16 bits as PIL reads them, so that a picture is the same whether it was saved or not: greys rounded, colours cut off."""
    if samples.dtype == np.uint8:
        return samples
    return np.rint(samples / np.float32(257)).astype(np.uint8) if samples.ndim == 2 else (samples >> 8).astype(np.uint8)


def _kept(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
