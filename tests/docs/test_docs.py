"""The documentation holds: links lead somewhere, names and options exist, tables say what the code says, and examples run."""

from __future__ import annotations

import importlib
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import yaml
from helpers import commands as command_page
from helpers.pages import DOCS, LINKED, PAGES, ROOT, Block, blocks_of, execute, prose_of, table_under
from pydantic import BaseModel

import dragonkit as dk
from dragonkit import toybox
from dragonkit.edits.settings import PRESETS
from dragonkit.plugins.registry import get_registry
from dragonkit.testing import check_plugin


def by_name(page: Path) -> str:
    return page.stem


BLOCKS = [block for page in PAGES if page.parent.name != "notebooks" for block in blocks_of(page)]  # notebooks: tests/notebooks


# -- pages and links ---------------------------------------------------------------------------------------------------------------------


def test_every_page_is_in_the_navigation() -> None:
    navigation = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]

    def pages_in(entries: list[dict[str, Any]]) -> Iterator[str]:
        for page in (page for entry in entries for page in entry.values()):
            yield from [page] if isinstance(page, str) else pages_in(page)

    assert sorted(pages_in(navigation)) == sorted(page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md"))


def anchors_of(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", prose_of(page), re.MULTILINE)
    return {re.sub(r"[\s-]+", "-", re.sub(r"[^\w\s-]", "", heading).strip().lower()) for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=by_name)
def test_links_and_images_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose_of(page)):
        if target.startswith(("https://", "http://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.is_file(), f"{page.name} links to {target}"
        if page.is_relative_to(DOCS):
            assert file.is_relative_to(DOCS), f"{page.name} links to {target}, which is not part of the site"
        if anchor.startswith("dragonkit."):  # of mkdocstrings, which writes a module's members with it
            shown = re.findall(r"^::: ([\w.]+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert resolves(anchor) and anchor.startswith(tuple(shown)), f"{page.name} links to {target}"
        elif anchor:
            assert anchor in anchors_of(file), f"{page.name} links to {target}"


@pytest.mark.parametrize("page", [*LINKED, *sorted((ROOT / "notebooks").glob("*.ipynb"))], ids=by_name)
def test_no_path_of_somebodys_machine(page: Path) -> None:
    assert not re.findall(r"(?<![\w.])/(?:work|tmp|home|root|Users|mnt)/\S*", page.read_text(encoding="utf-8"))


def test_pictures_are_small() -> None:
    assert {picture.name for picture in (DOCS / "images").iterdir() if picture.stat().st_size > 1_000_000} == set()


# -- names -------------------------------------------------------------------------------------------------------------------------------


def resolves(dotted: str) -> bool:
    parts = dotted.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for attribute in parts[length:]:
            if not hasattr(found, attribute) and attribute not in getattr(found, "model_fields", {}):
                return False
            found = getattr(found, attribute, None)
        return True
    return False


@pytest.mark.parametrize("page", LINKED, ids=by_name)
def test_names_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    missing = [name for name in re.findall(r"(?:`|^::: |from |import )(dragonkit(?:\.\w+)+)", text, re.MULTILINE) if not resolves(name)]
    missing += [f"dk.{name}" for name in re.findall(r"\bdk\.(\w+)", text) if name not in dir(dk)]
    words = [word for code in re.findall(r"`([^`\n]+)`", prose_of(page)) for word in code.split()]
    paths = [word for word in words if re.fullmatch(r"(?:dragonkit|docs|tests|notebooks|plugins)/[\w./-]+", word)]
    missing += [path for path in paths if not (ROOT / path).exists()]
    assert missing == []


def test_the_api_page_has_every_public_name() -> None:
    text = (DOCS / "api.md").read_text(encoding="utf-8")
    public = set(dk.__all__) - set(dk.errors.__all__) - {"__version__"}
    assert {name for name in public if f"dk.{name}" not in text and f"dragonkit.{name}" not in text} == set()


# -- tables ------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "page, heading, model",
    [
        ("first-edit", "field", dk.Move),
        ("settings", "setting", dk.Settings),
        ("settings", "part", dk.GuidanceSchedule),
        ("modes", "resize field", dk.Resize),
        ("modes", "remove field", dk.Remove),
        ("modes", "appearance field", dk.Appearance),
        ("modes", "drag field", dk.Drag),
        ("modes", "custom field", dk.CustomEdit),
    ],
)
def test_fields_and_defaults(page: str, heading: str, model: Any) -> None:
    rows = table_under(DOCS / f"{page}.md", heading)
    expected = {}
    for name, field in model.model_fields.items():
        default = field.get_default(call_default_factory=True)
        expected[name] = "required" if field.is_required() else str(default) if isinstance(default, BaseModel) else repr(default)
    assert {name.strip("`"): default.strip("`") for name, default, _ in rows} == expected


def test_the_models_own_settings() -> None:
    (sentence,) = re.findall(r"`toybox` uses (.*?); `sd15`", (DOCS / "settings.md").read_text(encoding="utf-8"), re.DOTALL)
    said = eval(f"dict({', '.join(re.findall(r'`([^`]+)`', sentence))})")
    own = dk.Settings(**get_registry().models()["toybox"].settings)
    assert set(said) == own.model_fields_set and dk.Settings(**said) == own


def test_the_fields_of_an_edit_file() -> None:
    rows = {name.strip("`"): default for name, default, _ in table_under(DOCS / "edit-file.md", "file field")}
    assert list(rows) == list(dk.EditFile.model_fields)
    for name, field in dk.EditFile.model_fields.items():
        if name != "settings":
            assert rows[name] == ("required" if field.is_required() else repr(field.default))


def test_limits() -> None:
    from dragonkit.edits import limits, writing
    from dragonkit.imaging import images, opening
    from dragonkit.modes.drag import MOST_POINTS

    rows = {what: most for what, most, _ in table_under(DOCS / "limits.md", "what")}
    assert rows["pixels of a picture"] == f"{opening.MAX_PIXELS:,}, no side above {opening.MAX_SIDE:,}"
    assert rows["sides of what the model sees"] == f"{images.MAX_ASPECT:g}:1"
    assert rows["edits in one run"] == str(limits.MAX_EDITS)
    assert rows["points of a drag"] == str(MOST_POINTS)
    assert rows["an edit file"].startswith(f"{limits.MAX_BYTES >> 20} MiB, with {limits.MAX_TOTAL_PIXELS:,} pixels")
    assert rows["metadata within a PNG"] == f"{writing.TEXT_LIMIT // 10**6} MB"
    assert rows["steps"] == str(dk.Settings.model_json_schema()["properties"]["steps"]["maximum"])


def test_presets() -> None:
    assert {name.strip("`") for name, *_ in table_under(DOCS / "settings.md", "preset")} == set(PRESETS)


def test_extras() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    assert {name.strip("`") for name, *_ in table_under(DOCS / "install.md", "extra")} == set(extras)


def test_models() -> None:
    assert {name.strip("`") for name, *_ in table_under(DOCS / "install.md", "name")} == set(get_registry().models())


def test_the_page_of_commands_is_what_their_help_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGONKIT_PLUGINS", "")
    get_registry.cache_clear()
    try:
        assert command_page.PAGE.read_text(encoding="utf-8") == command_page.page(), (
            "run: PYTHONPATH=tests DRAGONKIT_PLUGINS= python -m helpers.commands"
        )
    finally:
        get_registry.cache_clear()


def test_hooks() -> None:
    hooks = {name for name in vars(importlib.import_module("dragonkit.plugins.specs")) if name.startswith("dragonkit_")}
    assert {re.sub(r"\W.*", "", name.strip("[`")) for name, *_ in table_under(DOCS / "hooks" / "index.md", "hook")} == hooks


def test_toybox_objects() -> None:
    rows = {name: (points, shape) for name, points, shape in table_under(DOCS / "toybox-scenes.md", "object")}
    assert set(rows) == set(toybox.CATEGORIES)
    for seed in range(30):
        for thing in toybox.scene(seed, 16).objects:
            points, shape = rows[thing.category]
            assert points.split(", ") == list(thing.keypoints)
            assert shape.split(", ") == list(thing.params)[3:]


def test_the_readme_shows_rows_of_the_models_figures() -> None:
    shown, all_rows = (table_under(page, "task | untouched") for page in (ROOT / "README.md", DOCS / "toybox-model.md"))
    assert 0 < len(shown) < len(all_rows)
    assert [row for row in shown if row not in all_rows] == []


def test_the_model_card_says_what_the_recipe_is() -> None:
    from dragonkit.toybox.training.autoencoder import build_autoencoder
    from dragonkit.toybox.training.denoiser import build_unet
    from dragonkit.toybox.training.recipe import load_recipe

    text, recipe = (DOCS / "toybox-model.md").read_text(encoding="utf-8"), load_recipe("gpu128")
    for part, network in ((recipe.autoencoder, build_autoencoder(recipe)), (recipe.unet, build_unet(recipe))):
        assert f"channels {', '.join(map(str, part.channels))};" in text
        assert f"{sum(one.numel() for one in network.parameters()) / 1e6:.2f} M" in text
        rate = f"{part.learning_rate:.0e}".replace("e-0", "e-")
        assert f"batches of {part.batch}, learning rate {rate} falling to 0" in text
        assert f"moving average {part.ema}" in text
    assert f"{recipe.minutes:g} minutes, of which the autoencoder has {60 * recipe.autoencoder.minutes:g} seconds" in text
    assert f"up to {recipe.unet.pool:,}" in text
    assert f"each of the {len(toybox.vocabulary())} words" in text


# -- examples ----------------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def model() -> dk.Editor:
    return dk.Editor.from_pretrained()


@pytest.fixture
def own_registry() -> Iterator[None]:
    """What an example registers is forgotten after it."""
    get_registry.cache_clear()
    yield
    get_registry.cache_clear()


@pytest.fixture
def quick(model: dk.Editor, monkeypatch: pytest.MonkeyPatch) -> dk.Editor:
    """What `Editor.from_pretrained` gives examples: the embedded model with few steps as its defaults."""
    card = replace(model.card, settings={"steps": 3, "inversion_iterations": 1})

    real = dk.Editor.from_pretrained

    def from_pretrained(_: type, model_name: str = "toybox", *_where: Any, registry: Any = None, **_how: Any) -> dk.Editor:
        return dk.Editor(model.backbone, card, registry) if model_name == "toybox" else real(model_name, registry=registry)

    monkeypatch.setattr(dk.Editor, "from_pretrained", classmethod(from_pretrained))
    return from_pretrained(dk.Editor)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All examples share it, as they would share a reader's folder."""
    return tmp_path_factory.mktemp("reader")


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language == "python"], ids=lambda one: f"{one.page.stem}-{one.line}")
def test_python_compiles(block: Block) -> None:
    compile(block.code, str(block.page), "exec")


@pytest.mark.parametrize("block", [one for one in BLOCKS if one.language != "text"], ids=lambda one: f"{one.page.stem}-{one.line}")
def test_a_block_runs_or_says_why_not(block: Block) -> None:
    """A test runs it, and is there; or it says what it needs that a test has not got."""
    assert block.runs or block.otherwise, "put <!-- run --> above it, or <!-- run by TEST -->, or <!-- not run: WHY -->"
    if block.otherwise and block.otherwise["test"]:
        file, _, test = block.otherwise["test"].partition("::")
        assert f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", [page for page in PAGES if page.is_relative_to(DOCS)], ids=by_name)
def test_lines_of_code_are_seen_whole(page: Path) -> None:
    """Where the window is 1280 pixels wide."""
    assert [line for block in blocks_of(page) if block.language != "text" for line in block.code.splitlines() if len(line) > 96] == []


RUNNING = [page for page in PAGES if page.parent.name != "hooks" and any(block.runs for block in blocks_of(page))]  # see test_hook_pages


def run_in_a_shell(line: str) -> None:
    from typer.testing import CliRunner

    from dragonkit.cli.app import app

    program, *words = shlex.split(line, comments=True)
    assert program == "dragonkit", line
    result = CliRunner().invoke(app, words, prog_name="dragonkit")
    assert result.exit_code == 0, f"{line}: {result.output}"


LONG = ("modes", "batches", "method", "composition", "energy", "inversion", "own-model")


@pytest.mark.parametrize("page", [pytest.param(page, marks=pytest.mark.slow if page.stem in LONG else ()) for page in RUNNING], ids=by_name)
def test_examples_run(page: Path, own_registry: None, quick: dk.Editor, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks_of(page):
        if block.runs and block.language == "python":
            execute(block, namespace)
        elif block.runs:
            for line in block.commands:
                run_in_a_shell(line)


def test_the_example_of_stopping_stops(
    own_registry: None, model: dk.Editor, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the model's own settings, where most of the schedule's steps are not run."""
    monkeypatch.chdir(folder)
    blocks = [block for block in blocks_of(DOCS / "first-edit.md") if block.runs]
    stopping = next(block for block in blocks if "dk.Cancelled" in block.code)
    scene = dk.toybox.scene(seed=7)
    scene.image.save("boat.png")
    dk.images.Image.fromarray(scene.objects[0].mask).save("mask.png")
    namespace: dict[str, Any] = {
        "__name__": "first-edit",
        "dk": dk,
        "editor": model,
        "source": model.invert(scene.image, scene.caption, check=False),
    }
    execute(stopping, namespace)
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("1/8 ") and last == "stopped"


def test_the_edit_file_written_by_hand(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it leaves out has its default: the model, too."""
    monkeypatch.chdir(folder)
    scene = dk.toybox.scene(seed=7)
    scene.image.save("boat.png")
    dk.images.Image.fromarray(scene.objects[0].mask).save("mask.png")
    (text,) = (block.code for block in blocks_of(DOCS / "first-edit.md") if block.language == "json")
    Path("by-hand.json").write_text(text, encoding="utf-8")
    file = dk.EditFile.load("by-hand.json")
    (move,) = get_registry().edits_from(file)
    assert (file.model, file.load_image().size, move.shift) == ("toybox", (128, 128), (-32, 48))


def test_the_scenes_picture_is_what_its_example_draws(folder: Path, quick: dk.Editor, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (folder / "scenes.png").exists():
        test_examples_run(DOCS / "toybox-scenes.md", None, quick, folder, monkeypatch)
    with dk.images.Image.open(folder / "scenes.png") as drawn, dk.images.Image.open(DOCS / "images" / "scenes.png") as shown:
        assert np.abs(np.asarray(drawn, dtype=int) - np.asarray(shown, dtype=int)).max() <= 2


# -- the plugin of the plugins page ------------------------------------------------------------------------------------------------------


@pytest.fixture
def mirror(own_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The plugin's two files as `pip install` would leave them."""
    files = {block.title: block.code for block in blocks_of(DOCS / "plugins.md") if block.title}
    project = tomllib.loads(files["pyproject.toml"])["project"]
    (tmp_path / "dragonkit_mirror.py").write_text(files["dragonkit_mirror.py"], encoding="utf-8")
    info = tmp_path / f"dragonkit_mirror-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n")
    points = [f"{name} = {module}" for name, module in project["entry-points"]["dragonkit"].items()]
    (info / "entry_points.txt").write_text("\n".join(["[dragonkit]", *points, ""]))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delenv("DRAGONKIT_PLUGINS", raising=False)
    yield tmp_path
    sys.modules.pop("dragonkit_mirror", None)


def test_the_plugin_runs(mirror: Path, quick: dk.Editor, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    block = next(block for block in blocks_of(DOCS / "plugins.md") if block.title == "use it")
    namespace: dict[str, Any] = {}
    execute(block, namespace)
    scene, result = namespace["scene"], namespace["result"]
    before, after = np.asarray(scene.image), np.asarray(result.image)
    changed = (before != after).any(axis=2)
    touched = scene.objects[0].mask
    left, top, right, bottom = dk.masks.bounding_box(touched)
    assert changed[touched].mean() > 0.5
    far = np.ones_like(changed)
    far[max(top - 9, 0) : bottom + 9, max(left - 9, 0) : right + 9] = False
    assert not changed[far].any(), "what the edit does not touch stays bit for bit"
    assert result.report.steps[0].energies.keys() == {"mirror.edit"}
    assert dk.EditFile.load(folder / "mirrored.png").edits[0]["mode"] == "mirror"
    for line in next(block.code for block in blocks_of(DOCS / "plugins.md") if "dragonkit mirror" in block.code).splitlines():
        run_in_a_shell(line)
    assert (folder / "mirrored-in-a-shell.png").exists()


@pytest.mark.processes
def test_the_plugin_keeps_the_rules(mirror: Path) -> None:
    mask = np.zeros((32, 48), bool)
    mask[8:20, 6:18] = mask[20:24, 6:10] = True
    check_plugin("dragonkit_mirror", [importlib.import_module("dragonkit_mirror").Mirror(mask=mask)])


# -- the command line --------------------------------------------------------------------------------------------------------------------


def commands() -> Iterator[tuple[str, str]]:
    """(page, line) of every `dragonkit ...`: in shell blocks, and in running text where it stands in backticks."""
    for page in PAGES:
        lines = [line for block in blocks_of(page) if block.language == "sh" for line in block.commands]
        lines += re.findall(r"`([^`\n]+)`", prose_of(page))
        for line in lines:
            if line.startswith(("dragonkit ", "python -m dragonkit")):
                yield page.stem, line


@pytest.mark.parametrize("page, line", sorted(set(commands())))
def test_shell_lines_parse(page: str, line: str, mirror: Path) -> None:
    from dragonkit.cli.app import app

    words = shlex.split(line, comments=True)
    if words[0] == "python":
        application = typer.Typer()
        application.command()(getattr(importlib.import_module(words[2]), words[2].rpartition(".")[2]))
        command, rest = typer.main.get_command(application), words[3:]
    else:
        group = typer.main.get_command(app)
        command = group.get_command(group.make_context("dragonkit", [], resilient_parsing=True), words[1]) if words[1:] else group
        rest = words[2:]
        if words[1] == "--help":
            return
    assert command is not None, f"{page} names a command that does not exist"
    if "--help" not in rest:
        command.make_context(line, rest)  # raises a usage error
