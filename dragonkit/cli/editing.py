"""The commands that edit: one per mode, made from the fields of its edit and of Settings, and `run` for edit files."""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dragonkit.cli.console import bars, load_registry
from dragonkit.cli.masking import ClickOption, InvertOption, SelectOption, clicked, with_inverted_mask
from dragonkit.cli.panels import SETTINGS, CommandList
from dragonkit.cli.places import MetadataOption, NoMetadataOption, OverwriteOption, Place, check_device
from dragonkit.cli.reporting import advise, report

if TYPE_CHECKING:
    from dragonkit.cli.options import Option
    from dragonkit.diffusion.source import Source
    from dragonkit.editing.editor import Editor
    from dragonkit.edits.edit import Edit
    from dragonkit.edits.settings import Settings
    from dragonkit.imaging.photos import Photo
    from dragonkit.plugins.registry import PluginRegistry

__all__ = [
    "DeviceOption",
    "ModelOption",
    "PresetOption",
    "load_editor",
    "mode_command",
    "parameter_for",
    "run",
    "summary_of",
]

OutOption = Annotated[Path | None, typer.Option("--out", "-o", metavar="PATH", help="The result, a PNG.", show_default=False)]
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        is_eager=True,  # --help says this model's defaults; so with --preset
        help="A name from 'dragonkit models', a hub id, a folder or a file.",
    ),
]
LoraOption = Annotated[
    list[str] | None,
    typer.Option(
        "--lora",
        metavar="NAME",
        help="A LoRA to put on the model: a .safetensors file, a folder or a hub id, with @WEIGHT where it is not 1; repeatable.",
        show_default=False,
    ),
]
PresetOption = Annotated[
    str,
    typer.Option(
        "--preset", metavar="NAME", is_eager=True, help="Settings by name: default, paper, reference or fast; single ones go on top."
    ),
]
DeviceOption = Annotated[
    str | None, typer.Option("--device", metavar="DEVICE", help="Such as cpu or cuda:1; by default a GPU where there is one.")
]
DtypeOption = Annotated[
    str | None, typer.Option("--dtype", metavar="NAME", help="float32, bfloat16 or float16; what suits the device when left out.")
]
RevisionOption = Annotated[
    str | None, typer.Option("--revision", metavar="NAME", help="A branch, tag or commit of a model on the hub.", show_default=False)
]
VariantOption = Annotated[
    str | None,
    typer.Option("--variant", metavar="NAME", help="Of the weights' files where a model has several, such as fp16.", show_default=False),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the report as JSON.")]
TrustOption = Annotated[bool, typer.Option("--trust-paths", help="Follow paths in the edit file to anywhere, not only below its folder.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress and no summary.")]


def summary_of(edit_type: type[Edit]) -> str:
    """The first line of the class's docstring."""
    return (edit_type.__doc__ or "").strip().partition("\n")[0].replace("`", "'")


def mode_command(registry: PluginRegistry, mode: str) -> Any:
    """`dragonkit MODE IMAGE ...`: the options come from the fields of the mode's edit, then ours, then those of Settings.

    Options that every mode has keep their names; a field of the edit that shares one becomes `--MODE-FIELD`.
    """
    from dragonkit.cli.options import build, options_of
    from dragonkit.editing.layout import Layout
    from dragonkit.edits.naming import with_lora, with_revision
    from dragonkit.edits.prompts import checked_prompt
    from dragonkit.edits.settings import Settings
    from dragonkit.imaging.photo_files import open_photo

    edit_type, settings_fields = registry.edit_types()[mode], options_of(Settings)
    ours = {"--out", "--overwrite", "--metadata", "--no-metadata", "--prompt", "--model", "--lora", "--preset", "--device"}
    ours |= {"--dtype", "--revision", "--variant", "--click", "--select", "--invert-mask", "--json", "--quiet", "--help"}
    taken = {field.option for field in settings_fields} | ours
    edit_fields = options_of(edit_type, taken, mode)
    mask_field = next((field for field in edit_fields if field.allowed.format == "mask"), None)

    object_field = mask_field if mask_field is not None and mask_field.required else None  # its mask may be made by a click on it
    shown = [_or_click(one) if one is object_field else one for one in edit_fields]

    def command(
        *,
        context: typer.Context,
        image: Annotated[Path, typer.Argument(metavar="IMAGE", help="The picture to edit.")],
        out: OutOption = None,
        overwrite: OverwriteOption = False,
        metadata: MetadataOption = "edit",
        no_metadata: NoMetadataOption = False,
        prompt: Annotated[str, typer.Option("--prompt", metavar="TEXT", help="What the picture shows.", show_default=False)] = "",
        model: ModelOption = "toybox",
        lora: LoraOption = None,
        revision: RevisionOption = None,
        variant: VariantOption = None,
        preset: PresetOption = "default",
        device: DeviceOption = None,
        dtype: DtypeOption = None,
        click: ClickOption = None,
        select: SelectOption = "object",
        invert_mask: InvertOption = False,
        as_json: JsonOption = False,
        quiet: QuietOption = False,
        **values: Any,
    ) -> None:
        begun = time.perf_counter()
        photo, asked = open_photo(image), {field.name: values[f"edit_{field.name}"] for field in edit_fields}
        if object_field is not None:
            if (asked[object_field.name] is None) == (click is None):
                context.fail(f"{'Missing option' if click is None else 'Give only one:'} '{object_field.option}' or '--click'.")
            if click is not None:
                asked[object_field.name] = clicked(registry, photo, click, select)
        edit = build(edit_type, edit_fields, asked)
        given = build(Settings, settings_fields, {field.name: values[f"settings_{field.name}"] for field in settings_fields})
        checked_prompt(prompt, "--prompt")
        settings = Settings.preset(preset, **{name: getattr(given, name) for name in given.model_fields_set})
        inputs = [image, *(value for _, value in edit)]
        place = Place(out, image.with_name(f"{image.stem}-{mode}.png"), inputs, "none" if no_metadata else metadata, overwrite)
        if invert_mask and mask_field is not None:
            edit = with_inverted_mask(edit, mask_field, photo.size)
        layout = Layout(registry, edit, photo.size)
        name = with_lora(with_revision(model, revision) if revision else model, lora or ())
        editor = load_editor(registry, name, device, quiet, dtype, variant)
        with bars(quiet) as bar:
            source = opened(editor, photo, prompt, settings, bar("inverting"))
            advise(editor, source, layout)
            result = editor.edit(source, layout, settings, progress=bar("editing"))
        report(result, place.save(result), time.perf_counter() - begun, as_json, quiet)

    left_out = {"click", "select"} if object_field is None else set()
    left_out |= {"invert_mask"} if mask_field is None else set()
    own = inspect.signature(command, eval_str=True).parameters.values()
    context, image, *common = (part for part in own if part.kind is part.KEYWORD_ONLY)
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            context,
            image,
            *(parameter_for(field, f"edit_{field.name}", mode.capitalize(), field.default_text) for field in shown),
            *(part for part in common if part.name not in left_out),
            *(parameter_for(field, f"settings_{field.name}", SETTINGS) for field in settings_fields),
        ]
    )
    maker = CommandList(rich_markup_mode=None, add_completion=False)
    maker.command(mode, help=(edit_type.__doc__ or "").strip().partition("\n\n")[0].replace("`", "'"))(command)
    return typer.main.get_command(maker)


def _or_click(field: Option) -> Option:
    return replace(field, required=False, description=f"{field.description}; this or --click")


def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An edit file (JSON), or a PNG that dragonkit wrote.")],
    out: OutOption = None,
    image: Annotated[
        list[Path] | None,
        typer.Option(
            "--image",
            metavar="PICTURE",
            help="What the result was made from, where the file says only the hash of the pixels; repeatable, for a second picture.",
            show_default=False,
        ),
    ] = None,
    overwrite: OverwriteOption = False,
    metadata: MetadataOption = "edit",
    no_metadata: NoMetadataOption = False,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME", is_eager=True, help="Another model than the file names.")] = None,
    revision: RevisionOption = None,
    variant: VariantOption = None,
    device: DeviceOption = None,
    dtype: DtypeOption = None,
    trust_paths: TrustOption = False,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Run an edit file again, or the one that a result carries."""
    from dragonkit.editing.layout import Layout
    from dragonkit.edits.file import EditFile
    from dragonkit.edits.naming import with_revision

    begun = time.perf_counter()
    edit_file, registry = EditFile.load(file, trust_paths).with_pictures(*(image or ())), load_registry()
    edit_file.check_pictures()
    model = model or edit_file.model_to_load(registry.models())
    model = with_revision(model, revision) if revision else model
    edits = registry.edits_from(edit_file)
    named = [] if edit_file.image.startswith(("data:", "sha256:")) else [file.parent / edit_file.image]
    inputs = [file, *(image or ()), *named, *(value for edit in edits for _, value in edit)]
    place = Place(out, file.with_name(f"{file.stem}-run.png"), inputs, "none" if no_metadata else metadata, overwrite)
    layout = Layout(registry, edits, edit_file.photo().size) if edit_file.image else None
    editor = load_editor(registry, model, device, quiet, dtype, variant)
    with bars(quiet) as bar:
        if edit_file.image:
            source = opened(editor, edit_file.photo(), edit_file.prompt, edit_file.settings, bar("inverting"))
        else:
            source = editor.source_of(edit_file, bar("generating"))
        layout = layout or Layout(registry, edits, source.image_size)
        advise(editor, source, layout)
        result = editor.edit(source, layout, edit_file.settings, progress=bar("editing"))
    report(result, place.save(result), time.perf_counter() - begun, as_json, quiet)


def parameter_for(field: Option, name: str, panel: str, default: str = "") -> inspect.Parameter:
    """A field as a keyword that typer makes an option of. Values stay text; `Option.parse` and pydantic read them."""
    said = (f"default: {default}" if default else "", f"such as {field.example}" if field.example else "", field.allowed.range)
    notes = "; ".join(filter(None, (*said, "repeatable" if field.repeated else "")))
    option = typer.Option(
        f"{field.option}/--no-{field.option[2:]}" if field.flag else field.option,
        metavar=None if field.flag else field.metavar,
        help=f"{_sentence(field.description)} [{notes}]".strip() if notes else _sentence(field.description),
        show_default=False,
        rich_help_panel=panel,
        autocompletion=lambda incomplete: [choice for choice in field.choices if choice.startswith(incomplete)],
    )
    value: Any = bool if field.flag else list[str] if field.repeated else str
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if field.required else None,
        annotation=Annotated[value if field.required else value | None, option],
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def opened(editor: Editor, photo: Photo, prompt: str, settings: Settings, progress: Callable[[int, int], None]) -> Source:
    """The picture's source, inverted ahead and checked where energies alone keep what is not edited: then a loss there is worth a word."""
    if editor.settings(settings).keep == "energy":
        return editor.invert(photo, prompt, settings, progress=progress)
    return editor.open(photo, prompt, settings, progress)


def load_editor(
    registry: PluginRegistry, model: str, device: str | None, quiet: bool, dtype: str | None = None, variant: str | None = None
) -> Editor:
    """The editor, after the quick checks."""
    from dragonkit.models.loading import find_card

    card = find_card(model, registry.models(), registry.suspects("model"))
    check_device(device)
    with bars(quiet) as bar:
        bar("loading the model")
        from dragonkit.editing.editor import Editor  # the slow import, so within the bar

        fetching = None if os.path.exists(card.source) else bar("fetching it, in MB")
        told = fetching and _megabytes(fetching)
        return Editor.from_pretrained(model, device, dtype, registry, told, variant=variant)


def _megabytes(bar: Callable[[int, int], None]) -> Callable[[int, int], None]:
    return lambda done, total: bar(done // 10**6, -(-total // 10**6))
