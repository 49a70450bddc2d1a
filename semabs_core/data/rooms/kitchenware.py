"""Tableware, cutlery and cookware."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Area, Body, Kit, object_class
from semabs_core.data.rooms.parts import Part, turned
from semabs_core.data.rooms.shapes import (
    arc,
    ball,
    box,
    cup,
    cylinder,
    lathe,
    prism,
    rod,
    torus,
    tube,
)

GLAZES = "red blue green yellow white black teal orange"


def handle(radius: float, reach: float, height: float, z: float, thickness: float, paint) -> Part:
    """A D-shaped handle on the -y side of a vessel."""
    loop = arc((0, -radius + 0.004, z), 1.0, 90, 270, "yz") - (0, -radius + 0.004, z)
    return tube(loop * (1, reach, height / 2) + (0, -radius + 0.004, z), thickness, paint)


@object_class("mug", "tableware", GLAZES, 2.0)
def mug(k: Kit) -> Body:
    """A cup with one handle."""
    r, z = k.u(0.038, 0.048), k.u(0.085, 0.11)
    paint = k.main("plain", 0.6)
    inside = cylinder(r - 0.006, 0.01, k.paint("brown", "plain", 0.5), (0, 0, 0.7 * z))
    parts = [cup(r, z, 0.005, paint), handle(r, 0.034, 0.6 * z, z / 2, 0.007, paint)]
    return Body(turned([*parts, inside], "z", k.u(0, 360)))


@object_class("plate", "tableware", "white blue green red")
def plate(k: Kit) -> Body:
    """A flat plate with a rim, sometimes a small stack."""
    r, count = k.u(0.1, 0.135), k.pick([1, 1, 1, 3, 4])
    profile = np.array([(0, 0), (0.6, 0), (1, 0.16), (1, 0.2), (0.62, 0.06), (0, 0.06)])
    paint = k.main("plain", 0.6)
    parts = [lathe(profile * r, paint, (0, 0, i * 0.012)) for i in range(count)]
    parts.append(
        torus(
            0.93 * r,
            0.003,
            k.paint(k.palette.accent, "plain", 0.5),
            (0, 0, 0.165 * r + (count - 1) * 0.012),
        )
    )
    flat = Area(
        (0, 0, 0.06 * r + 0.012 * (count - 1)), (r, r), 0.3, "on", ("food", "fruit", "cutlery"), 30
    )
    return Body(parts, [flat])


@object_class("bowl", "tableware", GLAZES, 1.5)
def bowl(k: Kit) -> Body:
    """A round bowl that may hold fruit."""
    r = k.u(0.075, 0.14)
    t = np.linspace(0, 1, 7)
    outer = np.stack(
        [0.4 + 0.6 * np.sin(t * np.pi / 2), 0.62 * (1 - np.cos(t * np.pi / 2)) + 0.03], axis=1
    )
    inner = outer[::-1] * (0.94, 1) + (0, 0.02)
    rim = np.concatenate([[(0, 0), (0.38, 0)], outer, inner, [(0, 0.055)]]) * r
    inside = Area((0, 0, 0.06 * r), (1.15 * r, 1.15 * r), 0.3, "in", ("fruit",), 130)
    return Body([lathe(rim, k.main("plain", 0.6))], [inside])


@object_class("glass", "tableware")
def glass(k: Kit) -> Body:
    """A drinking glass or a stemmed one, pale blue."""
    paint = k.paint((0.74, 0.84, 0.88), "plain", 0.95)
    r, z = k.u(0.03, 0.04), k.u(0.1, 0.16)
    if k.chance(0.5):
        return Body([cup(r * 0.85, z, 0.004, paint, top=r)])
    foot = [cylinder(r, 0.006, paint), cylinder(0.006, 0.09, paint)]
    return Body([*foot, cup(r * 0.5, z * 0.7, 0.004, paint, (0, 0, 0.085), top=r * 1.1)])


@object_class("pot", "hob", "red blue green black white gray", 2.0)
def pot(k: Kit) -> Body:
    """A cooking pot with two handles, with or without its lid."""
    r, z = k.u(0.1, 0.14), k.u(0.12, 0.18)
    paint = (
        k.main("plain", 0.6)
        if k.named or k.chance(0.4)
        else k.paint((0.66, 0.67, 0.69), "plain", 0.8)
    )
    dark = k.paint("black", "plain", 0.3)
    grips = [
        tube(
            np.array(
                [
                    (-0.04, s * (r - 0.005), 0.8 * z),
                    (-0.035, s * (r + 0.035), 0.82 * z),
                    (0.035, s * (r + 0.035), 0.82 * z),
                    (0.04, s * (r - 0.005), 0.8 * z),
                ]
            ),
            0.009,
            dark,
        )
        for s in (-1, 1)
    ]
    parts = [cup(r, z, 0.006, paint), torus(r - 0.002, 0.005, paint, (0, 0, z)), *grips]
    if k.chance(0.5):
        t = np.linspace(0, np.pi / 2, 6)
        dome = np.stack([r * np.cos(t), 0.035 * np.sin(t) + z], axis=1)
        dome[-1, 0] = 0
        lid = lathe(np.concatenate([[(0, z - 0.004), (r, z - 0.004)], dome]), paint)
        return Body([*parts, lid, cylinder(0.02, 0.03, dark, (0, 0, z + 0.033), top=0.026)])
    return Body(
        parts, [Area((0, 0, 0.01), (1.2 * r, 1.2 * r), 0.3, "in", ("cutlery up", "fruit"), 50)]
    )


@object_class("pan", "hob", "black red gray")
def pan(k: Kit) -> Body:
    """A frying pan with a long handle."""
    r = k.u(0.1, 0.14)
    dark = k.main("plain", 0.4) if k.named else k.paint("black", "plain", 0.4)
    stick = rod(
        (0, r - 0.01, 0.04), (0, r + k.u(0.15, 0.2), 0.065), 0.011, k.paint("black", "plain", 0.3)
    )
    parts = turned([cup(0.8 * r, 0.045, 0.005, dark, top=r), stick], "z", k.u(-60, 240))
    return Body(parts, [Area((0, 0, 0.006), (1.0 * r, 1.0 * r), 0.3, "in", ("fry",), 40)])


@object_class("kettle", "hob", "red blue black white gray")
def kettle(k: Kit) -> Body:
    """A round kettle: spout, bow, knob."""
    r, z = k.u(0.085, 0.105), k.u(0.13, 0.16)
    paint, dark = k.main("plain", 0.7), k.paint("black", "plain", 0.4)
    profile = np.array([(0, 0), (1, 0), (1.02, 0.25), (0.9, 0.65), (0.45, 1.0), (0, 1.0)]) * (r, z)
    spout = rod((0, -0.7 * r, 0.45 * z), (0, -r - 0.07, 0.95 * z), 0.022, paint, top=0.011)
    bow = tube(arc((0, 0, 0.75 * z), 0.8 * r, 10, 170, "yz"), 0.009, dark)
    return Body(
        turned(
            [lathe(profile, paint), spout, bow, ball(0.016, dark, (0, 0, z + 0.01))],
            "z",
            k.u(0, 360),
        )
    )


@object_class("spoon", "cutlery")
def spoon(k: Kit) -> Body:
    """A lying spoon."""
    metal, z = k.metal() if k.chance(0.7) else k.wood(), 0.008
    bowl_ = ball((0.022, 0.032, 0.008), metal, (0, 0.08, z))
    return Body(turned([bowl_, rod((0, 0.06, z), (0, -0.1, z), 0.005, metal)], "z", k.u(0, 360)))


@object_class("knife", "cutlery")
def knife(k: Kit) -> Body:
    """A lying kitchen knife."""
    blade = prism(
        np.array([(-0.016, 0), (0.014, 0), (0.014, 0.09), (-0.008, 0.18), (-0.016, 0.17)]),
        0.004,
        k.paint((0.75, 0.76, 0.78), "plain", 0.9),
        (0, 0, 0.006),
    )
    grip = box((0.026, 0.11, 0.016), k.paint("black", "plain", 0.3), (0, -0.052, 0))
    return Body(turned([blade, grip], "z", k.u(0, 360)))


@object_class("fork", "cutlery")
def fork(k: Kit) -> Body:
    """A lying fork."""
    metal, z = k.metal(), 0.006
    tines = [rod((d, 0.05, z), (d, 0.1, z), 0.002, metal) for d in (-0.009, -0.003, 0.003, 0.009)]
    parts = [
        *tines,
        box((0.026, 0.03, 0.006), metal, (0, 0.045, 0.003)),
        rod((0, 0.04, z), (0, -0.1, z), 0.004, metal),
    ]
    return Body(turned(parts, "z", k.u(0, 360)))


@object_class("salt shaker", "tableware")
def salt_shaker(k: Kit) -> Body:
    """A small glass with a metal cap."""
    glass_ = k.paint(k.pick([(0.9, 0.92, 0.93), (0.35, 0.3, 0.27)]), "plain", 0.7)
    return Body(
        [
            cylinder(0.024, 0.065, glass_, top=0.018),
            ball((0.02, 0.02, 0.016), k.metal(), (0, 0, 0.068)),
        ]
    )


@object_class("cutting board", "tableware")
def cutting_board(k: Kit) -> Body:
    """A lying board of wood, with a grip."""
    x, y, wood = k.u(0.2, 0.26), k.u(0.3, 0.4), k.wood()
    parts = [box((x, y, 0.018), wood), box((0.06, 0.1, 0.018), wood, (0, y / 2 + 0.04, 0))]
    top = Area((0, 0, 0.018), (x - 0.04, y - 0.04), 0.4, "on", ("food", "fruit", "cutlery"), 45)
    return Body(parts, [top])
