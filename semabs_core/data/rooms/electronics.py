"""Screens, telephones, clocks and other devices."""

from __future__ import annotations

from semabs_core.data.rooms.bodies import Body, Kit, object_class
from semabs_core.data.rooms.paints import Paint
from semabs_core.data.rooms.parts import Part, turned
from semabs_core.data.rooms.shapes import arc, ball, box, cushion, cylinder, rod, torus, tube


def _screen(k: Kit, on: float = 0.4) -> Paint:
    """A dark panel, or a picture that glows."""
    if k.chance(on):
        return k.paint((0.15, 0.35, 0.6), "art", 0.4, 0.12, second=(0.7, 0.8, 0.85), glow=0.7)
    return k.paint((0.03, 0.03, 0.04), "plain", 0.9)


@object_class("television", "tv")
def television(k: Kit) -> Body:
    """A flat screen on two feet."""
    y = k.u(0.7, 1.05)
    z, black = 0.58 * y, k.paint("black", "plain", 0.3)
    parts = [
        box((0.04, y, z), black, (0, 0, 0.05)),
        box((0.006, y - 0.03, z - 0.03), _screen(k), (-0.02, 0, 0.065)),
    ]
    for side in (-0.3, 0.3):
        parts += [
            rod((0, side * y, 0.06), (s * 0.1, side * y, 0.008), 0.009, black) for s in (-1, 1)
        ]
    return Body(parts)


@object_class("laptop", "device", "black white gray", 2.0)
def laptop(k: Kit) -> Body:
    """An open laptop: keys, touch pad, tilted screen."""
    x, y = k.u(0.21, 0.25), k.u(0.3, 0.36)
    shell = (
        k.main("plain", 0.5)
        if k.named
        else k.paint(k.tone("gray", "black", (0.75, 0.76, 0.78)), "plain", 0.5)
    )
    keys = k.paint((0.1, 0.1, 0.11), "tiles", 0.2, 0.018, second=(0.35, 0.35, 0.36))
    base = [
        box((x, y, 0.016), shell),
        box((0.5 * x, 0.88 * y, 0.002), keys, (0.16 * x, 0, 0.016)),
        box((0.25 * x, 0.28 * y, 0.001), k.paint("gray", "plain", 0.4), (-0.3 * x, 0, 0.016)),
    ]
    lid = [
        box((0.008, y, x), shell, (x / 2, 0, 0.012)),
        box((0.004, y - 0.02, x - 0.025), _screen(k, 0.8), (x / 2 - 0.004, 0, 0.022)),
    ]
    return Body([*base, *turned(lid, "y", k.u(8, 25), (x / 2, 0, 0.014))])


@object_class("desktop", "desk", weight=2.0)
def desktop(k: Kit) -> Body:
    """A monitor on its foot, with the keyboard before it."""
    y = k.u(0.46, 0.56)
    z, black = 0.6 * y, k.paint(k.pick(["black", "gray"]), "plain", 0.3)
    keys = k.paint((0.16, 0.16, 0.17), "tiles", 0.2, 0.019, second=(0.4, 0.4, 0.41))
    return Body(
        [
            box((0.16, 0.2, 0.012), black, (0.1, 0, 0)),
            box((0.03, 0.05, 0.2), black, (0.13, 0, 0)),
            box((0.03, y, z), black, (0.1, 0, 0.12)),
            box((0.006, y - 0.03, z - 0.03), _screen(k, 0.8), (0.085, 0, 0.135)),
            box((0.13, 0.4, 0.015), black, (-0.12, 0, 0)),
            box((0.115, 0.385, 0.003), keys, (-0.12, 0, 0.015)),
        ]
    )


@object_class("cell phone", "device", "black white red blue")
def cell_phone(k: Kit) -> Body:
    """A lying telephone, screen up."""
    shell = k.main("plain", 0.5) if k.named else k.paint("black", "plain", 0.5)
    parts = [
        box((0.15, 0.073, 0.009), shell),
        box((0.14, 0.066, 0.001), _screen(k, 0.5), (0, 0, 0.009)),
        box((0.025, 0.025, 0.001), k.paint("gray", "plain"), (0.05, -0.018, 0.0092)),
    ]
    return Body(turned(parts, "z", k.u(0, 360)))


@object_class("remote control", "device")
def remote_control(k: Kit) -> Body:
    """A lying bar with rows of buttons."""
    black = k.paint((0.08, 0.08, 0.09), "plain", 0.3)
    colors = ("red", "gray", "gray", "gray", "gray")
    buttons = [
        box((0.012, 0.01, 0.004), k.paint(color, "plain"), (0.065 - 0.026 * i, d, 0.018))
        for i, color in enumerate(colors)
        for d in (-0.012, 0.012)
    ]
    return Body(turned([box((0.17, 0.046, 0.019), black), *buttons], "z", k.u(0, 360)))


@object_class("alarm clock", "device", "red blue white black")
def alarm_clock(k: Kit) -> Body:
    """A round clock with two bells and feet."""
    r, shell, dark = k.u(0.05, 0.065), k.main("plain", 0.5), k.paint("black", "plain")
    face = turned(
        [
            cylinder(r, 0.05, shell),
            cylinder(0.86 * r, 0.052, k.paint("white", "plain")),
            box((0.6 * r, 0.006, 0.054), dark, (0.25 * r, 0, 0)),
            box((0.006, 0.5 * r, 0.054), dark, (0, 0.2 * r, 0)),
        ],
        "y",
        -90,
    )
    parts = [part.moved(0.025, 0, r + 0.012) for part in face]
    for s in (-1, 1):
        parts.append(ball(0.4 * r, k.metal(), (0, s * 0.5 * r, 2.0 * r + 0.012)))
        parts.append(rod((0, s * 0.6 * r, 0), (0, s * 0.4 * r, 0.4 * r), 0.006, k.metal()))
    return Body(parts)


@object_class("headphones", "device", "black white red blue")
def headphones(k: Kit) -> Body:
    """Two lying cups and a bow."""
    paint, dark = k.main("plain", 0.4), k.paint((0.1, 0.1, 0.1), "cloth")
    cups: list[Part] = []
    for s in (-1, 1):
        cups += [
            cylinder(0.04, 0.03, paint, (-0.03, s * 0.075, 0)),
            cylinder(0.042, 0.014, dark, (-0.03, s * 0.075, 0.028)),
        ]
    bow = tube(arc((-0.03, 0, 0.02), 0.085, -80, 80, "xy") * (1.3, 1, 1), 0.009, paint)
    return Body(turned([*cups, bow], "z", k.u(0, 360)))


@object_class("game controller", "device", "black white blue red")
def game_controller(k: Kit) -> Body:
    """A pad with two grips and two sticks."""
    shell, dark = k.main("plain", 0.3), k.paint("gray", "plain")
    parts = [cushion((0.07, 0.13, 0.035), shell, roundness=0.5)]
    for s in (-1, 1):
        parts.append(cushion((0.09, 0.045, 0.04), shell, (-0.035, s * 0.055, 0), 0.8))
        parts.append(cylinder(0.01, 0.018, dark, (-0.005, s * 0.025, 0.03)))
    parts.append(cylinder(0.006, 0.004, k.paint("red", "plain"), (0.015, -0.045, 0.031)))
    return Body(turned(parts, "z", k.u(0, 360)))


@object_class("speaker", "audio")
def speaker(k: Kit) -> Body:
    """A box with two round membranes."""
    s, shell = k.u(0.85, 1.3), k.pick([k.wood(), k.paint("black", "plain", 0.3)])
    ring, cone = k.paint("gray", "plain", 0.4), k.paint((0.12, 0.12, 0.13), "plain", 0.3)
    parts = [box((0.15 * s, 0.15 * s, 0.26 * s), shell)]
    for z, r in ((0.085 * s, 0.055 * s), (0.19 * s, 0.032 * s)):
        face = turned(
            [
                torus(r, 0.006, ring),
                cylinder(0.95 * r, 0.006, cone),
                ball((0.4 * r, 0.4 * r, 0.01), ring, (0, 0, 0.006)),
            ],
            "y",
            -90,
        )
        parts += [part.moved(-0.075 * s, 0, z) for part in face]
    return Body(parts)


@object_class("globe", "desk")
def globe(k: Kit) -> Body:
    """A globe in its stand."""
    r = k.u(0.1, 0.13)
    seas = k.paint((0.15, 0.4, 0.7), "art", 0.5, 0.07, second=(0.35, 0.6, 0.25))
    wood, brass = k.wood(), k.paint((0.7, 0.55, 0.22), "plain", 0.7)
    meridian = tube(arc((0, 0, r + 0.07), r + 0.012, -70, 110, "yz", 13), 0.006, brass)
    return Body(
        [
            cylinder(0.08, 0.025, wood),
            cylinder(0.012, 0.06, brass, (0, 0, 0.02)),
            ball(r, seas, (0, 0, r + 0.07)),
            *turned([meridian], "z", k.u(0, 360)),
        ]
    )
