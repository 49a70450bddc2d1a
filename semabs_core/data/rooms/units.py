"""Large appliances and what has plumbing: fridge, stove, sinks, toilet, bath tub."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Area, Body, Kit, carcass, object_class
from semabs_core.data.rooms.paints import Paint
from semabs_core.data.rooms.parts import Part, moved, turned
from semabs_core.data.rooms.shapes import (
    arc,
    ball,
    box,
    cup,
    cushion,
    cylinder,
    lathe,
    rod,
    torus,
    tube,
)
from semabs_core.data.rooms.storage import closed_cabinet

COUNTER_Z = 0.9
COUNTER_DEPTH = 0.62
BASIN = (0.4, 0.5, 0.17)


def faucet(k: Kit, height: float = 0.24) -> list[Part]:
    """A tap at the origin whose spout points along -x."""
    metal = k.paint((0.75, 0.76, 0.78), "plain", 0.8)
    bend = arc((-0.08, 0, height - 0.08), 0.08, 0, 165)
    return [
        cylinder(0.026, 0.02, metal),
        tube(np.concatenate([[[0, 0, 0]], bend]), 0.011, metal),
        rod((0, 0.02, 0.04), (-0.03, 0.07, 0.07), 0.007, metal),
    ]


def _basin(size: tuple[float, float, float], paint: Paint, wall: float = 0.012) -> list[Part]:
    """An open rectangular basin."""
    x, y, z = size
    return [
        box((x, y, wall), paint),
        *(box((x, wall, z), paint, (0, s * (y - wall) / 2, 0)) for s in (-1, 1)),
        *(box((wall, y, z), paint, (s * (x - wall) / 2, 0, 0)) for s in (-1, 1)),
    ]


def kitchen_sink(k: Kit) -> Body:
    """A basin that hangs in a counter, its rim just above; base at the basin's bottom."""
    metal = k.paint((0.6, 0.62, 0.64), "plain", 0.7)
    x, y, z = BASIN
    parts = _basin((x, y, z + 0.005), metal)
    rim = [box((x + 0.03, 0.02, 0.006), metal, (0, s * y / 2, z)) for s in (-1, 1)]
    rim += [box((0.02, y + 0.03, 0.006), metal, (s * x / 2, 0, z)) for s in (-1, 1)]
    tap = moved(faucet(k, 0.3), x / 2 + 0.04, 0, z)
    inside = Area((0, 0, 0.012), (x - 0.04, y - 0.04), 0.3, "in", ("tableware", "cookware"), 20)
    return Body(parts + rim + tap, [inside])


def base_cabinet(k: Kit, width: float, sink: bool) -> Body:
    """A kitchen cupboard under a counter; under a sink it is lower, with a blind front."""
    depth, height = COUNTER_DEPTH - 0.06, COUNTER_Z - 0.04
    low = height - BASIN[2] + 0.02 if sink else height
    body = closed_cabinet(k, (depth, width - 0.004, low - 0.08), top=False)
    front = body.parts[0].paint
    plinth = box((depth - 0.08, width - 0.004, 0.085), front, (0.03, 0, 0))
    parts = [*moved(body.parts, z=0.08), plinth]
    if sink:
        parts.append(box((0.02, width - 0.004, height - low), front, (-depth / 2 + 0.01, 0, low)))
    area = body.areas[0]
    return Body(
        parts,
        [Area((0, 0, 0.1), area.size, area.clearance, "in", ("cookware", "tableware", "food"), 8)],
    )


def countertop(k: Kit, widths: list[float], sink: int | None, paint: Paint) -> Body:
    """A slab over units side by side along y (from +y down), with a hole where the sink hangs."""
    total, x, parts, areas, y = sum(widths), COUNTER_DEPTH, [], [], 0.0
    for i, width in enumerate(widths):
        centre = total / 2 - y - width / 2
        y += width
        if i != sink:
            parts.append(box((x, width, 0.04), paint, (0, centre, 0)))
            areas.append(Area((0, centre, 0.04), (x - 0.04, width), 0.55))
            continue
        hole_x, hole_y = BASIN[0], BASIN[1]
        strip_x, strip_y = (x - hole_x) / 2, (width - hole_y) / 2
        for s in (-1, 1):
            parts.append(box((strip_x, width, 0.04), paint, (s * (x - strip_x) / 2, centre, 0)))
            parts.append(
                box((hole_x, strip_y, 0.04), paint, (0, centre + s * (width - strip_y) / 2, 0))
            )
    return Body(parts, areas)


@object_class("stove", "furniture")
def stove(k: Kit) -> Body:
    """An oven with four hobs, knobs, a window and a handle."""
    x, y, z = COUNTER_DEPTH - 0.02, 0.6, COUNTER_Z
    shell = k.paint(k.pick(["white", "black", "gray"]), "plain", 0.4)
    black, metal = k.paint("black", "plain", 0.5), k.metal()
    parts = [
        box((x, y - 0.004, z - 0.02), shell),
        box((x, y - 0.01, 0.02), black, (0, 0, z - 0.02)),
    ]
    parts.append(box((0.02, y - 0.06, 0.5), shell, (-x / 2 - 0.008, 0, 0.15)))
    parts.append(box((0.008, y - 0.2, 0.28), black, (-x / 2 - 0.018, 0, 0.24)))
    handle = -x / 2 - 0.05
    parts.append(rod((handle, -0.22, 0.6), (handle, 0.22, 0.6), 0.011, metal))
    parts += [box((0.04, 0.02, 0.02), metal, (-x / 2 - 0.03, s * 0.2, 0.59)) for s in (-1, 1)]
    parts.append(box((0.008, y - 0.03, 0.13), black, (-x / 2 - 0.002, 0, z - 0.16)))
    for i in range(5):
        knob = cylinder(0.02, 0.03, metal).turned("y", -90)
        parts.append(knob.moved(-x / 2, (i - 2) * 0.1, z - 0.1))
    ring = k.paint((0.3, 0.3, 0.31), "plain", 0.2)
    for sx in (-1, 1):
        for sy in (-1, 1):
            at = (sx * 0.14, sy * 0.15, z + 0.006)
            parts += [torus(0.075, 0.007, ring, at), torus(0.035, 0.007, ring, at)]
    hobs = [
        Area((sx * 0.14, sy * 0.15, z + 0.0126), (0.27, 0.29), 0.5, "on", ("hob",), 12)
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    return Body(parts, hobs)


@object_class("fridge", "furniture")
def fridge(k: Kit) -> Body:
    """A tall fridge with a freezer door; hollow, what is inside is hidden."""
    x, y, z = k.u(0.58, 0.66), k.u(0.58, 0.72), k.u(1.6, 1.85)
    shell = k.paint(k.pick(["white", "white", "gray", "red", "black"]), "plain", 0.45)
    metal, split = k.paint((0.7, 0.71, 0.72), "plain", 0.8), z * k.pick([0.36, 0.68])
    parts, front = carcass((x, y, z), shell, 0.05), -x / 2 - 0.022
    for low, high in ((0.04, split), (split, z)):
        parts.append(box((0.05, y - 0.004, high - low - 0.012), shell, (front, 0, low + 0.006)))
        middle, reach = (low + high) / 2, min(0.4, (high - low) * 0.6) / 2
        grip = (front - 0.06, y / 2 - 0.06)
        parts.append(rod((*grip, middle - reach), (*grip, middle + reach), 0.012, metal))
        parts += [
            box((0.04, 0.02, 0.02), metal, (front - 0.04, grip[1], middle + s * reach * 0.9))
            for s in (-1, 1)
        ]
    areas = [Area((0, 0, z), (x, y), 0.45, "on", ("box", "decor", "food"), 4)]
    for level in (0.05, 0.05 + (z - 0.1) / 3, 0.05 + 2 * (z - 0.1) / 3):
        if level > 0.1:
            parts.append(box((x - 0.1, y - 0.1, 0.012), metal, (0, 0, level - 0.012)))
        areas.append(
            Area(
                (0, 0, level),
                (x - 0.12, y - 0.12),
                (z - 0.1) / 3 - 0.03,
                "in",
                ("food", "fruit", "bottle"),
                8,
            )
        )
    return Body(parts, areas)


@object_class("washing machine", "furniture")
def washing_machine(k: Kit) -> Body:
    """A front loader: round door, panel, knob."""
    x, y, z = k.u(0.55, 0.6), 0.6, 0.85
    shell, metal = k.paint("white", "plain", 0.4), k.paint((0.66, 0.67, 0.69), "plain", 0.8)
    glass = k.paint((0.12, 0.14, 0.18), "plain", 0.9)
    front = -x / 2
    door = turned([torus(0.17, 0.028, metal), ball((0.15, 0.15, 0.05), glass)], "y", -90)
    parts = [box((x, y, z), shell), *moved(door, front - 0.005, 0, 0.42)]
    parts.append(
        box((0.012, y - 0.02, 0.12), k.paint((0.8, 0.81, 0.83)), (front - 0.004, 0, z - 0.14))
    )
    parts.append(cylinder(0.035, 0.035, metal).turned("y", -90).moved(front - 0.005, 0, z - 0.08))
    parts.append(box((0.01, 0.16, 0.06), glass, (front - 0.008, -0.18, z - 0.11)))
    groups = ("bath", "soft laundry", "box")
    return Body(parts, [Area((0, 0, z), (x, y), 0.8, "on", groups, 8)])


@object_class("sink", "furniture")
def sink(k: Kit) -> Body:
    """A bathroom basin on a pedestal or a cupboard."""
    glaze, x, y, z = k.ceramic(), k.u(0.44, 0.5), k.u(0.55, 0.8), k.u(0.8, 0.86)
    depth = 0.13
    if k.chance(0.4):
        support = [cylinder(0.11, z - depth, glaze, (0.06, 0, 0), top=0.09)]
    else:
        front = k.cabinet()
        support = [box((x - 0.04, y - 0.04, z - depth), front)]
        support += [
            box(
                (0.02, y / 2 - 0.05, z - depth - 0.1),
                k.cabinet(),
                (-x / 2 + 0.015, s * y / 4, 0.05),
            )
            for s in (-1, 1)
        ]
        support += [ball(0.016, k.metal(), (-x / 2 - 0.01, s * 0.05, z * 0.6)) for s in (-1, 1)]
    basin = moved(_basin((x, y, depth), glaze, 0.03), z=z - depth)
    bank = box((0.12, y, 0.03), glaze, (x / 2 - 0.06, 0, z - 0.03))
    tap = moved(faucet(k, 0.2), x / 2 - 0.05, 0, z)
    side = y / 4 + 0.02
    areas = [
        Area((x / 2 - 0.06, s * side, z), (0.11, y / 2 - 0.1), 0.4, "on", ("bath small",), 50)
        for s in (-1, 1)
    ]
    inside = Area((-0.05, 0, z - depth + 0.03), (x - 0.2, y - 0.1), 0.3, "in", ("bath toy",), 3)
    return Body([*support, *basin, bank, *tap], [*areas, inside])


@object_class("toilet", "furniture")
def toilet(k: Kit) -> Body:
    """A bowl with a seat, a lid that stands up or lies, and a tank."""
    glaze, seat_z = k.ceramic(), 0.4
    bowl = cup(0.13, seat_z - 0.12, 0.03, glaze, top=0.19).stretched(x=1.3).moved(-0.08, 0, 0.12)
    foot = cylinder(0.12, 0.2, glaze, top=0.13).stretched(x=1.5).moved(-0.02)
    ring = torus(0.165, 0.025, glaze).stretched(x=1.3, z=0.6).moved(-0.08, 0, seat_z + 0.012)
    tank = cushion((0.2, 0.4, 0.36), glaze, (0.26, 0, seat_z - 0.02), 0.15)
    top = box((0.22, 0.42, 0.03), glaze, (0.26, 0, seat_z + 0.33))
    lid = cylinder(0.185, 0.02, glaze).stretched(x=1.3)
    if k.chance(0.5):
        lid = lid.turned("y", 98).moved(0.15, 0, seat_z + 0.27)
    else:
        lid = lid.moved(-0.08, 0, seat_z + 0.03)
    lever = rod((0.15, 0.12, seat_z + 0.26), (0.14, 0.19, seat_z + 0.25), 0.009, k.metal())
    parts = [bowl, foot, ring, tank, top, lid, lever, box((0.2, 0.22, seat_z), glaze, (0.2, 0, 0))]
    return Body(
        parts, [Area((0.26, 0, seat_z + 0.36), (0.2, 0.38), 0.5, "on", ("bath small",), 30)]
    )


@object_class("bath tub", "furniture")
def bath_tub(k: Kit) -> Body:
    """A tub along y, open above, with a tap at one end."""
    x, y, z, wall = k.u(0.7, 0.8), k.u(1.45, 1.7), k.u(0.5, 0.58), 0.06
    glaze = k.ceramic()
    parts = _basin((x, y, z), glaze, wall)
    parts += [
        rod(
            (-x / 2 + 0.03, s * (y / 2 - 0.03), 0),
            (-x / 2 + 0.03, s * (y / 2 - 0.03), z),
            0.03,
            glaze,
        )
        for s in (-1, 1)
    ]
    tap = moved(turned(faucet(k, 0.2), "z", 90), 0, y / 2 - 0.03, z)
    inside = Area((0, 0, wall), (x - 0.2, y - 0.3), z, "in", ("bath toy", "soft laundry"), 3)
    rim = Area((x / 2 - 0.04, 0, z), (0.08, y - 0.5), 0.5, "on", ("bath small",), 25)
    return Body([*parts, *tap], [inside, rim])


@object_class("laundry hamper", "floor", colors="white brown gray blue")
def laundry_hamper(k: Kit) -> Body:
    """A tall open wicker basket."""
    r, z = k.u(0.19, 0.23), k.u(0.48, 0.6)
    paint = (
        k.main("weave", 0.05, 0.04) if k.named else k.paint((0.72, 0.55, 0.33), "weave", 0.05, 0.04)
    )
    parts = [cup(r * 0.85, z, 0.015, paint, top=r), torus(r, 0.014, paint, (0, 0, z))]
    grip = lathe(np.array([(0, 0), (0.03, 0), (0.03, 0.02), (0, 0.02)]), paint)
    parts += [grip.moved(0, s * (r + 0.01), z - 0.06) for s in (-1, 1)]
    inside = Area((0, 0, z - 0.2), (r, r), 0.3, "in", ("soft laundry",), 20)
    return Body([*parts, cylinder(r * 0.86, 0.02, paint, (0, 0, z - 0.22))], [inside])
