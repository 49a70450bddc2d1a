"""Cupboards and shelves."""

from __future__ import annotations

from semabs_core.data.rooms.bodies import Area, Body, Kit, carcass, legs, object_class
from semabs_core.data.rooms.shapes import (
    ball,
    box,
    rod,
    tube,
)


@object_class("dresser", "furniture")
def dresser(k: Kit) -> Body:
    """A chest of drawers."""
    x, y, z = k.u(0.42, 0.52), k.u(0.8, 1.2), k.u(0.75, 1.0)
    paint = k.cabinet()
    parts = [box((x, y, z - 0.06), paint, (0, 0, 0.06)), box((x - 0.05, y - 0.05, 0.07), paint)]
    rows, columns = k.pick([3, 4]), k.pick([1, 2])
    h, w, knob = (z - 0.1) / rows, y / columns, k.metal()
    for row in range(rows):
        for column in range(columns):
            at = (-x / 2 - 0.008, (column - (columns - 1) / 2) * w, 0.08 + row * h + 0.012)
            parts.append(box((0.02, w - 0.03, h - 0.024), k.cabinet(), at))
            grips = (-0.22, 0.22) if columns == 1 else (0,)
            parts += [
                ball(0.018, knob, (at[0] - 0.022, at[1] + g * w, at[2] + h / 2)) for g in grips
            ]
    return Body(parts, [Area((0, 0, z), (x, y))])


@object_class("bookcase", "furniture")
def bookcase(k: Kit) -> Body:
    """Tall open shelves."""
    x, y, z = k.u(0.28, 0.34), k.u(0.65, 1.0), k.u(1.4, 1.95)
    paint, count = k.pick([k.wood, k.cabinet])(), round(z / 0.36)
    parts, step = carcass((x, y, z), paint), (z - 0.02) / count
    areas = [Area((0, 0, z), (x, y), 0.5, "on", ("decor",), 6)]
    for i in range(count):
        if i:
            parts.append(box((x - 0.02, y - 0.04, 0.02), paint, (-0.01, 0, i * step)))
        groups = ("book row", "decor", "book row", "box")
        areas.append(
            Area((-0.01, 0, i * step + 0.02), (x - 0.06, y - 0.06), step - 0.03, "on", groups, 14)
        )
    return Body(parts, areas)


@object_class("tv stand", "furniture")
def tv_stand(k: Kit) -> Body:
    """A low board with an open compartment between two doors."""
    x, y, z = k.u(0.36, 0.45), k.u(1.1, 1.5), k.u(0.42, 0.55)
    paint = k.wood()
    parts = carcass((x, y, z - 0.06), paint)
    parts = [part.moved(z=0.06) for part in parts] + legs(
        (x - 0.05, y - 0.05), 0.07, 0.04, k.wood()
    )
    for side in (-1, 1):
        parts.append(box((x - 0.03, 0.02, z - 0.1), paint, (0, side * y / 6, 0.07)))
        parts.append(
            box((0.02, y / 3 - 0.02, z - 0.1), k.cabinet(), (-x / 2 + 0.01, side * y / 3, 0.08))
        )
        parts.append(ball(0.014, k.metal(), (-x / 2 - 0.01, side * (y / 6 + 0.06), z * 0.6)))
    middle = Area(
        (0, 0, 0.08), (x - 0.08, y / 3 - 0.06), z - 0.13, "in", ("device", "book", "audio"), 8
    )
    return Body(
        parts, [Area((0, 0, z), (x, y), 1.0, "on", ("audio", "device", "decor"), 5), middle]
    )


@object_class("shelf", "wall")
def shelf(k: Kit) -> Body:
    """A board on the wall, on two brackets."""
    x, y = k.u(0.2, 0.28), k.u(0.6, 1.1)
    parts = [box((x, y, 0.025), k.wood(), (0, 0, 0.12))]
    metal = k.metal()
    for side in (-0.35, 0.35):
        parts.append(box((0.015, 0.025, 0.12), metal, (x / 2 - 0.008, side * y, 0)))
        parts.append(tube([(x / 2 - 0.01, side * y, 0.01), (-x / 4, side * y, 0.12)], 0.008, metal))
    return Body(parts, [Area((0, 0, 0.145), (x, y), 0.45, "on", (), 22)])


@object_class("cabinet", "furniture")
def cabinet(k: Kit) -> Body:
    """A closed cupboard with two doors: what is inside is hidden."""
    return closed_cabinet(k, (k.u(0.38, 0.48), k.u(0.7, 0.9), k.u(0.75, 1.1)))


def closed_cabinet(k: Kit, size: tuple[float, float, float], top: bool = True) -> Body:
    """A hollow cupboard with doors, a shelf inside, and (``top``) room on it."""
    x, y, z = size
    paint, door, metal = k.cabinet(), k.cabinet(), k.metal()
    parts = carcass((x, y, z), paint)
    for side in (-1, 1):
        parts.append(
            box((0.02, y / 2 - 0.006, z - 0.02), door, (-x / 2 - 0.008, side * y / 4, 0.01))
        )
        parts.append(
            box((0.012, y / 2 - 0.09, z - 0.1), paint, (-x / 2 - 0.016, side * y / 4, 0.05))
        )
        grip = -x / 2 - 0.045
        parts.append(rod((grip, side * 0.04, 0.6 * z), (grip, side * 0.04, 0.8 * z), 0.007, metal))
        parts += [
            rod((grip, side * 0.04, f * z), (grip + 0.035, side * 0.04, f * z), 0.005, metal)
            for f in (0.62, 0.78)
        ]
    inside = Area((0, 0, 0.02), (x - 0.08, y - 0.08), z - 0.06, "in", (), 7)
    return Body(parts, [Area((0, 0, z), (x, y))] * top + [inside])
