"""`dragonkit demo`: move objects in scenes whose right answer is known, and say in figures and pictures how well that went."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from dragonkit.editor import Editor
from dragonkit.images import to_image, to_tensor
from dragonkit.modes.move import Move
from dragonkit.toybox.figures import Figures, copy_and_inpaint, judge
from dragonkit.toybox.tasks import Task, move_task

FIRST_SEED = 1_000_000_000_000
"""Far above every seed the embedded model was trained on."""
ROWS = ("untouched source", "copy + cv2.inpaint", "dragonkit", "autoencoder of the answer")


def demo(out: Path, seed: int | None = None, scenes: int = 10, model: str = "toybox") -> dict[str, list[Figures]]:
    """Run `scenes` moves, write pictures to `out`, print the table.

    Args:
        out: gets source, mask, result and answer of the first scene, and `contact-sheet.png` of all of them.
        seed: of the first scene; scenes never trained on when left out.
        model: as in `Editor.from_pretrained`.

    Returns:
        The figures of every scene, by row of the table.
    """
    console, begin = Console(), FIRST_SEED if seed is None else seed
    out.mkdir(parents=True, exist_ok=True)
    figures: dict[str, list[Figures]] = {row: [] for row in ROWS}
    strips, kept = [], 0
    with Progress(console=Console(stderr=True), transient=True) as progress:
        loading = progress.add_task("loading the model", total=None)
        editor = Editor.from_pretrained(model)
        progress.remove_task(loading)
        bar = progress.add_task("moving objects", total=scenes)
        for number in range(scenes):
            task = move_task(begin + number, editor.backbone.model_size)
            pictures, bit_for_bit = _pictures(editor, task, lambda step: progress.advance(bar, 1 / step.steps))
            kept += bit_for_bit
            for row in ROWS:
                figures[row].append(judge(task, pictures[row]))
            strips.append([task.scene.image, _outlined(task), pictures["dragonkit"], task.answer.image, pictures["copy + cv2.inpaint"]])
            if number == 0:
                for name, picture in (("source", task.scene.image), ("result", pictures["dragonkit"]), ("answer", task.answer.image)):
                    picture.save(out / f"{name}.png")
                Image.fromarray(task.source).save(out / "mask.png")
    contact_sheet(strips, ("source", "the wish", "dragonkit", "known answer", "copy + inpaint")).save(out / "contact-sheet.png")
    console.print(_table(figures, scenes))
    console.print(f"beyond the edit region, dragonkit's result is the source bit for bit in {kept} of {scenes} scenes")
    console.print(f"pictures: {out / 'contact-sheet.png'}, and source, mask, result and answer of the first scene beside it")
    return figures


def _pictures(editor: Editor, task: Task, on_step) -> tuple[dict[str, Image.Image], bool]:
    """One picture for every row of the table, and whether dragonkit's left everything beyond its edit region bit for bit."""
    backbone, image = editor.backbone, task.scene.image
    source = editor.invert(image, task.scene.caption, check=False)  # the figures say more
    ((_, wish),) = task.edits
    result = editor.edit(source, Move(**wish), on_step=on_step)
    ceiling = to_image(backbone.decode(backbone.encode(to_tensor(task.answer.image))))
    beyond = result.region == 0
    kept = np.array_equal(np.asarray(result.image)[beyond], np.asarray(image)[beyond])
    copied = copy_and_inpaint(task)
    assert copied is not None  # moves can be copied
    return dict(zip(ROWS, (image, copied, result.image, ceiling), strict=True)), kept


def _table(figures: dict[str, list[Figures]], scenes: int) -> Table:
    table = Table(title=f"{scenes} scenes, one object moved in each: mean PSNR in dB to the known answer")
    for column in ("", "target", "vacated", "elsewhere", "arrived", "old place empty"):
        table.add_column(column, justify="right" if column else "left")
    for row, found in figures.items():
        means = [f"{fmean(getattr(one, region) for one in found):.1f}" for region in ("target", "vacated", "elsewhere")]
        counts = [f"{sum(getattr(one, name) for one in found)}/{len(found)}" for name in ("found", "gone")]
        table.add_row(row, *means, *counts, style="bold" if row == "dragonkit" else None)
    return table


def _outlined(task: Task) -> Image.Image:
    """The source with the object's outline and an arrow to where it shall go, drawn at four times the size."""
    size, zoom = task.scene.size, 4
    picture = task.scene.image.resize((size * zoom, size * zoom), Image.Resampling.NEAREST)
    mask = np.asarray(Image.fromarray(task.source).resize(picture.size, Image.Resampling.NEAREST))
    edge = mask & ~(np.roll(mask, 2, 0) & np.roll(mask, -2, 0) & np.roll(mask, 2, 1) & np.roll(mask, -2, 1))
    pixels = np.asarray(picture).copy()
    pixels[edge] = (255, 255, 255)
    picture = Image.fromarray(pixels)
    x, y = (part * zoom for part in task.scene.objects[task.index].center)
    dx, dy = task.edits[0][1]["shift"]
    end = (x + dx * zoom, y + dy * zoom)
    draw = ImageDraw.Draw(picture)
    for width, color in ((9, "black"), (4, "white")):
        draw.line([(x, y), end], fill=color, width=width)
        draw.ellipse([end[0] - width, end[1] - width, end[0] + width, end[1] + width], fill=color)
    return picture


def contact_sheet(rows: list[list[Image.Image]], titles: tuple[str, ...], side: int = 192, gap: int = 6) -> Image.Image:
    """Pictures in rows under column titles, each enlarged to `side` pixels."""
    font, top = ImageFont.load_default(18), 30
    sheet = Image.new("RGB", (len(titles) * (side + gap) + gap, top + len(rows) * (side + gap)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(titles):
        left = gap + column * (side + gap)
        draw.text((left + side / 2, top / 2), title, fill="black", font=font, anchor="mm")
        for row, pictures in enumerate(rows):
            # nearest keeps the pixels of small pictures honest
            sheet.paste(pictures[column].resize((side, side), Image.Resampling.NEAREST), (left, top + row * (side + gap)))
    return sheet
