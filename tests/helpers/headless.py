"""A canvas without a browser: events go in, drawings come out. The only place that touches ipycanvas' private names.

`Browser` does what the front end does with the messages: it keeps a current layer that only a switch changes, draws patches and clears
rectangles, and gives up for good after a command without a layer. Pinned by ipycanvas >=0.14,<0.15.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import ipycanvas.canvas as ic
import numpy as np
import pytest
from PIL import Image


class Command(NamedTuple):
    """One drawing command: on which layer (a model id), what, and with which arguments."""

    layer: str
    name: str
    args: list[Any]


class Browser:
    """The front end of all canvases.

    Attributes:
        messages: what was received, one list of commands for each message.
        layers: RGBA pictures by model id, as far as patches and cleared rectangles make them.
        failing: what receiving raises, as a broken connection does.
    """

    def __init__(self) -> None:
        self.messages: list[list[Command]] = []
        self.layers: dict[str, np.ndarray] = {}
        self.failing: Exception | None = None
        self._current: str | None = None

    def reload(self) -> None:
        """Everything drawn is gone, and so is the knowledge of the current layer."""
        self.messages, self.layers, self._current = [], {}, None

    @property
    def commands(self) -> list[Command]:
        return [command for message in self.messages for command in message]

    @property
    def names(self) -> list[str]:
        """The commands' names, without the setting of colours and the like."""
        return [command.name for command in self.commands if command.name not in ("set", "resetTransform")]

    def receive(self, content: Any, buffers: Sequence[Any]) -> None:
        if self.failing:
            raise self.failing
        commands = json.loads(bytes(buffers[0]), parse_constant=_refuse)
        batch, binary = [], list(buffers[1:])
        for number, args, *count in commands if isinstance(commands[0], list) else [commands]:
            name = ic._CMD_LIST[number]
            if name == "switchCanvas":
                self._current = args[0]
                continue
            assert self._current is not None, f"{name} without a current layer: a real browser stops drawing for good here"
            own = [binary.pop(0) for _ in range(count[0] if count else 0)]
            args = [_array(arg, own) if isinstance(arg, dict) else arg for arg in args]
            self._draw(self._current, name, args, own)
            batch.append(Command(self._current, name, args))
        self.messages.append(batch)

    def _draw(self, layer: str, name: str, args: list[Any], own: list[Any]) -> None:
        if name == "clearRect" and layer in self.layers:
            x, y, width, height = args
            self.layers[layer][y : y + height, x : x + width] = 0
        elif name == "putImageData":
            with Image.open(io.BytesIO(bytes(own[0]))) as image:  # the browser waits for ever for a broken picture
                patch = np.asarray(image.convert("RGBA"))
            x, y = args
            height, width = patch.shape[:2]
            assert min(x, y, width - 1, height - 1) >= 0
            picture = self.layers.setdefault(layer, np.zeros((2000, 2000, 4), np.uint8))
            assert not picture[y : y + height, x : x + width].any(), "drawn over what was not cleared"
            picture[y : y + height, x : x + width] = patch * (patch[..., 3:] > 0)


def _array(arg: dict[str, Any], own: list[Any]) -> np.ndarray:
    return np.frombuffer(own[arg["idx"]], arg["dtype"]).reshape(arg["shape"])


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is no JSON: a real browser stops drawing for good here")


def open_browser(monkeypatch: pytest.MonkeyPatch) -> Browser:
    """A browser that gets all drawing commands from here on."""
    browser = Browser()
    monkeypatch.setattr(ic._CANVAS_MANAGER, "send", browser.receive)
    for private, value in {"_current_canvas": None, "_caching": False, "_commands_cache": [], "_buffers_cache": []}.items():
        monkeypatch.setattr(ic._CANVAS_MANAGER, private, value)
    return browser


def holding() -> bool:
    """Whether ipycanvas is still collecting commands instead of sending them."""
    return bool(ic._CANVAS_MANAGER._caching or ic._CANVAS_MANAGER._commands_cache)


def layer_id(canvas: Any, index: int) -> str:
    """How messages name a layer of a MultiCanvas."""
    return f"IPY_MODEL_{canvas[index].model_id}"


def emit(widget: Any, event: str, x: float | None = None, y: float | None = None, **more: Any) -> None:
    """What the browser sends, such as {"event": "mouse_down", "x": 1.0, "y": 2.0}."""
    content = {"event": event, **({} if x is None else {"x": x, "y": y}), **more}
    widget._handle_msg({"content": {"data": {"method": "custom", "content": content}}, "buffers": []})


def drag(widget: Any, *points: tuple[float, float], release: bool = True) -> None:
    """Press at the first point, visit the others, release at the last. Canvas pixels."""
    emit(widget, "mouse_down", *points[0])
    for point in points[1:]:
        emit(widget, "mouse_move", *point)
    if release:
        emit(widget, "mouse_up", *points[-1])


def touch(widget: Any, kind: str, *points: tuple[float, float]) -> None:
    """A touch event, "start", "move", "end" or "cancel", with all fingers that are on the canvas then."""
    emit(widget, f"touch_{kind}", touches=[{"x": x, "y": y} for x, y in points])


def key(widget: Any, name: str, shift: bool = False, ctrl: bool = False, meta: bool = False) -> None:
    emit(widget, "key_down", key=name, shift_key=shift, ctrl_key=ctrl, meta_key=meta)
