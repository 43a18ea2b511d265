"""What is made: house, boat, balloon, car, cup, rocket, umbrella. See `objects` for what a drawing function takes and gives."""

from __future__ import annotations

import torch
from torch import Tensor

from dragonkit.toybox.drawing.layers import BARK, GLASS, INK, METAL, WHITE, Drawing, Layer
from dragonkit.toybox.drawing.sdf import both, box, capsule, circle, ellipse, leaf, polygon, ring, union


def house(x: Tensor, y: Tensor, roof: Tensor, apex: Tensor, width: Tensor, chimney: Tensor) -> Drawing:
    w, top, at, stack = 0.5 + 0.2 * width, -0.42 - 0.46 * roof, (apex - 0.5) * 0.7, -0.4 - 0.45 * chimney
    layers = [
        Layer(box(x, y, w * 0.62, (stack + 0.1) * 0.5, 0.11, (0.1 - stack) * 0.5, 0.02), (0.58, 0.34, 0.28)),
        Layer(box(x, y, 0.0, 0.4, w, 0.52, 0.03), "surface"),
        Layer(polygon(x, y, (-0.16 - w, 0.02), (at, top), (0.16 + w, 0.02), r=0.03), "second"),
        Layer(box(x, y, w * -0.38, 0.64, 0.15, 0.27, 0.03), (0.38, 0.24, 0.17)),
        Layer(box(x, y, w * 0.42, 0.46, 0.17, 0.17, 0.03), GLASS),
    ]
    return Drawing(layers, {"roof": (at, top), "eave": (w + 0.16, 0.02), "chimney": (w * 0.62, stack)})


def boat(x: Tensor, y: Tensor, mast: Tensor, lean: Tensor, length: Tensor, depth: Tensor) -> Drawing:
    w, deep, top, at = 0.64 + 0.3 * length, 0.36 + 0.24 * depth, -0.56 - 0.36 * mast, (lean - 0.5) * 0.5
    hull = both(ellipse(x, y, 0.0, 0.32, w, deep), 0.32 - y) - 0.02
    layers = [
        Layer(capsule(x, y, 0.0, 0.35, at, top, 0.045), BARK),
        Layer(polygon(x, y, (at + 0.08, top + 0.06), (w * 0.84, 0.2), (0.08, 0.2), r=0.02), "second"),
        Layer(polygon(x, y, (at * 0.8 - 0.06, top + 0.28), (-0.07, 0.2), (w * -0.78, 0.2), r=0.02), WHITE),
        Layer(hull, "surface"),
    ]
    return Drawing(layers, {"mast": (at, top), "bow": (w, 0.32), "keel": (0.0, 0.32 + deep)})


def balloon(x: Tensor, y: Tensor, width: Tensor, height: Tensor, swing: Tensor, string: Tensor) -> Drawing:
    w, h, at, end = 0.46 + 0.2 * width, 0.46 + 0.15 * height, (swing - 0.5) * 1.0, 0.55 + 0.4 * string
    knot = h - 0.34
    along = ((y - knot) / (end - knot)).clamp(0, 1)
    slope = at * 2 * along / (end - knot)
    line = both(((x - at * along * along).abs() - 0.04) / torch.sqrt(1 + slope * slope), knot - y, y - end)
    layers = [
        Layer(line, (0.36, 0.32, 0.34), 0.0),
        Layer(polygon(x, y, (0.0, knot - 0.08), (0.1, knot + 0.1), (-0.1, knot + 0.1), r=0.02), "main"),
        Layer(ellipse(x, y, 0.0, -0.34, w, h), "surface"),
        Layer(leaf(x, y, w * -0.6, -0.36, w * -0.34, -0.34 - h * 0.62, 0.075), "shine", 0.0),
    ]
    return Drawing(layers, {"top": (0.0, -0.34 - h), "side": (w, -0.34), "string": (at, end)})


def car(x: Tensor, y: Tensor, roof: Tensor, cabin: Tensor, length: Tensor, wheels: Tensor) -> Drawing:
    w, top, at, r = 0.72 + 0.24 * length, -0.34 - 0.34 * roof, (cabin - 0.5) * 0.44, 0.2 + 0.08 * wheels
    shell = polygon(x, y, (at - 0.52, 0.1), (at - 0.3, top + 0.05), (at + 0.24, top + 0.05), (at + 0.52, 0.1), r=0.05)
    side = x.abs()
    glass = polygon(x, y, (at - 0.38, -0.02), (at - 0.24, top + 0.14), (at + 0.19, top + 0.14), (at + 0.38, -0.02))
    pane = both(glass, 0.045 - (x - at).abs())
    layers = [
        Layer(union(shell, box(x, y, 0.0, 0.23, w, 0.27, 0.13)), "surface"),
        Layer(pane, GLASS, 0.6),
        Layer(ellipse(x, y, w - 0.09, 0.14, 0.08, 0.1), (1.0, 0.92, 0.55), 0.4),
        Layer(circle(side, y, w * 0.56, 0.5, r), (0.22, 0.22, 0.25)),
        Layer(circle(side, y, w * 0.56, 0.5, r * 0.45), "second", 0.4),
    ]
    return Drawing(layers, {"roof": (at, top), "bumper": (w, 0.23), "wheel": (w * 0.56, 0.5 + r)})


def cup(x: Tensor, y: Tensor, height: Tensor, width: Tensor, handle: Tensor, taper: Tensor) -> Drawing:
    top, w, r = -0.38 - 0.38 * height, 0.5 + 0.13 * width, 0.21 + 0.14 * handle
    base, at, middle = w * (0.6 + 0.35 * taper), -0.16, 0.06
    body = polygon(x, y, (at - w + 0.05, top), (at + w - 0.05, top), (at + base - 0.05, 0.76), (at - base + 0.05, 0.76), r=0.05)
    grip = at + (w + base) * 0.5
    layers = [
        Layer(ring(x, y, grip, middle, r, 0.09), "main"),
        Layer(union(body, ellipse(x, y, at, 0.78, base, 0.1)), "surface"),
        Layer(ellipse(x, y, at, top, w, 0.16), "second"),
        Layer(ellipse(x, y, at, top + 0.02, w * 0.82, 0.11), (0.34, 0.21, 0.15), 0.4),
    ]
    return Drawing(layers, {"rim": (at - w, top), "handle": (grip + r + 0.09, middle), "base": (at - base, 0.78)})


def rocket(x: Tensor, y: Tensor, nose: Tensor, width: Tensor, fins: Tensor, flame: Tensor) -> Drawing:
    w, tip, span, fire = 0.28 + 0.12 * width, -0.6 - 0.36 * nose, 0.4 + 0.34 * fins, 0.68 + 0.28 * flame
    side, tall = x.abs(), 0.08 - tip
    bend = (w * w + tall * tall) / (2 * w)  # radius of the circle through the tip and the widest point
    hull = both(circle(side, y, w - bend, 0.08, bend), y - 0.48)
    fin = polygon(side, y, (w * 0.6, 0.02), (span, 0.5), (span, 0.68), (w * 0.5, 0.46), r=0.03)
    layers = [
        Layer(leaf(x, y, 0.0, 0.3, 0.0, fire, 0.2), (0.98, 0.58, 0.16), 0.3),
        Layer(leaf(x, y, 0.0, 0.3, 0.0, fire - 0.14, 0.1), (1.0, 0.88, 0.40), 0.0),
        Layer(fin, "second"),
        Layer(hull, "surface"),
        Layer(box(x, y, 0.0, 0.48, w * 0.72, 0.06, 0.03), METAL),
        Layer(circle(x, y, 0.0, -0.12, 0.17), METAL, 0.6),
        Layer(circle(x, y, 0.0, -0.12, 0.115), (0.35, 0.62, 0.85), 0.4),
    ]
    return Drawing(layers, {"nose": (0.0, tip), "fin": (span, 0.66), "flame": (0.0, fire)})


def umbrella(x: Tensor, y: Tensor, width: Tensor, height: Tensor, handle: Tensor, hook: Tensor) -> Drawing:
    w, h, end, r = 0.66 + 0.3 * width, 0.5 + 0.32 * height, 0.46 + 0.3 * handle, 0.11 + 0.07 * hook
    panel = w * 0.5
    scallop = ellipse(x - (torch.floor(x / panel) + 0.5) * panel, y, 0.0, 0.03, panel * 0.5, 0.13)
    dome = ellipse(x, y, 0.0, 0.0, w, h)
    canopy = both(dome, y, -scallop)
    rib = both(ellipse(x, y, 0.0, 0.0, w * 0.46, h).abs() - 0.022, canopy)
    pole = union(capsule(x, y, 0.0, -0.12 - h, 0.0, end, 0.05), both(ring(x, y, -r, end, r, 0.05), end - y))
    layers = [Layer(pole, INK, 0.3), Layer(canopy, "surface"), Layer(rib, "shade", 0.0)]
    return Drawing(layers, {"tip": (0.0, -0.12 - h), "edge": (w, 0.0), "handle": (-r, end + r)})
