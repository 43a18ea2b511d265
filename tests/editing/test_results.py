"""A result is saved with its edit file inside, or refused in one sentence; its report is plain numbers."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from dragonkit.editing.results import EditResult, Report, StepReport
from dragonkit.edits.file import EditFile
from dragonkit.errors import EditError, ImageError
from dragonkit.imaging.photos import pixel_hash


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
    file = EditFile(model="tiny", image=pixel_hash(image), prompt="an ünlikely 魚", edits=[{"mode": "move", "shift": [1, 2]}])
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


def test_what_is_there_may_be_spared(result: EditResult, tmp_path: Path) -> None:
    result.save(tmp_path / "out.png")
    result.save(tmp_path / "out.png")
    before = (tmp_path / "out.png").read_bytes()
    with pytest.raises(ImageError, match=r"out\.png' is there already"):
        result.save(tmp_path / "out.png", "none", overwrite=False)
    assert (tmp_path / "out.png").read_bytes() == before


def test_metadata_are_one_of_three(result: EditResult, tmp_path: Path) -> None:
    with pytest.raises(EditError, match=r"metadata is 'fulll', but must be .* Did you mean 'full'\?"):
        result.save(tmp_path / "out.png", metadata="fulll")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_notebook_shows_it(result: EditResult) -> None:
    shown = Image.open(io.BytesIO(result._repr_png_()))
    assert np.array_equal(np.asarray(shown), np.asarray(result.image))
    assert repr(result) == "<EditResult 50x37: move with tiny, 50 steps, 0.5 s>"
    large = EditResult(Image.new("RGBA", (3000, 500)), report(), result.edit_file, np.zeros((500, 3000), np.float32))
    assert Image.open(io.BytesIO(large._repr_png_())).size == (1024, 171) and large.image.size == (3000, 500)


def test_a_report_is_json() -> None:
    assert Report.model_validate_json(report().model_dump_json()) == report()
    assert json.loads(report(reconstruction_psnr=None).model_dump_json())["reconstruction_psnr"] is None


def test_a_report_is_frozen() -> None:
    with pytest.raises(ValidationError):
        report().seconds = 3  # type: ignore[misc]


def test_resized_says_whether_the_model_saw_another_size() -> None:
    assert report().resized
    assert not report(working_size=(50, 37)).resized
