"""A job becomes its edit file: pictures and masks from outside put in, selectors asked, paths of strangers not followed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dragonkit import toybox
from dragonkit.batching.jobs import Job, Select
from dragonkit.batching.opening import opened, selected
from dragonkit.edits.values import mask_to_json
from dragonkit.errors import DragonkitError, EditError, EditFileError
from dragonkit.imaging.mask_files import EncodedMask
from dragonkit.imaging.masks import load_mask
from dragonkit.plugins.registry import PluginRegistry
from dragonkit.plugins.selector import Click, Selector
from dragonkit.plugins.specs import hookimpl

EDIT = {"mode": "move", "mask": {"png": ""}, "shift": [1, 2]}
VALUES = {"model": "toybox", "prompt": "a.png", "edits": [EDIT, {"mode": "drag", "mask": "old.png", "points": []}]}


@pytest.fixture
def registry() -> PluginRegistry:
    return PluginRegistry(discover=False)


def test_the_picture_and_its_mask_take_the_place_of_the_edit_files(tmp_path: Path, registry: PluginRegistry) -> None:
    mask = np.zeros((20, 30), bool)
    mask[5:9, 3:12] = True
    Image.fromarray(mask).save(tmp_path / "m.png")
    Image.new("RGB", (30, 20), "red").save(tmp_path / "p.jpg")
    job = Job("j", VALUES, str(tmp_path / "edits"), picture=str(tmp_path / "p.jpg"), mask=str(tmp_path / "m.png"))
    with opened(job, registry) as (file, unsure):
        assert (file.photo().size, file.seed, file.prompt, unsure) == ((30, 20), None, "a.png", "")
        assert file.missing() == {}
        for edit in file.edits:
            assert np.array_equal(load_mask(EncodedMask(edit["mask"]["png"]), (30, 20)), mask)


def test_paths_in_the_edit_file_are_as_little_trusted_as_ever(tmp_path: Path, registry: PluginRegistry) -> None:
    inside = tmp_path / "edits"
    inside.mkdir()
    for path in (tmp_path / "p.png", tmp_path / "secret.png", inside / "own.png"):
        Image.new("RGB", (30, 20), "red").save(path)
    mask = mask_to_json(np.eye(20, 30, dtype=bool))
    edit = {"mode": "appearance", "mask": mask, "reference_mask": mask}
    for named, trust, followed in (("own.png", False, True), ("../secret.png", False, False), ("../secret.png", True, True)):
        values = {"model": "toybox", "image": "own.png", "edits": [{**edit, "reference": named}]}
        with opened(Job("j", values, str(inside), trust_paths=trust, picture=str(tmp_path / "p.png")), registry) as (file, _):
            if followed:
                registry.edits_from(file)
            else:
                with pytest.raises(EditFileError, match="outside"):
                    registry.edits_from(file)


def test_a_selector_finds_the_object_and_says_when_it_is_unsure(tmp_path: Path, registry: PluginRegistry) -> None:
    pytest.importorskip("cv2")
    scene = toybox.scene(seed=7)
    mask = scene.objects[0].mask
    y, x = (axis.mean() / side for axis, side in zip(np.nonzero(mask), mask.shape, strict=True))
    found, unsure = selected(registry, scene.image, Select("object", (x, y)))
    assert (found & mask).sum() / (found | mask).sum() > 0.8
    assert unsure == ""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert selected(registry, noise, Select("object"))[1] != ""
    scene.image.save(tmp_path / "p.png")
    with opened(Job("j", VALUES, str(tmp_path), picture=str(tmp_path / "p.png"), select=Select("object", (x, y))), registry) as (file, _):
        assert np.array_equal(load_mask(EncodedMask(file.edits[0]["mask"]["png"]), scene.image.size), found)


@pytest.mark.parametrize(("side", "said"), [(2, "0.1%"), (30, ""), (60, "87.9%")])
def test_nearly_nothing_and_nearly_all_are_worth_a_look(registry: PluginRegistry, side: int, said: str) -> None:
    def select(image: Image.Image, clicks: list[Click]) -> np.ndarray:
        mask = np.zeros((64, 64), bool)
        mask[:side, :side] = True
        return mask

    class Corner:
        @hookimpl
        def dragonkit_selectors(self) -> list[Selector]:
            return [Selector("corner", "a corner", "clicks", select)]

    registry.register(Corner(), "corner")
    unsure = selected(registry, Image.new("RGB", (64, 64)), Select("corner"))[1]
    assert said in unsure
    assert bool(said) == bool(unsure)


@pytest.mark.parametrize(
    ("change", "phrase"),
    [
        ({"select": Select("objekt")}, "Did you mean 'object'"),
        ({"select": Select("lasso")}, "can only click"),
        ({"mask": "no.png"}, "does not exist"),
        ({"picture": "no.png"}, "does not exist"),
        ({"picture": "memory://nowhere/p.png"}, "cannot be read"),
        ({"broken": "it is broken"}, "it is broken"),
        ({"values": {**VALUES, "edits": [{"mode": "fly"}]}, "select": Select("wand")}, "no edit that takes one"),
        ({"picture": "", "values": {**VALUES, "image": "s3://bucket/a.png"}}, "--trust-paths"),
    ],
)
def test_what_cannot_be_had_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, registry: PluginRegistry, change: dict[str, Any], phrase: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (30, 20), "red").save("p.png")
    job = Job(**{"name": "j", "values": VALUES, "picture": "p.png", **change})
    with pytest.raises((DragonkitError, EditError), match=phrase), opened(job, registry):
        pass


def test_an_edit_file_without_a_picture_of_its_own_is_left_as_it_is(tmp_path: Path, registry: PluginRegistry) -> None:
    values = json.loads(json.dumps({"model": "toybox", "seed": 3, "prompt": "a fish", "edits": [EDIT]}))
    with opened(Job("j", values, str(tmp_path)), registry) as (file, _):
        assert (file.seed, file.edits) == (3, [EDIT])
