"""What a plugin may say to dragonkit: every hook with its arguments, what it returns, and an example. Its page in docs/hooks shows it.

A plugin is a module (or an object) with functions named like these and marked with `@hookimpl`, found through the entry-point
group `dragonkit`. It names the arguments it wants, gives none of them a default, and must import without torch.

Two kinds of hooks: a *collecting* hook is asked of every plugin and the answers are gathered; an *owner* hook is asked only of
the plugin that offers the edit's mode. All hooks are called before the denoising loop starts, except `dragonkit_step`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from dragonkit.edits.edit import Edit
    from dragonkit.plugins.answers import AttentionPlan, EditMasks, EnergyTerm, Reference
    from dragonkit.plugins.card import ModelCard
    from dragonkit.plugins.inversion import Inversion
    from dragonkit.plugins.placement import Placement
    from dragonkit.plugins.selector import Selector

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("dragonkit")
hookimpl = pluggy.HookimplMarker("dragonkit")
"""Marks a plugin's function as the implementation of the hook of the same name."""


@hookspec
def dragonkit_edits() -> Iterable[type[Edit]]:  # type: ignore[empty-body]
    """New edit modes. Collecting; asked once of each plugin, when it is loaded or registered.

    All owner hooks of a mode are asked of the plugin that offers it. Its fields are checked when an edit is made, written to edit files,
    and become options of a command and a form in the notebook editor.

    Returns:
        At least one class derived from `dragonkit.Edit`, each with

        - `mode: ClassVar[str]`, unique among all plugins: lower-case letters, digits, "-" and "_", beginning with a letter;
        - a docstring, whose first line is the mode's help;
        - pydantic fields with `Field(description=...)`, lengths in pixels of the picture as given, (x, y), origin top left;
        - `scriptable: ClassVar[bool] = False` if it cannot be written to a file: its fields hold code, say.

    Example:
        @hookimpl
        def dragonkit_edits():
            return [Rotate]
    """


@hookspec
def dragonkit_build_masks(edit: Edit, size: tuple[int, int]) -> Placement | None:
    """Where the edit acts. Owner; required of every mode, and asked once per edit.

    Args:
        edit: the edit, an instance of the plugin's own class.
        size: (width, height) of the picture in pixels, as lengths in `edit` are.

    Returns:
        Masks on the picture's own pixels, and the way back for content that moves. The engine brings them onto latent and feature cells.

    Example:
        @hookimpl
        def dragonkit_build_masks(edit, size):
            mask = load_mask(edit.mask, size)
            return Placement(source=mask, target=mask)
    """


@hookspec
def dragonkit_reference(edit: Edit) -> Reference | None:
    """The second picture of an edit, such as whose look or which object to take. Owner; asked once per edit, before anything else.

    The engine inverts it as it does the first, with as many steps; edits with the same picture and prompt share the inversion. Energy terms
    get it as `features.reference`; `masks.correspondence` counts as places in it, and content and noise that are pasted come from there.

    Args:
        edit: the edit, an instance of the plugin's own class. A field of type `dragonkit.Picture` holds the picture.

    Returns:
        The picture, or None for an edit of one picture.

    Example:
        @hookimpl
        def dragonkit_reference(edit):
            return Reference(edit.reference, edit.reference_prompt)
    """


@hookspec
def dragonkit_draft(edit: Edit, masks: EditMasks, picture: np.ndarray, reference: np.ndarray | None) -> np.ndarray | None:
    """The edit done in pixels, as well as it can be without a diffusion model. Owner; asked once per edit, while it is planned.

    Sampling starts from the draft: its latents are held at the target for the fraction `Settings.hold` of the steps, and its pixels stay
    sharp with `keep="pixels"`. Without one, content that moves is pasted as the masks' correspondence says, and a target where nothing
    moves is left to the model.

    Args:
        edit: the edit, an instance of the plugin's own class.
        masks: the edit's masks on the picture's own pixels, combined with those of the other edits.
        picture: float32 (H, W, 3) in [0, 1], the source, whatever other edits do to it; do not write to it.
        reference: float32 (H', W', 3) in [0, 1], the picture of `dragonkit_reference`, or None; do not write to it.

    Returns:
        float32 (H, W, 3) in [0, 1], of which the target's pixels and those next to them are used; or None for no draft.

    Example:
        @hookimpl
        def dragonkit_draft(edit, masks, picture, reference):
            return picture * 0.5  # darker
    """


@hookspec
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Terms of the energy that guides the edit. Collecting: any plugin may add terms to any mode; asked once per edit and plugin.

    The terms' functions are called at every guided step, once for each level in `Settings.layers`. Their weighted values are summed in
    the order of (plugin, term name), so that a run can be repeated to the last bit, and differentiated with respect to the latents. The
    gradient is normalised: weights only say how terms compare with each other. Reports name the values "plugin.term".

    Args:
        edit: the edit, of any mode; look at `edit.mode` or its class first.
        masks: what the mode's owner built, on feature cells, combined with the masks of the other edits. `features.generated` and
            `features.source` lie on the same grid, `features.reference` on `features.reference_grid`.

    Returns:
        At least one term, with names unique within the plugin; or None for an edit that does not concern it.

    Example:
        @hookimpl
        def dragonkit_energy_terms(edit, masks):
            if edit.mode != "rotate":
                return None
            return [EnergyTerm("edit", lambda features: ..., weight=edit.weight)]
    """


@hookspec
def dragonkit_initial_latents(edit: Edit, masks: EditMasks, source: Any, reference: Any) -> Tensor | None:
    """The latents z_T that the generation branch starts from, for modes that start elsewhere than the engine does. Owner.

    Where content moves, or comes from a reference, there is no need for this hook: the engine then copies the noise of that content to
    the target, looked up along the masks' correspondence without interpolation; draws new noise for what it leaves; and starts from the
    source's z_T everywhere else. It does so, too, where content is taken away.

    Args:
        edit: the edit, an instance of the plugin's own class.
        masks: where the edit acts, on the latents' cells.
        source: the inverted picture (`dragonkit.Source`) with its trajectory; do not write to it.
        reference: the inverted reference picture of `dragonkit_reference`, or None.

    Returns:
        A tensor (1, channels, height, width) like the source's own z_T, or None to start as the engine does.

    Example:
        @hookimpl
        def dragonkit_initial_latents(edit, source):
            return source.latents_at(len(source.schedule)) if edit.own_noise else None
    """


@hookspec
def dragonkit_attention(edit: Edit, masks: EditMasks) -> AttentionPlan | None:
    """Whose keys and values the decoder's self-attention reads, and in which steps (equation 11). Owner; asked once per edit.

    In every self-attention layer of the UNet's decoder the queries stay the picture's own, and keys and values come from what was recorded
    of source and reference at the same noise level. Masks are brought to each layer's size. The encoder is left alone.

    Args:
        edit: the edit, an instance of the plugin's own class.
        masks: the edit's masks on latent cells, combined with those of the other edits.

    Returns:
        The plan, or None to leave the decoder its own keys and values.

    Example:
        @hookimpl
        def dragonkit_attention(edit, masks):
            return AttentionPlan(form="concatenate", start=0.1)
    """


@hookspec
def dragonkit_models() -> Iterable[ModelCard]:  # type: ignore[empty-body]
    """Models that can be asked for by name. Collecting; asked whenever somebody names one. Loads neither torch nor weights.

    Returns:
        At least one card, with a name unique among all plugins.

    Example:
        @hookimpl
        def dragonkit_models():
            return [ModelCard(name="anime", ...)]
    """


@hookspec
def dragonkit_inversions() -> Iterable[Inversion]:  # type: ignore[empty-body]
    """Ways to find the noise that a picture may have come from. Collecting; `Settings.inversion` chooses one by name.

    Returns:
        Inversions, with names unique among all plugins: of two of one name the first is kept, and the other plugin is listed as broken.

    Example:
        @hookimpl
        def dragonkit_inversions():
            return [Inversion("midpoint", "DDIM inversion with the noise of the step's middle", invert)]
    """


@hookspec
def dragonkit_selectors() -> Iterable[Selector]:  # type: ignore[empty-body]
    """Mask builders for people: from a gesture on a picture to a mask. Collecting; asked whenever somebody wants the selectors.

    The notebook editor offers each as a tool, with a form made of its options; edits know nothing of them.

    Returns:
        At least one selector, with a name unique among all plugins.

    Example:
        @hookimpl
        def dragonkit_selectors():
            return [Selector("bright", "what is as bright", "clicks", select_bright)]
    """


@hookspec
def dragonkit_step(step: Any) -> None:
    """Watch a run. Collecting; called after every denoising step of every edit of this process, before the caller's own `on_step`.

    The loop waits for all observers. Inversion and `Editor.generate` are not reported, nor are steps at whose end every latent cell is
    given.

    Args:
        step: a `dragonkit.diffusion.sampling.Step`: number, time, energies and a cheap preview. Raise `dragonkit.Cancelled` to stop.

    Example:
        @hookimpl
        def dragonkit_step(step):
            log.append((step.index, step.energies))
    """


@hookspec
def dragonkit_commands(cli: Any) -> None:
    """Add commands to the command line. Collecting; called only there, for `--help` or a command that dragonkit does not know itself.

    dragonkit's own commands come first, then those of modes, then these; a name that is taken is left out with a warning.

    Args:
        cli: a `typer.Typer` application of the plugins' own. `DragonkitError`s that a command raises become one line and exit code 2.

    Example:
        @hookimpl
        def dragonkit_commands(cli):
            @cli.command()
            def hello(name: str): ...
    """
