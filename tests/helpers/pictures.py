"""`python -m helpers.pictures` draws the pictures of the documentation anew, with the embedded model as it is: `make pictures`."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import dragonkit as dk

IMAGES = Path(__file__).parents[2] / "docs" / "images"


def demo() -> None:
    """Every task once."""
    _sheet(IMAGES / "demo.png")


def emerging() -> None:
    """An edit step by step, as a loop."""
    scene, frames = dk.toybox.scene(seed=7), list[Image.Image]()
    editor = dk.Editor.from_pretrained()
    result = editor.edit(
        scene.image,
        dk.Move(mask=scene.objects[0].mask, shift=(-32, 48)),
        dk.Settings(hold=0.0, hold_vacated=0.0),
        scene.caption,
        on_step=lambda step: frames.append(dk.images.to_image(step.preview(), scene.image.size)),
    )
    _loop([scene.image, *frames, result.image], IMAGES / "emerging.webp")


def continued() -> None:
    """A drag that is taken further and further."""
    scene, editor = dk.toybox.scene(seed=7), dk.Editor.from_pretrained()
    x, y = scene.objects[0].keypoints["mast"]
    frames, picture = [scene.image], scene.image
    for _ in range(6):
        edit = dk.Drag(points=[((x, y), (x, y + 4)), ((88, 60), (88, 60))])
        picture, y = editor.edit(picture, edit, prompt=scene.caption).image, y + 4
        frames.append(picture)
    _loop(frames, IMAGES / "continued.webp")


def _sheet(path: Path, *options: str) -> None:
    """The sheet of `dragonkit demo`."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "dragonkit", "demo", *options, "--out", folder, "--overwrite"], check=True)
        stored(Image.open(Path(folder) / "contact-sheet.png"), path)


def stored(image: Image.Image, path: Path) -> None:
    """As a PNG in its own colours: 256 of them gave a blue car the green of other things, or a smooth ground bands."""
    path.parent.mkdir(exist_ok=True)
    image.convert("RGB").save(path, optimize=True)


def _loop(frames: list[Image.Image], path: Path) -> None:
    """Twice as large, the last frame held."""
    large = [frame.convert("RGB").resize((2 * frame.width, 2 * frame.height), Image.Resampling.NEAREST) for frame in frames]
    assert len({np.asarray(frame).tobytes() for frame in large}) > 2, "nothing moves"
    large[0].save(
        path, save_all=True, append_images=large[1:], duration=[120] * (len(large) - 1) + [1500], loop=0, lossless=False, quality=80
    )


if __name__ == "__main__":
    demo()
    emerging()
    continued()
