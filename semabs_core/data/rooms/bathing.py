"""What one washes and cleans with."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Area, Body, Kit, object_class
from semabs_core.data.rooms.parts import turned
from semabs_core.data.rooms.shapes import (
    arc,
    box,
    cup,
    cushion,
    cylinder,
    lathe,
    prism,
    rod,
    torus,
    tube,
)


@object_class("toilet paper", "bath small", weight=1.5)
def toilet_paper(k: Kit) -> Body:
    """A roll, standing or a small pile."""
    white, r = k.paint("white", "mottled", 0.02, 0.02), k.u(0.05, 0.058)
    tube_ = cylinder(0.019, 0.102, k.paint((0.6, 0.48, 0.35)))
    rolls = [(0, 0, 0)] + ([(0, 0, 0.102)] if k.chance(0.3) else [])
    return Body([part.moved(*at) for at in rolls for part in (cylinder(r, 0.1, white), tube_)])


@object_class("soap bottle", "bath small", "white green blue pink", 1.5)
def soap_bottle(k: Kit) -> Body:
    """A bottle with a pump."""
    r, z, white = k.u(0.03, 0.038), k.u(0.12, 0.15), k.paint("white", "plain", 0.4)
    spout = [
        cylinder(0.014, 0.025, white, (0, 0, z)),
        cylinder(0.005, 0.03, white, (0, 0, z + 0.02)),
        rod((0.01, 0, z + 0.052), (-0.045, 0, z + 0.045), 0.006, white),
    ]
    return Body(
        turned([cylinder(r, z, k.main("plain", 0.6), top=0.9 * r), *spout], "z", k.u(-40, 40))
    )


@object_class("soap bar", "bath small")
def soap_bar(k: Kit) -> Body:
    """A bar of soap on a dish."""
    soap = k.paint(k.tone("pink", "white", (0.7, 0.85, 0.6), (0.95, 0.85, 0.6)), "plain", 0.4)
    dish = cup(0.06, 0.016, 0.005, k.ceramic(), top=0.068).stretched(y=1.2)
    return Body(
        turned([dish, cushion((0.055, 0.09, 0.03), soap, (0, 0, 0.006), 0.4)], "z", k.u(0, 180))
    )


@object_class("toothbrush cup", "bath small")
def toothbrush_cup(k: Kit) -> Body:
    """A cup with two toothbrushes."""
    parts = [cup(0.034, 0.095, 0.004, k.paint(k.pick(["white", "teal", "blue"]), "plain", 0.5))]
    for s, color in zip((-1, 1), ("blue", "pink")):
        parts += [
            rod((0, -s * 0.02, 0.01), (0, s * 0.034, 0.18), 0.005, k.paint(color, "plain")),
            box((0.014, 0.01, 0.028), k.paint("white", "plain"), (-0.006, s * 0.034, 0.165)),
        ]
    return Body(parts)


@object_class("towel", "soft laundry", "red blue green white yellow")
def towel(k: Kit) -> Body:
    """A folded towel of two or three layers."""
    x, y, cloth = k.u(0.22, 0.28), k.u(0.3, 0.4), k.main("cloth", 0.0)
    layers = [
        cushion((x - 0.01 * i, y - 0.01 * i, 0.035), cloth, (0, 0, 0.028 * i), 0.3)
        for i in range(k.pick([2, 3]))
    ]
    return Body(turned(layers, "z", k.u(-15, 15)))


@object_class("tissue box", "bath", "blue green pink white")
def tissue_box(k: Kit) -> Body:
    """A box with a tissue sticking out."""
    tissue = k.paint("white", "plain", 0.0)
    leaf = prism(
        np.array([(-0.01, -0.05), (0.02, -0.03), (0.01, 0.05), (-0.02, 0.03)]),
        0.06,
        tissue,
        (0, 0, 0.08),
    )
    return Body(
        turned(
            [box((0.12, 0.22, 0.085), k.main("dots" if not k.named else "plain", 0.1, 0.03)), leaf],
            "z",
            k.u(-30, 30),
        )
    )


@object_class("plunger", "bath floor")
def plunger(k: Kit) -> Body:
    """A rubber cup on a stick."""
    cup_ = lathe(
        np.array([(0, 0), (0.075, 0), (0.072, 0.05), (0.03, 0.1), (0, 0.1)]),
        k.paint((0.6, 0.14, 0.08), "plain", 0.3),
    )
    return Body([cup_, cylinder(0.012, 0.45, k.paint((0.78, 0.6, 0.36)), (0, 0, 0.08))])


@object_class("bucket", "bath floor", "red blue green yellow")
def bucket(k: Kit) -> Body:
    """A bucket with its bow down."""
    r, z, paint = k.u(0.12, 0.15), k.u(0.24, 0.29), k.main("plain", 0.4)
    bow = tube(
        arc((0, 0, z - 0.01), r + 0.006, 0, 180, "yx") * (-0.75, 1, 1) - (0, 0, 0.0),
        0.004,
        k.metal(),
    )
    parts = [cup(0.75 * r, z, 0.006, paint, top=r), torus(r, 0.007, paint, (0, 0, z)), bow]
    return Body(
        parts, [Area((0, 0, 0.01), (0.9 * r, 0.9 * r), 0.3, "in", ("soft laundry", "bath toy"), 25)]
    )


@object_class("spray bottle", "bath", "blue green yellow pink")
def spray_bottle(k: Kit) -> Body:
    """A bottle with a trigger."""
    z, white = k.u(0.17, 0.2), k.paint("white", "plain", 0.4)
    body = lathe(
        np.array([(0, 0), (0.04, 0), (0.042, 0.5 * z), (0.014, 0.9 * z), (0.014, z), (0, z)]),
        k.main("plain", 0.7),
    )
    head = [
        box((0.085, 0.028, 0.03), white, (-0.02, 0, z)),
        box((0.012, 0.015, 0.045), white, (-0.035, 0, z - 0.04)),
        cylinder(0.017, 0.025, white, (0, 0, z - 0.02)),
        cylinder(0.008, 0.015, k.paint("red", "plain")).turned("y", -90).moved(-0.06, 0, z + 0.015),
    ]
    return Body(turned([body, *head], "z", k.u(-60, 60)))
