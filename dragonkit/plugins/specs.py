"""What a plugin may say to dragonkit: every hook with its arguments, what it returns, and an example.

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
    from dragonkit.plugins.placement import Placement
    from dragonkit.plugins.selector import Selector

__all__ = ["hookimpl", "hookspec"]

hookspec = pluggy.HookspecMarker("dragonkit")
hookimpl = pluggy.HookimplMarker("dragonkit")
"""Marks a plugin's function as the implementation of the hook of the same name."""


@hookspec
def dragonkit_edits() -> Iterable[type[Edit]]:  # type: ignore[empty-body]
    """New edit modes. Collecting; called once, when the plugin is loaded.

    Returns:
        Classes derived from `dragonkit.Edit`, each with a `mode` name of its own: lower-case letters, digits, "-" and "_".
        Two plugins that offer one mode are an error (`DuplicateModeError`) that names both.

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
    """The second picture of an edit, such as whose look or which object to take. Owner.

    The engine inverts it, hands its features to the energy terms as `features.reference`, and reads the correspondence of the edit's
    masks as places in it.

    Args:
        edit: the edit, an instance of the plugin's own class.

    Returns:
        The picture, or None for an edit of one picture.

    Example:
        @hookimpl
        def dragonkit_reference(edit):
            return Reference(edit.reference, edit.reference_prompt)
    """


@hookspec
def dragonkit_draft(edit: Edit, masks: EditMasks, picture: np.ndarray, reference: np.ndarray | None) -> np.ndarray | None:
    """The edit done in pixels, as well as it can be without a diffusion model: sampling starts from it. Owner.

    Where content moves, there is no need for this hook: the engine then pastes what the masks' correspondence says.

    Args:
        edit: the edit, an instance of the plugin's own class.
        masks: where it acts, on the picture's own pixels.
        picture: float32 (H, W, 3) in [0, 1], the source; do not write to it.
        reference: float32 (H', W', 3) in [0, 1], the reference picture of `dragonkit_reference`, or None.

    Returns:
        float32 (H, W, 3) in [0, 1], of which the target's pixels and those next to them are used; or None to leave the target to the model.

    Example:
        @hookimpl
        def dragonkit_draft(edit, masks, picture, reference):
            return picture * 0.5  # darker
    """


@hookspec
def dragonkit_energy_terms(edit: Edit, masks: EditMasks) -> Iterable[EnergyTerm] | None:
    """Terms of the energy that guides the edit. Collecting: any plugin may add terms to any mode.

    The terms of all plugins are summed in the order of (plugin, term name), so that a run can be repeated to the last bit.

    Args:
        edit: the edit, of any mode; look at `edit.mode` or its class first.
        masks: where it acts, on the feature cells.

    Returns:
        Terms with names unique within the plugin, or None for an edit that does not concern it.

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
    the target, looked up along the masks' correspondence without interpolation; and starts from the source's z_T everywhere else.

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
    """Whose keys and values the decoder's self-attention reads, and in which steps. Owner.

    Args:
        edit: the edit, an instance of the plugin's own class.
        masks: where it acts, on the latents' cells.

    Returns:
        The plan, or None to leave the decoder its own.

    Example:
        @hookimpl
        def dragonkit_attention(edit, masks):
            return AttentionPlan(form="concatenate", start=0.1)
    """


@hookspec
def dragonkit_models() -> Iterable[ModelCard]:  # type: ignore[empty-body]
    """Models that can be asked for by name. Collecting.

    Returns:
        Cards; two of one name are an error.

    Example:
        @hookimpl
        def dragonkit_models():
            return [ModelCard(name="anime", ...)]
    """


@hookspec
def dragonkit_selectors() -> Iterable[Selector]:  # type: ignore[empty-body]
    """Mask builders for people: from a gesture on a picture to a mask. Collecting.

    Returns:
        Selectors; two of one name are an error.

    Example:
        @hookimpl
        def dragonkit_selectors():
            return [Selector("bright", "what is brighter than the pixel clicked on", "clicks", select_bright)]
    """


@hookspec
def dragonkit_step(step: Any) -> None:
    """Watch a run. Collecting; called after every denoising step.

    Args:
        step: number, timestep, energies and a cheap preview of the picture. Raise `dragonkit.Cancelled` to stop the run.

    Example:
        @hookimpl
        def dragonkit_step(step):
            log.append((step.index, step.energies))
    """


@hookspec
def dragonkit_commands(cli: Any) -> None:
    """Add commands to the command line. Collecting; called only there.

    Args:
        cli: the `typer.Typer` application.

    Example:
        @hookimpl
        def dragonkit_commands(cli):
            @cli.command()
            def hello(name: str): ...
    """
