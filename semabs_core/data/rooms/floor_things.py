"""What stands on floors: bins, brooms, safes, suitcases, shoes."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from semabs_core.data.rooms.bodies import Area, Body, Kit, object_class, standing
from semabs_core.data.rooms.parts import Part, turned
from semabs_core.data.rooms.shapes import (
    ball,
    box,
    cup,
    cushion,
    cylinder,
    lathe,
    prism,
    rod,
    torus,
)


@object_class("broom", "lean", "red blue green yellow")
def broom(k: Kit) -> Body:
    """A broom that leans on the wall behind it."""
    bristle = k.paint((0.8, 0.65, 0.35), "cloth", 0.02, 0.02)
    parts = [
        prism(
            np.array([(-0.025, -0.16), (0.025, -0.16), (0.025, 0.16), (-0.025, 0.16)]),
            0.12,
            bristle,
        ),
        box((0.055, 0.3, 0.05), k.main("plain", 0.3), (0, 0, 0.11)),
        cylinder(0.013, 1.15, k.wood(), (0, 0, 0.14)),
    ]
    return Body(standing(turned(parts, "y", k.u(7, 11))))


@object_class("safe", "safe", "black gray green")
def safe(k: Kit) -> Body:
    """A steel box: thick door, dial, handle, hinges."""
    a = k.u(0.32, 0.45)
    steel = k.main("plain", 0.35) if k.named else k.paint((0.24, 0.26, 0.28), "plain", 0.35)
    metal, front = k.paint((0.72, 0.72, 0.7), "plain", 0.8), -0.45 * a
    parts = [
        box((0.9 * a, a, a), steel),
        box((0.03, 0.84 * a, 0.84 * a), steel, (front - 0.01, 0, 0.08 * a)),
    ]
    rim = k.paint((0.1, 0.1, 0.11), "plain", 0.3)
    parts.append(box((0.004, 0.88 * a, 0.88 * a), rim, (front - 0.001, 0, 0.06 * a)))
    dial = turned(
        [
            cylinder(0.13 * a, 0.035, rim),
            cylinder(0.09 * a, 0.055, metal),
            box((0.02 * a, 0.12 * a, 0.06), rim),
        ],
        "y",
        -90,
    )
    parts += [part.moved(front - 0.015, 0.12 * a, 0.58 * a) for part in dial]
    for angle in (90, 210, 330):
        c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        parts.append(
            rod(
                (front - 0.06, -0.22 * a, 0.42 * a),
                (front - 0.06, -0.22 * a + 0.13 * a * c, 0.42 * a + 0.13 * a * s),
                0.009,
                metal,
            )
        )
    parts.append(
        cylinder(0.02, 0.05, metal).turned("y", -90).moved(front - 0.02, -0.22 * a, 0.42 * a)
    )
    parts += [
        cylinder(0.018, 0.12 * a, metal, (front - 0.012, 0.46 * a, z * a)) for z in (0.2, 0.68)
    ]
    return Body(parts, [Area((0, 0, a), (0.9 * a, a), 0.5, "on", ("decor", "book", "device"), 8)])


@object_class("garbage can", "bin", "black white gray red blue", 2.0)
def garbage_can(k: Kit) -> Body:
    """An open bin, or one with a domed swing lid."""
    r, z = k.u(0.13, 0.17), k.u(0.32, 0.5)
    paint = k.main("plain", 0.3)
    parts = [cup(0.82 * r, z, 0.008, paint, top=r), torus(r, 0.009, paint, (0, 0, z))]
    if k.chance(0.4):
        t = np.linspace(0, np.pi / 2, 6)
        dome = np.stack([r * np.cos(t), 0.6 * r * np.sin(t)], axis=1)
        dome[-1, 0] = 0
        lid = lathe(
            np.concatenate([[(0, 0)], dome]), k.paint("gray", "plain", 0.3), (0, 0, z + 0.004)
        )
        slot = box(
            (0.5 * r, 0.9 * r, 0.02), k.paint("black", "plain"), (-0.5 * r, 0, z + 0.3 * r)
        ).turned("y", -32, (-0.5 * r, 0, z + 0.3 * r))
        return Body([*parts, lid, slot])
    bag = (
        k.paint((0.9, 0.9, 0.92), "plain", 0.4) if k.chance(0.5) else k.paint("black", "plain", 0.3)
    )
    parts.append(torus(r - 0.006, 0.012, bag, (0, 0, z + 0.004)))
    return Body(parts, [Area((0, 0, 0.03), (1.1 * r, 1.1 * r), 0.3, "in", ("trash", "bottle"), 40)])


@object_class("paper ball", "trash")
def paper_ball(k: Kit) -> Body:
    """Crumpled paper."""
    r, white = k.u(0.035, 0.05), k.paint("white", "mottled", 0.02, 0.02)
    lumps = [
        ball(0.6 * r, white, tuple(np.array([0, 0, r]) + 0.5 * r * d))
        for d in k.rng.normal(0, 0.6, (4, 3)).clip(-1, 1)
    ]
    low = min(part.vertices[:, 2].min() for part in [*lumps])
    return Body([part.moved(z=-min(low, 0)) for part in [ball(0.85 * r, white, (0, 0, r)), *lumps]])


@object_class("suitcase", "floor", "red blue black green")
def suitcase(k: Kit) -> Body:
    """A standing trolley with ribs, wheels and a handle."""
    x, y, z = k.u(0.2, 0.26), k.u(0.36, 0.44), k.u(0.52, 0.66)
    shell, dark = k.main("plain", 0.4), k.paint("black", "plain")
    parts = [cushion((x, y, z), shell, (0, 0, 0.05), 0.2)]
    parts += [
        box((x + 0.006, 0.02, z * 0.8), shell, (0, d * y, 0.05 + 0.1 * z))
        for d in (-0.3, -0.1, 0.1, 0.3)
    ]
    parts += [
        ball(0.028, dark, (sx * 0.35 * x, sy * 0.38 * y, 0.028)) for sx in (-1, 1) for sy in (-1, 1)
    ]
    bow = np.array(
        [
            (0.25 * x, -0.09, z),
            (0.25 * x, -0.09, z + 0.3),
            (0.25 * x, 0.09, z + 0.3),
            (0.25 * x, 0.09, z),
        ]
    )
    return Body([*parts, *(rod(a, b, 0.01, k.metal()) for a, b in pairwise(bow))])


@object_class("shoe", "floor toy", "red white black brown blue")
def shoe(k: Kit) -> Body:
    """A pair of shoes."""
    upper, sole = k.main("cloth", 0.2), k.paint("white" if sum(k.color) < 2 else "brown", "plain")
    parts: list[Part] = []
    for y in (-0.065, 0.065):
        parts += [
            cushion((0.28, 0.1, 0.03), sole, (0, y, 0), 0.4),
            cushion((0.16, 0.09, 0.07), upper, (-0.055, y, 0.018), 0.8),
            cushion((0.13, 0.088, 0.11), upper, (0.065, y, 0.018), 0.5),
            ball((0.035, 0.028, 0.01), k.paint("black", "plain"), (0.07, y, 0.123)),
        ]
    return Body(turned(parts, "z", k.u(0, 360)))
