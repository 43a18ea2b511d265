"""A result is saved with its edit file inside, or refused in one sentence; its report is plain numbers."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from dragonkit.editing.results import EditResult, Report, StepReport
from dragonkit.edits.file import EditFile
from dragonkit.edits.values import image_to_text
from dragonkit.errors import ImageError


def report(**changes: object) -> Report:
    values = {
        "model": "tiny",
        "modes": ("move",),
        "prompt": "a fish",
        "image_size": (50, 37),
        "working_size": (32, 32),
        "steps": (StepReport(index=0, time=981, energies={"move.edit": 1.5}), StepReport(index=1, time=481, energies={})),
        "reconstruction_psnr": 20.0,
        "autoencoder_psnr": 30.0,
        "network_evaluations": 10,
        "seconds": 0.5,
    }
    return Report(**{**values, **changes})


@pytest.fixture
def result() -> EditResult:
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (37, 50, 3), dtype=np.uint8))
    file = EditFile(model="tiny", image=image_to_text(image), prompt="an ünlikely 魚", edits=[{"mode": "move", "shift": [1, 2]}])
    return EditResult(image, report(), file, np.zeros((image.height, image.width), np.float32))


def test_a_saved_picture_carries_its_edit_file(result: EditResult, tmp_path: Path) -> None:
    path = result.save(tmp_path / "out.png")
    assert path == tmp_path / "out.png"
    with Image.open(path) as saved:
        assert saved.size == (50, 37)
        assert np.array_equal(np.asarray(saved), np.asarray(result.image))
    assert EditFile.from_png(path) == result.edit_file
    assert EditFile.load(path).prompt == "an ünlikely 魚"


def test_folders_are_made_and_text_will_do_for_a_path(result: EditResult, tmp_path: Path) -> None:
    assert result.save(str(tmp_path / "a" / "b" / "OUT.PNG")).is_file()


@pytest.mark.parametrize("name", ["out.jpg", "out", "out.png.webp"])
def test_other_formats_are_refused(result: EditResult, tmp_path: Path, name: str) -> None:
    with pytest.raises(ImageError, match=rf"saved as PNG.* '{re.escape(name)}'; use result\.image\.save"):
        result.save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_refused(result: EditResult, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    (tmp_path / "folder.png").mkdir()
    for place in (tmp_path / "file" / "out.png", tmp_path / "folder.png"):
        with pytest.raises(ImageError, match=f"could not be written to {re.escape(str(place))}: "):
            result.save(place)


def test_a_report_is_json() -> None:
    assert Report.model_validate_json(report().model_dump_json()) == report()
    assert json.loads(report(reconstruction_psnr=None).model_dump_json())["reconstruction_psnr"] is None


def test_a_report_is_frozen() -> None:
    with pytest.raises(ValidationError):
        report().seconds = 3  # type: ignore[misc]


def test_resized_says_whether_the_model_saw_another_size() -> None:
    assert report().resized
    assert not report(working_size=(50, 37)).resized
