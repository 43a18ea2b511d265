"""What grows: mushroom, tree, flower, apple, cactus. See `objects` for what a drawing function takes and gives."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from dragonkit.toybox.drawing.layers import BARK, GREEN, Drawing, Layer
from dragonkit.toybox.drawing.sdf import both, box, capsule, circle, ellipse, leaf, melt, polygon, union


def mushroom(x: Tensor, y: Tensor, width: Tensor, height: Tensor, stem: Tensor, lean: Tensor) -> Drawing:
    w, h, brim, at = 0.6 + 0.3 * width, 0.5 + 0.38 * height, 0.28 - 0.3 * stem, (lean - 0.5) * 0.36
    stalk = polygon(x, y, (at - 0.14, brim), (at + 0.14, brim), (0.22, 0.9), (-0.22, 0.9), r=0.03)
    cap = both(ellipse(x, y, at, brim + 0.05, w, h + 0.05), y - brim - 0.05) - 0.02
    layers = [
        Layer(ellipse(x, y, at, brim + 0.05, w * 0.86, 0.13), (0.82, 0.72, 0.60)),
        Layer(stalk, (0.96, 0.90, 0.79)),
        Layer(cap, "surface"),
    ]
    return Drawing(layers, {"cap": (at, brim - h), "brim": (at + w, brim)})


def tree(x: Tensor, y: Tensor, width: Tensor, height: Tensor, trunk: Tensor, lean: Tensor) -> Drawing:
    w, h, base, at = 0.56 + 0.34 * width, 0.36 + 0.17 * height, 0.38 - 0.26 * trunk, (lean - 0.5) * 0.5
    crown = union(
        ellipse(x, y, at, base - 0.45, w * 0.72, h),
        ellipse(x, y, at * 0.6 - w * 0.46, base - 0.12, w * 0.52, 0.31),
        ellipse(x, y, at * 0.6 + w * 0.46, base - 0.12, w * 0.52, 0.31),
    )
    wood = polygon(x, y, (at * 0.5 - 0.09, base - 0.3), (at * 0.5 + 0.09, base - 0.3), (0.15, 0.92), (-0.15, 0.92), r=0.02)
    layers = [Layer(wood, BARK), Layer(crown, "surface")]
    side = w * 0.98
    return Drawing(layers, {"top": (at, base - 0.45 - h), "left": (at * 0.6 - side, base - 0.12), "right": (at * 0.6 + side, base - 0.12)})


def flower(x: Tensor, y: Tensor, petals: Tensor, bend: Tensor, stem: Tensor, leaves: Tensor) -> Drawing:
    r, hx, hy = 0.42 + 0.15 * petals, (bend - 0.5) * 0.8, -0.1 - 0.28 * stem
    # One petal, folded around the head six times.
    turn = torch.atan2(y - hy, x - hx) + math.pi / 6
    turn = turn - torch.round(turn * (3 / math.pi)) * (math.pi / 3)
    radius = torch.sqrt((x - hx) ** 2 + (y - hy) ** 2 + 1e-9)
    petal = ellipse(radius * torch.cos(turn), radius * torch.sin(turn), r * 0.6, 0.0, r * 0.4, r * 0.33)
    along = ((0.95 - y) / (0.95 - hy)).clamp(0, 1)
    slope = hx * 2 * along / (0.95 - hy)
    stalk = both(((x - hx * along * along).abs() - 0.06) / torch.sqrt(1 + slope * slope), hy - y, y - 0.95)
    root, tip = hx * 0.12, 0.55 - 0.5 * leaves
    leafage = union(leaf(x, y, root, 0.68, root + 0.56, tip, 0.13), leaf(x, y, root, 0.78, root - 0.5, tip + 0.12, 0.12))
    layers = [
        Layer(stalk, (0.24, 0.50, 0.26)),
        Layer(leafage, GREEN),
        Layer(petal, "surface"),
        Layer(circle(x, y, hx, hy, r * 0.34), "second"),
    ]
    return Drawing(layers, {"head": (hx, hy), "petal": (hx, hy - r), "leaf": (root + 0.56, tip)})


def apple(x: Tensor, y: Tensor, width: Tensor, height: Tensor, leaves: Tensor, stem: Tensor) -> Drawing:
    w, h, at = 0.64 + 0.24 * width, 0.5 + 0.18 * height, (stem - 0.5) * 0.5
    fruit = melt(ellipse(x, y, w * -0.34, 0.24, w * 0.66, h), ellipse(x, y, w * 0.34, 0.24, w * 0.66, h), 0.12)
    top = 0.3 - h
    tip_x, tip_y = 0.3 + 0.35 * leaves, top - 0.5 + 0.36 * leaves
    layers = [
        Layer(capsule(x, y, 0.0, top + 0.1, at, top - 0.36, 0.065), BARK),
        Layer(leaf(x, y, 0.02, top - 0.08, tip_x, tip_y, 0.13), GREEN),
        Layer(fruit, "surface"),
        Layer(leaf(x, y, w * -0.62, 0.2, w * -0.44, 0.2 - h * 0.55, 0.07), "shine", 0.0),
    ]
    return Drawing(layers, {"stem": (at, top - 0.36), "leaf": (tip_x, tip_y), "cheek": (w, 0.24)})


def cactus(x: Tensor, y: Tensor, height: Tensor, left: Tensor, right: Tensor, width: Tensor) -> Drawing:
    r, top, left_top, right_top = 0.2 + 0.07 * width, -0.28 - 0.38 * height, 0.02 - 0.52 * left, -0.08 - 0.52 * right
    plant = union(
        capsule(x, y, 0.0, 0.6, 0.0, top, r),
        capsule(x, y, 0.0, 0.28, -0.56, 0.28, 0.13),
        capsule(x, y, -0.56, 0.28, -0.56, left_top, 0.13),
        capsule(x, y, 0.0, 0.12, 0.56, 0.12, 0.13),
        capsule(x, y, 0.56, 0.12, 0.56, right_top, 0.13),
    )
    pot = polygon(x, y, (-0.4, 0.6), (0.4, 0.6), (0.3, 0.93), (-0.3, 0.93), r=0.02)
    layers = [
        Layer(plant, "surface"),
        Layer(pot, "second"),
        Layer(box(x, y, 0.0, 0.57, 0.46, 0.1, 0.04), "second"),
    ]
    return Drawing(layers, {"top": (0.0, top - r), "left_arm": (-0.56, left_top - 0.13), "right_arm": (0.56, right_top - 0.13)})
