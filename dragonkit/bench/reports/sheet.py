"""Contact sheets: what was asked, drawn onto the picture, and rows of pictures under titles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from dragonkit.bench.tasks.parts import Task
from dragonkit.imaging.masks import center_of

__all__ = ["contact_sheet", "wish"]

ZOOM = 4
"""Wishes are drawn at so many times the scene's size."""

Arrow = tuple[tuple[float, float], tuple[float, float]]


def wish(task: Task) -> Image.Image:
    """The source with the outline of every mask, arrows for what shall go where, and the reference in a corner where there is one."""
    size = task.scene.size * ZOOM
    picture = task.scene.image.resize((size, size), Image.Resampling.NEAREST)
    for _, fields in task.edits:
        if "mask" in fields:
            picture = _outlined(picture, fields["mask"])
        if "reference" in fields:
            inset = fields["reference"].resize((size // 3, size // 3), Image.Resampling.BOX)
            inset = _outlined(inset, fields["reference_mask"], width=1)
            picture.paste(inset, (size - inset.width, 0))
    draw = ImageDraw.Draw(picture)
    for _, fields in task.edits:
        for start, end in _arrows(fields):
            (x0, y0), (x1, y1) = ((x * ZOOM, y * ZOOM) for x, y in (start, end))
            for width, color in ((9, "black"), (4, "white")):
                draw.line([(x0, y0), (x1, y1)], fill=color, width=width)
                draw.ellipse([x1 - width, y1 - width, x1 + width, y1 + width], fill=color)
    return picture


def contact_sheet(rows: Iterable[tuple[str, Sequence[Image.Image]]], titles: Sequence[str], side: int = 144, gap: int = 6) -> Image.Image:
    """Named rows of pictures under column titles, each picture enlarged to `side` pixels."""
    rows, font = list(rows), ImageFont.load_default(16)
    top, left = 28, 100
    sheet = Image.new("RGB", (left + len(titles) * (side + gap) + gap, top + len(rows) * (side + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        draw.text((left + column * (side + gap) + side / 2, top / 2), title, fill="black", font=font, anchor="mm")
    for row, (name, pictures) in enumerate(rows):
        y = top + row * (side + gap)
        draw.text((left - gap, y + side / 2), name, fill="black", font=font, anchor="rm")
        for column, picture in enumerate(pictures):
            # nearest keeps the pixels of small pictures honest
            sheet.paste(picture.resize((side, side), Image.Resampling.NEAREST), (left + column * (side + gap), y))
    return sheet


def _outlined(picture: Image.Image, mask: np.ndarray, width: int = 2) -> Image.Image:
    inside = np.asarray(Image.fromarray(mask).resize(picture.size, Image.Resampling.NEAREST))
    edge = inside & ~np.logical_and.reduce([np.roll(inside, step, axis) for axis in (0, 1) for step in (-width, width)])
    pixels = np.asarray(picture).copy()
    pixels[edge] = (255, 255, 255)
    return Image.fromarray(pixels)


def _arrows(fields: dict) -> Iterable[Arrow]:
    if "points" in fields:
        return fields["points"]
    if "shift" in fields:
        x, y = center_of(fields["mask"] if "mask" in fields else fields["reference_mask"])
        return [((x, y), (x + fields["shift"][0], y + fields["shift"][1]))]
    return []
