"""Tables, seats and beds."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Area, Body, Kit, legs, object_class
from semabs_core.data.rooms.paints import Paint
from semabs_core.data.rooms.parts import Part
from semabs_core.data.rooms.shapes import (
    ball,
    box,
    cushion,
    cylinder,
    rod,
)

SEAT = ("soft",)


def _tabletop(
    k: Kit, x: float, y: float, height: float, leg: float = 0.06, free: bool = False
) -> Body:
    """A rectangular table with four legs; ``free`` is for one that stands in the room."""
    paint, thick = k.wood(0.25), k.u(0.025, 0.045)
    parts = [box((x, y, thick), paint, (0, 0, height - thick))]
    parts += legs((x - 0.06, y - 0.06), height - thick, leg, paint)
    parts.append(box((x - 0.14, y - 0.14, 0.06), paint, (0, 0, height - thick - 0.06)))
    return Body(parts, [Area((0, 0, height), (x, y), open_sides=free)])


def _round_table(k: Kit, radius: float, height: float) -> Body:
    paint = k.wood(0.25)
    parts = [
        cylinder(radius, 0.03, paint, (0, 0, height - 0.03)),
        cylinder(0.05, height - 0.06, paint, (0, 0, 0.03), top=0.04),
        cylinder(radius * 0.55, 0.03, paint, top=radius * 0.2),
    ]
    inner = 1.35 * radius
    return Body(parts, [Area((0, 0, height), (inner, inner), open_sides=True)])


@object_class("table", "furniture")
def table(k: Kit) -> Body:
    """A dining table, four-cornered or round."""
    height = k.u(0.7, 0.78)
    if k.chance(0.3):
        return _round_table(k, k.u(0.42, 0.58), height)
    return _tabletop(k, k.u(0.7, 0.9), k.u(1.0, 1.5), height, free=True)


@object_class("coffee table", "furniture")
def coffee_table(k: Kit) -> Body:
    """A low table."""
    if k.chance(0.3):
        return _round_table(k, k.u(0.35, 0.45), k.u(0.38, 0.46))
    body = _tabletop(k, k.u(0.45, 0.6), k.u(0.8, 1.15), k.u(0.36, 0.46), leg=0.05, free=True)
    size = body.areas[0].size
    shelf = box((size[0] - 0.08, size[1] - 0.08, 0.02), body.parts[0].paint, (0, 0, 0.1))
    lower = Area((0, 0, 0.12), (size[0] - 0.2, size[1] - 0.2), 0.14, "on", ("book",), 4)
    return Body([*body.parts, shelf], [*body.areas, lower])


@object_class("side table", "furniture")
def side_table(k: Kit) -> Body:
    """A small table for the side of a bed or sofa, sometimes with a drawer."""
    x, y, height = k.u(0.36, 0.46), k.u(0.38, 0.5), k.u(0.48, 0.6)
    body = _tabletop(k, x, y, height, leg=0.035)
    if k.chance(0.6):
        front = box((x - 0.06, y - 0.06, 0.14), k.wood(), (0, 0, height - 0.2))
        knob = ball(0.014, k.metal(), (-x / 2 + 0.015, 0, height - 0.13))
        return Body([*body.parts, front, knob], body.areas)
    return body


@object_class("desk", "furniture")
def desk(k: Kit) -> Body:
    """A writing desk with a stack of drawers on one side."""
    x, y, height = k.u(0.55, 0.7), k.u(1.05, 1.4), k.u(0.72, 0.77)
    body = _tabletop(k, x, y, height, leg=0.05)
    wood, side = k.wood(), k.pick([-1, 1])
    centre = side * (y / 2 - 0.25)
    parts = [box((x - 0.1, 0.4, height - 0.12), wood, (0, centre, 0.05))]
    for i in range(3):
        z = 0.09 + i * (height - 0.16) / 3
        parts.append(box((0.02, 0.36, (height - 0.2) / 3), k.wood(), (-x / 2 + 0.04, centre, z)))
        parts.append(box((0.02, 0.1, 0.015), k.metal(), (-x / 2 + 0.02, centre, z + 0.08)))
    free = Area((0, -side * 0.22, 0), (x - 0.2, y - 0.75), height - 0.15, "", ("bin",), 2)
    groups = ("device", "book", "desk", "desk", "decor", "audio")
    top = Area((0, 0, height), (x, y), 1.0, "on", groups, 14)
    return Body([*body.parts, *parts], [top, free])


@object_class("chair", "furniture", colors="red blue green white black yellow")
def chair(k: Kit) -> Body:
    """A chair with a back of slats or a panel."""
    x, y, seat, back = k.u(0.4, 0.46), k.u(0.4, 0.46), k.u(0.43, 0.47), k.u(0.82, 0.98)
    paint = k.main("plain", 0.3) if k.named or k.chance(0.3) else k.wood()
    parts = [*legs((x, y), seat, 0.038, paint), box((x, y, 0.035), paint, (0, 0, seat - 0.02))]
    rear = x / 2 - 0.02
    parts += [
        box((0.036, 0.036, back - seat), paint, (rear, s * (y / 2 - 0.02), seat)) for s in (-1, 1)
    ]
    parts.append(box((0.025, y, 0.09), paint, (rear, 0, back - 0.09)))
    if k.chance(0.5):
        parts += [
            box((0.018, 0.03, back - seat - 0.1), paint, (rear, d * y, seat + 0.02))
            for d in (-0.22, 0, 0.22)
        ]
    else:
        parts.append(box((0.02, y - 0.05, 0.14), paint, (rear, 0, seat + 0.14)))
    if k.chance(0.4):
        parts.append(
            cushion(
                (x - 0.05, y - 0.05, 0.05), k.cloth(k.palette.accent), (-0.01, 0, seat + 0.01), 0.35
            )
        )
        seat += 0.05
    return Body(parts, [Area((-0.02, 0, seat + 0.015), (x - 0.1, y - 0.08), 0.5, "on", SEAT, 1.5)])


@object_class("stool", "furniture", colors="red white black yellow")
def stool(k: Kit) -> Body:
    """A round seat on three or four splayed legs."""
    height, radius = k.u(0.44, 0.68), k.u(0.15, 0.18)
    paint = k.main("plain", 0.3) if k.named else k.wood()
    count = k.pick([3, 4])
    parts: list[Part] = [cylinder(radius, 0.035, paint, (0, 0, height - 0.035))]
    for angle in 2 * np.pi * (np.arange(count) + 0.5) / count:
        c, s = np.cos(angle), np.sin(angle)
        foot, top = 1.05 * radius, 0.7 * radius
        parts.append(rod((foot * c, foot * s, 0), (top * c, top * s, height - 0.02), 0.016, paint))
    return Body(
        parts, [Area((0, 0, height), (1.2 * radius, 1.2 * radius), 0.5, "on", ("decor",), 6)]
    )


def _upholstered(k: Kit, seats: int, width: float, name_paint: Paint) -> Body:
    """A sofa or an arm chair: base, seat cushions, back cushions, two arms, feet."""
    depth, seat, back = k.u(0.8, 0.92), k.u(0.4, 0.45), k.u(0.76, 0.9)
    arm, arm_height = k.u(0.13, 0.2), k.u(0.56, 0.64)
    y = seats * width + 2 * arm
    soft = k.u(0.15, 0.35)
    parts = legs((depth - 0.1, y - 0.1), 0.09, 0.05, k.wood())
    parts.append(box((depth - 0.04, y - 0.04, seat - 0.2), name_paint, (0, 0, 0.08)))
    parts.append(
        cushion((0.24, y - 0.02, back - 0.08), name_paint, (depth / 2 - 0.12, 0, 0.08), soft)
    )
    for i in range(seats):
        centre = (i - (seats - 1) / 2) * width
        parts.append(
            cushion((depth - 0.2, width, 0.17), name_paint, (-0.1, centre, seat - 0.14), soft)
        )
        parts.append(
            cushion(
                (0.2, width - 0.02, back - seat + 0.02),
                name_paint,
                (depth / 2 - 0.28, centre, seat),
                0.4,
            )
        )
    parts += [
        cushion((depth, arm, arm_height - 0.08), name_paint, (0, s * (y - arm) / 2, 0.08), soft)
        for s in (-1, 1)
    ]
    free = Area((-0.13, 0, seat + 0.03), (depth - 0.5, seats * width), 0.8, "on", SEAT, 4)
    return Body(parts, [free])


@object_class("sofa", "furniture", colors="red blue green gray brown white")
def sofa(k: Kit) -> Body:
    """Two or three seats."""
    return _upholstered(k, k.pick([2, 3]), k.u(0.56, 0.66), k.cloth())


@object_class("arm chair", "furniture", colors="red blue green gray brown yellow")
def arm_chair(k: Kit) -> Body:
    """One upholstered seat with arms."""
    return _upholstered(k, 1, k.u(0.5, 0.6), k.cloth())


@object_class("ottoman", "furniture", colors="red blue gray brown")
def ottoman(k: Kit) -> Body:
    """A padded footstool."""
    x, y, z = k.u(0.42, 0.55), k.u(0.45, 0.7), k.u(0.36, 0.42)
    parts = legs((x - 0.08, y - 0.08), 0.08, 0.04, k.wood())
    parts.append(cushion((x, y, z - 0.07), k.cloth(), (0, 0, 0.07), 0.2))
    return Body(parts, [Area((0, 0, z), (x - 0.15, y - 0.15), 0.6, "on", ("book", *SEAT), 4)])


@object_class("bed", "furniture")
def bed(k: Kit) -> Body:
    """A bed with a headboard (at its back), a mattress and a blanket; its pillows are their own."""
    x, y, top = k.u(1.85, 2.0), k.pick([0.95, 1.3, 1.5]), k.u(0.46, 0.56)
    pattern = k.pick(["cloth", "cloth", "stripes", "checks"])
    second = None if pattern == "cloth" else k.palette.accent
    wood, blanket = k.wood(), k.paint(k.palette.fabric, pattern, 0.02, 0.08, second)
    parts = [*legs((x, y), 0.2, 0.07, wood), box((x, y, 0.12), wood, (0, 0, 0.16))]
    parts.append(box((0.05, y + 0.04, k.u(0.85, 1.1)), wood, (x / 2 + 0.02, 0, 0)))
    parts.append(
        cushion((x - 0.06, y - 0.04, top - 0.25), k.cloth("white"), (-0.01, 0, 0.25), 0.12)
    )
    parts.append(cushion((0.66 * x, y + 0.04, top - 0.2), blanket, (-0.16 * x, 0, 0.22), 0.12))
    z = top + 0.02
    return Body(
        parts,
        [
            Area((0.37 * x, 0, top), (0.34, y - 0.1), 0.8, "on", ("pillow",), 4),
            Area((-0.15 * x, 0, z), (0.5 * x, y - 0.3), 0.8, "on", ("soft", "book", "device"), 2.5),
            Area((-0.1 * x, 0, 0), (x - 0.4, y - 0.2), 0.15, "", ("floor toy",), 1.5),
        ],
    )
