"""Toys, balls, sports and music."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Body, Kit, object_class, standing
from semabs_core.data.rooms.parts import turned
from semabs_core.data.rooms.shapes import (
    ball,
    box,
    cushion,
    cylinder,
    lathe,
    rod,
    torus,
)


@object_class("teddy bear", "soft", "brown white pink blue", 2.5)
def teddy_bear(k: Kit) -> Body:
    """A sitting bear: belly, head, snout, ears, arms and legs."""
    s = k.u(0.8, 1.35)
    fur = (
        k.main("mottled", 0.02, 0.012)
        if k.named
        else k.paint((0.52, 0.32, 0.16), "mottled", 0.02, 0.012)
    )
    pale, dark = k.paint((0.85, 0.7, 0.5), "mottled", 0.02, 0.012), k.paint("black", "plain", 0.7)
    parts = [
        ball((0.075, 0.085, 0.1), fur, (0, 0, 0.1)),
        ball(0.068, fur, (-0.005, 0, 0.235)),
        ball((0.03, 0.034, 0.028), pale, (-0.062, 0, 0.222)),
        ball(0.011, dark, (-0.092, 0, 0.232)),
        ball((0.03, 0.055, 0.065), pale, (-0.055, 0, 0.1)),
    ]
    for y in (-1, 1):
        parts += [
            ball((0.014, 0.028, 0.028), fur, (0, y * 0.052, 0.295)),
            ball((0.01, 0.017, 0.017), pale, (-0.01, y * 0.052, 0.294)),
            ball(0.0085, dark, (-0.06, y * 0.026, 0.258)),
            ball((0.075, 0.04, 0.04), fur, (-0.09, y * 0.062, 0.04)),
            ball((0.014, 0.034, 0.034), pale, (-0.158, y * 0.066, 0.042)),
            ball((0.03, 0.028, 0.068), fur, (-0.03, y * 0.092, 0.135)).turned(
                "x", y * 22, (0, y * 0.08, 0.17)
            ),
        ]
    return Body(turned([part.stretched(s, s, s) for part in parts], "z", k.u(-35, 35)))


@object_class("basket ball", "ball", weight=2.5)
def basket_ball(k: Kit) -> Body:
    """An orange ball with black seams."""
    r = 0.121
    return Body(
        [
            ball(
                r,
                k.paint((0.85, 0.38, 0.1), "seams", 0.15, r, second=(0.06, 0.05, 0.05)),
                (0, 0, r),
            )
        ]
    )


@object_class("soccer ball", "ball")
def soccer_ball(k: Kit) -> Body:
    """A white ball with black patches."""
    r, dark = 0.11, k.paint("black", "plain", 0.3)
    g = (1 + 5**0.5) / 2
    spots = np.array([(0, a, b * g) for a in (-1, 1) for b in (-1, 1)]) / np.hypot(1, g)
    spots = np.concatenate([np.roll(spots, i, axis=1) for i in range(3)])
    patches = []
    for spot in spots:
        tilt, turn = np.degrees(np.arccos(spot[2])), np.degrees(np.arctan2(spot[1], spot[0]))
        patch = ball((0.038, 0.038, 0.006), dark, (0, 0, r - 0.003))
        patches.append(patch.turned("y", tilt).turned("z", turn).moved(z=r))
    low = min(part.vertices[:, 2].min() for part in patches)
    parts = [ball(r, k.paint("white", "plain", 0.3), (0, 0, r)), *patches]
    return Body([part.moved(z=-min(low, 0.0)) for part in parts])


@object_class("toy car", "toy", "red blue green yellow")
def toy_car(k: Kit) -> Body:
    """A body, a cabin and four wheels."""
    paint, dark = k.main("plain", 0.6), k.paint("black", "plain", 0.2)
    glass = k.paint((0.55, 0.7, 0.8), "plain", 0.8)
    parts = [
        cushion((0.16, 0.075, 0.045), paint, (0, 0, 0.016), 0.2),
        cushion((0.085, 0.065, 0.04), glass, (0.01, 0, 0.054), 0.3),
        box((0.06, 0.055, 0.006), paint, (0.012, 0, 0.09)),
    ]
    parts += [
        cylinder(0.02, 0.016, dark).turned("x", 90).moved(sx * 0.048, sy * 0.036 + 0.008, 0.02)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    return Body(turned(parts, "z", k.u(0, 360)))


@object_class("rubber duck", "bath toy", weight=2.0)
def rubber_duck(k: Kit) -> Body:
    """A yellow duck."""
    s = k.u(0.9, 1.3)
    yellow = k.paint((0.95, 0.8, 0.1), "plain", 0.5)
    beak, dark = k.paint((0.92, 0.4, 0.08), "plain", 0.4), k.paint("black", "plain")
    parts = [
        ball((0.05, 0.04, 0.032), yellow, (0, 0, 0.032)),
        ball(0.028, yellow, (-0.03, 0, 0.08)),
        ball((0.018, 0.014, 0.006), beak, (-0.06, 0, 0.076)),
        ball((0.02, 0.016, 0.012), yellow, (0.047, 0, 0.052)),
    ]
    parts += [ball(0.005, dark, (-0.05, y * 0.014, 0.09)) for y in (-1, 1)]
    return Body(turned([part.stretched(s, s, s) for part in parts], "z", k.u(0, 360)))


@object_class("blocks", "toy")
def blocks(k: Kit) -> Body:
    """A few toy bricks, piled."""
    a = k.u(0.04, 0.05)
    spots = [
        (0, -a * 1.1, 0),
        (0, 0, 0),
        (0, a * 1.1, 0),
        (0, -a * 0.5, a),
        (0, a * 0.55, a),
        (0, 0, 2 * a),
    ]
    colors = ["red", "blue", "yellow", "green", "orange", "purple"]
    return Body(
        turned(
            [
                box((a, a, a), k.paint(color, "plain", 0.3), at).turned("z", k.u(-12, 12), at)
                for color, at in zip(k.rng.permutation(colors), spots)
            ],
            "z",
            k.u(0, 360),
        )
    )


@object_class("baseball bat", "lean", weight=2.0)
def baseball_bat(k: Kit) -> Body:
    """A bat that leans on the wall behind it."""
    profile = np.array(
        [
            (0, 0),
            (0.03, 0.004),
            (0.033, 0.04),
            (0.033, 0.3),
            (0.016, 0.55),
            (0.013, 0.78),
            (0.023, 0.8),
            (0.022, 0.82),
            (0, 0.825),
        ]
    )
    wood = k.paint((0.76, 0.56, 0.32), "mottled", 0.4, 0.1)
    bat = [lathe(profile, wood), cylinder(0.016, 0.16, k.paint("black", "cloth"), (0, 0, 0.61))]
    return Body(standing(turned(bat, "y", k.u(12, 18))))


@object_class("tennis racket", "lean", "red blue black yellow")
def tennis_racket(k: Kit) -> Body:
    """A racket that leans on the wall behind it, head down."""
    frame, string = k.main("plain", 0.5), k.paint("white", "plain")
    ring = turned([torus(0.12, 0.011, frame).stretched(x=1.3)], "y", -90)
    ring = [part.moved(0, 0, 0.167) for part in ring]
    cords = [
        rod((0, d, 0.02 + 0.05 * abs(d) * 10), (0, d, 0.31 - 0.05 * abs(d) * 10), 0.0022, string)
        for d in (-0.08, -0.04, 0, 0.04, 0.08)
    ]
    cords += [rod((0, -0.1, z), (0, 0.1, z), 0.0022, string) for z in (0.09, 0.14, 0.19, 0.24)]
    shaft = [
        rod((0, 0, 0.32), (0, 0, 0.5), 0.011, frame),
        rod((0, 0, 0.5), (0, 0, 0.68), 0.016, k.paint("black", "cloth")),
    ]
    return Body(standing(turned([*ring, *cords, *shaft], "y", k.u(12, 18))))


@object_class("guitar", "lean")
def guitar(k: Kit) -> Body:
    """A guitar that leans on the wall behind it."""
    top, dark = (
        k.paint((0.78, 0.5, 0.22), "wood", 0.5, 0.05, second=(0.65, 0.38, 0.15)),
        k.paint((0.15, 0.09, 0.06), "plain", 0.3),
    )
    body = [
        cylinder(0.19, 0.09, top, (-0.19, 0, 0)),
        cylinder(0.145, 0.09, top, (-0.44, 0, 0)),
        box((0.2, 0.22, 0.09), top, (-0.33, 0, 0)),
        cylinder(0.05, 0.004, dark, (-0.38, 0, 0.09)),
        box((0.03, 0.15, 0.012), dark, (-0.2, 0, 0.09)),
    ]
    neck = [
        box((0.5, 0.05, 0.03), dark, (-0.7, 0, 0.07)),
        box((0.14, 0.075, 0.025), dark, (-0.98, 0, 0.06)),
    ]
    upright = turned([*body, *neck], "y", 90)
    upright = turned(upright, "z", 180)
    return Body(standing(turned(upright, "y", k.u(10, 15))))


@object_class("dumbbell", "sport", "black blue red gray", 2.0)
def dumbbell(k: Kit) -> Body:
    """A bar with two thick ends, lying."""
    r, y = k.u(0.045, 0.06), k.u(0.2, 0.26)
    weight, metal = k.main("plain", 0.3), k.metal()
    ends = [
        lathe(
            np.array([(0, 0), (0.8 * r, 0), (r, 0.012), (r, 0.055), (0.8 * r, 0.067), (0, 0.067)]),
            weight,
        )
        .turned("x", -90)
        .moved(0, s * (y / 2 - 0.0335) - 0.0335, r)
        for s in (-1, 1)
    ]
    return Body(
        turned(
            [*ends, rod((0, -y / 2 + 0.03, r), (0, y / 2 - 0.03, r), 0.014, metal)],
            "z",
            k.u(0, 360),
        )
    )


@object_class("skateboard", "sport", "red blue green black")
def skateboard(k: Kit) -> Body:
    """A deck on four wheels, both ends bent up."""
    deck, wheel = k.main("plain", 0.2), k.paint("white", "plain", 0.3)
    parts = [box((0.19, 0.56, 0.014), deck, (0, 0, 0.075))]
    parts += [
        box((0.19, 0.13, 0.014), deck, (0, s * 0.33, 0.075)).turned(
            "x", s * 22, (0, s * 0.275, 0.08)
        )
        for s in (-1, 1)
    ]
    parts += [
        cylinder(0.028, 0.035, wheel).turned("y", 90).moved(sx * 0.07 - 0.0175, sy * 0.2, 0.028)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    parts += [box((0.14, 0.03, 0.04), k.metal(), (0, s * 0.2, 0.03)) for s in (-1, 1)]
    return Body(turned(parts, "z", k.u(0, 180)))
