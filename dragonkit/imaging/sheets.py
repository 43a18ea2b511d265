"""Pictures beside each other, to be looked at."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFont

from dragonkit.errors import ImageError
from dragonkit.imaging.images import ImageSource, load_image

__all__ = ["side_by_side"]


def side_by_side(side: int = 256, /, **pictures: ImageSource) -> Image.Image:
    """Pictures in a row under their names: `dk.side_by_side(source=scene.image, result=result.image)`.

    Args:
        side: of the square that each is fitted into, in pixels; small pictures are enlarged without smoothing.
        pictures: paths, PIL images, arrays or tensors; underscores in names become spaces.

    Raises:
        ImageError: there is no picture, or one cannot be read.

    Example:
        >>> picture = Image.new("RGB", (32, 32))
        >>> side_by_side(64, before=picture, after=picture).size
        (128, 92)
    """
    if not pictures:
        raise ImageError("side_by_side needs pictures by name; call it as side_by_side(source=..., result=...).")
    top, font = 28, ImageFont.load_default(16)
    sheet = Image.new("RGB", (side * len(pictures), side + top), "white")
    draw = ImageDraw.Draw(sheet)
    for column, (name, picture) in enumerate(pictures.items()):
        image = load_image(picture)
        scale = side / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        shown = image.resize(size, Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS)
        sheet.paste(shown, (column * side + (side - size[0]) // 2, top + (side - size[1]) // 2))
        draw.text((column * side + side / 2, top / 2), name.replace("_", " "), fill="black", font=font, anchor="mm")
    return sheet
