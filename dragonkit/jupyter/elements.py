"""What every part of the editor is made of: its style sheet, buttons, rows, pictures as bytes."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import ipywidgets as W
from PIL import Image

__all__ = ["STYLE", "Choice", "button", "png", "row"]

STYLE = """<style>
.dk-editor .widget-inline-hbox { max-width: calc(100% - 4px); }
.dk-editor canvas { max-width: 100%; height: auto !important; }
.dk-editor .dk-picture canvas { max-height: max(320px, calc(100vh - 225px)); width: auto !important; align-self: flex-start; }
.dk-editor button:focus-visible, .dk-editor input:focus-visible, .dk-editor select:focus-visible, .dk-editor canvas:focus-visible,
.dk-editor textarea:focus-visible, .dk-editor [tabindex]:focus-visible { outline: 3px solid #0072b2 !important; outline-offset: 1px; }
.jp-OutputArea-child:has(.dk-live:not(.jupyter-widgets-disconnected)) + .jp-OutputArea-child { display: none; }
.dk-editor:focus { outline: none; }
.dk-editor .dk-columns { flex-flow: row wrap; gap: 12px; align-items: flex-start; overflow: visible; }
.dk-editor .dk-picture { flex: 0 1 660px; min-width: 0; max-width: 100%; overflow: visible; }
.dk-editor .dk-words { flex: 1 1 320px; min-width: min(320px, 100%); max-width: 100%; overflow: visible; }
.dk-editor textarea { white-space: pre; }
.dk-editor .dk-second canvas { max-width: min(100%, 320px); }
.dk-editor .widget-html-content { line-height: 1.4; }
.dk-editor .widget-toggle-button { display: inline-flex; align-items: center; gap: 4px; }
.dk-editor .widget-toggle-button i { order: -1; }
.dk-editor .dk-help { opacity: 0.75; }
.dk-editor .dk-hint { font-style: italic; }
.dk-editor .dk-working::before { content: "\\2026\\a0"; }
.dk-editor .dk-done::before { content: "\\2713\\a0"; }
.dk-editor .dk-warning::before, .dk-editor .dk-error [role=alert]::before { content: "\\26a0\\a0"; }
.dk-editor .dk-warning { font-weight: bold; }
.dk-editor.dk-dropping, .dk-editor .dk-dropping { outline: 3px dashed #0072b2; outline-offset: -3px; }
.dk-editor .dk-thumbnail { padding: 2px; border: 1px solid transparent; background: none; cursor: pointer; line-height: 0; }
.dk-editor .dk-thumbnail:hover { border-color: #0072b2; }
@media (pointer: coarse) {
  .dk-editor button, .dk-editor select, .dk-editor input:not([type=checkbox]), .dk-editor .widget-inline-hbox { min-height: 40px; }
  .dk-editor button { min-width: 40px; }
  .dk-editor input[type=checkbox] { width: 40px; height: 40px; }
  .dk-editor .widget-label { line-height: 40px; height: auto; }
  .dk-editor .widget-slider .noUi-handle::before {
    content: ""; display: block; position: absolute; inset: -14px; height: auto; width: auto; background: none; }
}
.dk-editor .dk-messages .widget-html-content:empty { display: none; }
.dk-editor.jupyter-widgets-disconnected::before {
  content: "The kernel was restarted, so this editor is a picture only: run its cell again.";
  display: block; padding: 6px; color: #d55e00; font-weight: bold; border: 2px solid #d55e00; }
.dk-editor .jupyter-widgets-disconnected::before { display: none; }
.dk-editor.jupyter-widgets-disconnected > * { opacity: 0.45; pointer-events: none; }
.dk-editor .dk-error, .dk-editor .dk-field-error { color: #d55e00; font-weight: bold; }
</style>"""
"""For the whole editor: canvases fit narrow windows, the focus can be seen, and errors are told apart by more than their colour."""


class Choice(W.Dropdown):
    """A list of options of which one is always chosen: a front end may not say that it is none, or one that there is not."""

    def set_state(self, sync_data: dict[str, Any]) -> None:
        index = sync_data.get("index", self.index)
        if not isinstance(index, int) or not 0 <= index < len(self._options_labels):
            sync_data = {name: value for name, value in sync_data.items() if name != "index"}
        super().set_state(sync_data)


def button(words: str, tooltip: str, action: Callable[[], Any], **options: Any) -> W.Button:
    """A button as wide as its words."""
    made = W.Button(description=words, tooltip=tooltip, layout=W.Layout(width="auto"), **options)
    made.on_click(lambda _: action())
    return made


def row(*children: W.Widget) -> W.HBox:
    """Side by side, and below each other where the window is narrow."""
    return W.HBox(children, layout=W.Layout(flex_flow="row wrap", align_items="center"))


def png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return buffer.getvalue()
