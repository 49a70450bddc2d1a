"""What hangs on walls or lies on the floor: windows, doors, pictures, mirrors, rugs, outlets."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Body, Kit, object_class
from semabs_core.data.rooms.paints import Paint
from semabs_core.data.rooms.parts import Part, turned
from semabs_core.data.rooms.shapes import ball, box, cushion, cylinder, prism, rod, torus


def _frame(y: float, z: float, bar: float, depth: float, paint: Paint) -> list[Part]:
    """A rectangular frame in the y-z plane, its lower edge at z = 0."""
    return [
        *(box((depth, bar, z), paint, (0, s * (y - bar) / 2, 0)) for s in (-1, 1)),
        *(box((depth, y - 2 * bar, bar), paint, (0, 0, at)) for at in (0, z - bar)),
    ]


@object_class("window", "wall")
def window(k: Kit) -> Body:
    """Panes with daylight behind, a cross and a sill."""
    y, z = k.u(0.7, 1.3), k.u(0.8, 1.1)
    white = k.paint("white" if k.chance(0.7) else k.palette.wood, "plain", 0.2)
    sky = k.pick([(0.75, 0.87, 0.97), (0.9, 0.93, 0.95), (0.6, 0.78, 0.95)])
    glass = k.paint(sky, "mottled", 0.5, 0.5, second=(0.85, 0.92, 0.88), glow=0.9)
    parts = [
        *_frame(y, z, 0.06, 0.05, white),
        box((0.02, y - 0.1, z - 0.1), glass, (0.012, 0, 0.05)),
    ]
    parts.append(box((0.04, 0.035, z - 0.1), white, (0, 0, 0.05)))
    if k.chance(0.6):
        parts.append(box((0.04, y - 0.1, 0.03), white, (0, 0, 0.6 * z)))
    parts.append(box((0.13, y + 0.08, 0.03), white, (-0.04, 0, -0.03)))
    return Body([part.moved(z=0.03) for part in parts])


@object_class("door", "wall")
def door(k: Kit) -> Body:
    """A door in its frame, closed, with panels and a handle."""
    y, z = k.u(0.78, 0.9), k.u(1.95, 2.05)
    leaf = k.wood() if k.chance(0.5) else k.paint("white", "plain", 0.25)
    panel = k.paint(leaf.color, leaf.pattern, 0.2, leaf.scale, second=leaf.second)
    parts = [box((0.04, y, z), leaf), *_frame(y + 0.16, z + 0.08, 0.08, 0.06, k.paint("white"))]
    for low, high in ((0.15, 0.85), (1.05, z - 0.15)):
        parts.append(box((0.02, y - 0.28, high - low), panel, (-0.018, 0, low)))
    side = k.pick([-1, 1]) * (y / 2 - 0.07)
    metal = k.metal()
    parts += [
        rod((-0.08, side, 1.0), (0, side, 1.0), 0.012, metal),
        ball(0.028, metal, (-0.08, side, 1.0)),
    ]
    return Body(parts)


@object_class("painting", "wall")
def painting(k: Kit) -> Body:
    """A framed picture."""
    y, z = k.u(0.4, 0.85), k.u(0.35, 0.65)
    colors = [tuple(k.rng.uniform(0.1, 0.95, 3)) for _ in range(2)]
    art = k.paint(colors[0], "art", 0.1, k.u(0.1, 0.25), second=colors[1])
    frame = k.pick(
        [
            k.wood(),
            k.paint("black", "plain"),
            k.paint("white", "plain"),
            k.paint((0.72, 0.56, 0.2), "plain", 0.6),
        ]
    )
    mount = k.paint("white", "plain")
    inner = [
        box((0.016, y - 0.06, z - 0.06), mount, (0, 0, 0.03)),
        box((0.02, y - 0.18, z - 0.18), art, (-0.001, 0, 0.09)),
    ]
    return Body([*_frame(y, z, 0.035, 0.03, frame), *inner])


@object_class("mirror", "wall")
def mirror(k: Kit) -> Body:
    """A bright plate in a frame; reflections are only hinted at."""
    y, z = k.u(0.5, 0.75), k.u(0.6, 0.9)
    plate = k.paint((0.74, 0.8, 0.83), "mottled", 0.95, 0.6, second=(0.9, 0.93, 0.95), glow=0.25)
    frame = k.pick([k.wood(), k.metal()])
    if k.chance(0.4):
        disc = cylinder(0.5, 0.02, plate)
        ring = torus(0.5, 0.025, frame, (0, 0, 0.01))
        parts = turned([disc, ring], "y", -90)
        return Body([part.stretched(y=y, z=z).moved(z=z / 2) for part in parts])
    return Body(
        [*_frame(y, z, 0.035, 0.03, frame), box((0.015, y - 0.06, z - 0.06), plate, (0, 0, 0.03))]
    )


@object_class("curtain", "wall", colors="red blue green white gray yellow")
def curtain(k: Kit) -> Body:
    """A hanging cloth in folds, on a rod."""
    y, z, waves = k.u(0.35, 0.6), k.u(1.5, 1.9), int(k.u(4, 8))
    across = np.linspace(-y / 2, y / 2, 8 * waves + 1)
    fold = 0.03 * np.sin(np.linspace(0, 2 * np.pi * waves, len(across)))
    front = np.stack([fold - 0.012, across], axis=1)
    back = np.stack([fold + 0.012, across], axis=1)
    quads = [
        prism(np.array([front[i + 1], front[i], back[i], back[i + 1]]), z, paint)
        for paint in [k.cloth()]
        for i in range(len(across) - 1)
    ]
    pole = rod((0, -y / 2 - 0.06, z + 0.01), (0, y / 2 + 0.06, z + 0.01), 0.012, k.metal())
    return Body([*quads, pole])


@object_class("rug", "rug", colors="red blue green gray")
def rug(k: Kit) -> Body:
    """A carpet with a border, rectangular or round."""
    pattern = k.pick(["cloth", "stripes", "checks", "dots"])
    inner = k.paint(k.color, pattern, 0.0, k.u(0.06, 0.16), second=k.palette.accent)
    if k.named:
        inner = k.main("cloth", 0.0)
    if k.chance(0.25):
        r = k.u(0.6, 0.9)
        return Body([cylinder(r, 0.007, k.cloth()), cylinder(r - 0.08, 0.009, inner)])
    x, y = k.u(1.0, 1.5), k.u(1.4, 2.1)
    return Body([box((x, y, 0.007), k.cloth()), box((x - 0.14, y - 0.14, 0.009), inner)])


@object_class("outlet", "wall")
def outlet(k: Kit) -> Body:
    """A power socket."""
    plate, dark = k.paint("white", "plain", 0.3), k.paint("gray", "plain")
    ring = cylinder(0.028, 0.006, k.paint((0.82, 0.82, 0.8), "plain", 0.3)).turned("y", -90)
    holes = [
        cylinder(0.006, 0.009, dark).turned("y", -90).moved(0.0, s * 0.012, 0.05) for s in (-1, 1)
    ]
    return Body([box((0.012, 0.1, 0.1), plate), ring.moved(0.0, 0, 0.05), *holes])


@object_class("light switch", "wall")
def light_switch(k: Kit) -> Body:
    """A plate with a rocker."""
    white = k.paint("white", "plain", 0.4)
    rocker = box((0.014, 0.045, 0.055), white).turned("y", 5).moved(-0.006, 0, 0.022)
    return Body([box((0.01, 0.09, 0.1), k.paint((0.85, 0.85, 0.82), "plain", 0.3)), rocker])


@object_class("wall clock", "wall", colors="red blue black white")
def wall_clock(k: Kit) -> Body:
    """A round dial with two hands and twelve marks."""
    r, dark = k.u(0.13, 0.19), k.paint("black", "plain")
    rim = k.main("plain", 0.4) if k.named else k.pick([k.wood(), dark, k.metal()])
    parts = [cylinder(r, 0.03, rim), cylinder(r * 0.9, 0.034, k.paint("white", "plain"))]
    for hour in range(12):
        c, s = np.cos(hour * np.pi / 6), np.sin(hour * np.pi / 6)
        parts.append(box((0.02, 0.02, 0.037), dark, (0.75 * r * c, 0.75 * r * s, 0)))
    for length, width in ((0.5, 0.018), (0.72, 0.012)):
        hand = box((length * r, width, 0.038), dark, (length * r / 2, 0, 0))
        parts.append(hand.turned("z", k.u(0, 360)))
    return Body([part.moved(z=r) for part in turned(turned(parts, "z", 90), "y", -90)])


@object_class("towel rack", "wall")
def towel_rack(k: Kit) -> Body:
    """A rail with a towel over it."""
    y, metal = k.u(0.5, 0.65), k.paint((0.75, 0.76, 0.78), "plain", 0.8)
    drop = k.u(0.35, 0.55)
    cloth = k.cloth(k.palette.accent if k.chance(0.6) else "white")
    parts = [rod((-0.04, -y / 2, drop), (-0.04, y / 2, drop), 0.009, metal)]
    parts += [rod((-0.04, s * y / 2, drop), (0.02, s * y / 2, drop), 0.011, metal) for s in (-1, 1)]
    parts.append(cushion((0.045, y * 0.7, drop), cloth, (-0.04, 0, 0.012), 0.2))
    return Body(parts)
