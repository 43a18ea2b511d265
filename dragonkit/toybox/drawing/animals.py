"""What has eyes, or nearly: fish, duck, butterfly, snowman. See `objects` for what a drawing function takes and gives."""

from __future__ import annotations

from torch import Tensor

from dragonkit.toybox.drawing.layers import BARK, BEAK, INK, WHITE, Drawing, Layer
from dragonkit.toybox.drawing.sdf import both, box, capsule, circle, ellipse, leaf, melt, polygon, union


def fish(x: Tensor, y: Tensor, tail: Tensor, length: Tensor, height: Tensor, fin: Tensor) -> Drawing:
    half, h, swing, crest = 0.54 + 0.16 * length, 0.36 + 0.18 * height, (tail - 0.5) * 0.76, 0.1 + 0.3 * fin
    at, end = 0.94 - half, -0.8 - 0.12 * length
    fan = polygon(x, y, (at - half + 0.22, swing * 0.15), (end, swing + 0.3), (end, swing - 0.3), r=0.03)
    fan = both(fan, -ellipse(x, y, end - 0.06, swing, 0.2, 0.2))
    dorsal = polygon(x, y, (at + 0.34, h * -0.7), (at - 0.3, h * -0.7), (at - 0.28, -h - crest), r=0.03)
    eye = at + half * 0.52
    layers = [
        Layer(fan, "second"),
        Layer(dorsal, "second"),
        Layer(ellipse(x, y, at, 0.0, half, h), "surface"),
        Layer(leaf(x, y, at + 0.12, 0.06, at - 0.24, 0.22, 0.1), "second"),
        Layer(circle(x, y, eye, -0.1, 0.13), WHITE, 0.4),
        Layer(circle(x, y, eye + 0.03, -0.1, 0.075), INK, 0.0),
    ]
    return Drawing(layers, {"tail": (end + 0.14, swing), "fin": (at - 0.28, -h - crest), "belly": (at, h)})


def duck(x: Tensor, y: Tensor, head: Tensor, bill: Tensor, tail: Tensor, body: Tensor) -> Drawing:
    hy, reach, lift, h = -0.22 - 0.3 * head, 0.2 + 0.2 * bill, 0.04 - 0.32 * tail, 0.4 + 0.09 * body
    bulk = melt(ellipse(x, y, -0.08, 0.46, 0.74, h), capsule(x, y, 0.32, 0.4, 0.34, hy + 0.1, 0.19), 0.3)
    bulk = melt(bulk, polygon(x, y, (-0.34, 0.14), (-0.6, 0.6), (-0.88, lift), r=0.03), 0.2)
    bulk = melt(bulk, circle(x, y, 0.36, hy, 0.31), 0.12)
    beak = leaf(x, y, 0.5, hy + 0.07, 0.6 + reach, hy + 0.1, 0.11)
    layers = [
        Layer(beak, BEAK),
        Layer(bulk, "surface"),
        Layer(leaf(x, y, 0.28, 0.46, -0.52, 0.34, 0.2), "second"),
        Layer(circle(x, y, 0.46, hy - 0.07, 0.085), WHITE, 0.0),
        Layer(circle(x, y, 0.475, hy - 0.07, 0.06), INK, 0.0),
    ]
    return Drawing(layers, {"head": (0.36, hy - 0.31), "bill": (0.6 + reach, hy + 0.1), "tail": (-0.88, lift)})


def butterfly(x: Tensor, y: Tensor, spread: Tensor, lift: Tensor, lower: Tensor, body: Tensor) -> Drawing:
    side = x.abs()
    tip_x, tip_y, low_x, low_y, end = 0.66 + 0.28 * spread, -0.3 - 0.42 * lift, 0.4 + 0.24 * lower, 0.56 + 0.26 * lower, 0.4 + 0.3 * body
    upper = leaf(side, y, -0.04, 0.1, tip_x, tip_y, 0.36)
    hind = leaf(side, y, -0.04, -0.04, low_x, low_y, 0.27)
    layers = [
        Layer(capsule(side, y, 0.03, -0.3, 0.26, -0.82, 0.035), INK, 0.0),
        Layer(hind, "second"),
        Layer(upper, "surface"),
        Layer(leaf(x, y, 0.0, -0.5, 0.0, end, 0.115), (0.24, 0.18, 0.20)),
    ]
    return Drawing(layers, {"wing": (tip_x, tip_y), "lower_wing": (low_x, low_y), "body": (0.0, end)})


def snowman(x: Tensor, y: Tensor, head: Tensor, belly: Tensor, arms: Tensor, hat: Tensor) -> Drawing:
    rb, rh, tall = 0.4 + 0.11 * belly, 0.25 + 0.07 * head, 0.2 + 0.16 * hat
    by = 0.95 - rb
    hy = 0.95 - 2 * rb - rh * 0.72
    brim, hand, shoulder = hy - rh * 0.72, by - 0.12 + (0.4 - arms) * 0.8, by - 0.12
    side = x.abs()
    dots = union(circle(x, y, 0.0, by - 0.1, 0.055), circle(x, y, 0.0, by + 0.12, 0.055), circle(side, y, rh * 0.4, hy - 0.06, 0.05))
    top_hat = union(box(x, y, 0.0, brim, rh * 1.15, 0.05, 0.03), box(x, y, 0.0, brim - tall * 0.5, rh * 0.68, tall * 0.5, 0.03))
    layers = [
        Layer(capsule(side, y, rb * 0.7, shoulder, 0.86, hand, 0.045), BARK),
        Layer(circle(x, y, 0.0, by, rb), "surface"),
        Layer(circle(x, y, 0.0, hy, rh), "main"),
        Layer(dots, INK, 0.0),
        Layer(polygon(x, y, (0.0, hy), (0.3, hy + 0.09), (0.0, hy + 0.12), r=0.02), (0.96, 0.55, 0.16), 0.5),
        Layer(box(x, y, 0.0, hy + rh * 0.92, rh * 0.95, 0.085, 0.05), "second"),
        Layer(top_hat, (0.2, 0.2, 0.25)),
    ]
    return Drawing(layers, {"hat": (0.0, brim - tall), "arm": (0.88, hand), "belly": (rb, by)})
