"""Small kitchen appliances."""

from __future__ import annotations

from semabs_core.data.rooms.bodies import Area, Body, Kit, carcass, object_class
from semabs_core.data.rooms.kitchenware import handle
from semabs_core.data.rooms.paints import shaded
from semabs_core.data.rooms.parts import moved, turned
from semabs_core.data.rooms.shapes import (
    box,
    cushion,
    cylinder,
    rod,
)


@object_class("toaster", "appliance", "red blue white black gray")
def toaster(k: Kit) -> Body:
    """A rounded box with two slots, a lever, sometimes toast."""
    x, y, z = k.u(0.16, 0.19), k.u(0.26, 0.3), k.u(0.17, 0.2)
    shell, dark = k.main("plain", 0.7), k.paint("black", "plain", 0.2)
    parts = [cushion((x, y, z), shell, (0, 0, 0.01), 0.25), box((x - 0.03, y - 0.03, 0.02), dark)]
    for s in (-1, 1):
        parts.append(box((0.025, y - 0.1, 0.01), dark, (s * 0.035, 0, z + 0.004)))
        if k.chance(0.4):
            parts.append(box((0.016, 0.11, 0.04), k.paint((0.75, 0.52, 0.28)), (s * 0.035, 0, z)))
    lever = box((0.03, 0.02, 0.018), dark, (0, y / 2 + 0.005, 0.6 * z))
    return Body(turned([*parts, lever], "z", k.pick([0, 90, 180])))


@object_class("coffee machine", "appliance", "red black white gray")
def coffee_machine(k: Kit) -> Body:
    """A machine with a jug on its hot plate."""
    shell, glass_ = k.main("plain", 0.5), k.paint((0.16, 0.1, 0.08), "plain", 0.9)
    x, y, z = 0.24, k.u(0.18, 0.22), k.u(0.3, 0.36)
    parts = [
        box((x, y, 0.03), shell),
        box((0.1, y, z), shell, (x / 2 - 0.05, 0, 0)),
        box((x, y, 0.09), shell, (0, 0, z - 0.09)),
        cylinder(0.062, 0.11, glass_, (-0.05, 0, 0.032), top=0.05),
        cylinder(0.05, 0.02, k.paint("black", "plain"), (-0.05, 0, 0.142)),
    ]
    parts.append(
        moved([handle(0.06, 0.035, 0.08, 0.09, 0.008, k.paint("black", "plain"))], -0.05)[0]
    )
    parts.append(
        box(
            (0.005, 0.06, 0.03),
            k.paint((0.3, 0.75, 0.9), "plain", 0.2, glow=0.5),
            (-x / 2, 0, z - 0.06),
        )
    )
    return Body(parts)


@object_class("microwave", "appliance", "white black gray", 1.5)
def microwave(k: Kit) -> Body:
    """A hollow oven box: dark window, key pad; what is inside is hidden."""
    x, y, z = k.u(0.32, 0.38), k.u(0.44, 0.52), k.u(0.26, 0.3)
    shell, dark = k.main("plain", 0.4), k.paint((0.07, 0.07, 0.08), "plain", 0.8)
    key = k.paint(shaded(shell.color, 0.55 if sum(shell.color) > 1 else 3), "plain", 0.3)
    front = -x / 2
    parts = [*carcass((x, y, z), shell, 0.03), box((0.02, y, z), shell, (front - 0.008, 0, 0))]
    parts.append(box((0.006, 0.62 * y, 0.66 * z), dark, (front - 0.018, 0.12 * y, 0.17 * z)))
    parts.append(
        rod((front - 0.045, -0.24 * y, 0.2 * z), (front - 0.045, -0.24 * y, 0.8 * z), 0.008, key)
    )
    parts += [
        box((0.03, 0.012, 0.012), key, (front - 0.03, -0.24 * y, f * z)) for f in (0.22, 0.74)
    ]
    parts.append(
        box(
            (0.006, 0.1, 0.03),
            k.paint((0.2, 0.8, 0.5), "plain", 0.2, glow=0.6),
            (front - 0.018, -0.37 * y, 0.75 * z),
        )
    )
    for row in range(3):
        parts += [
            box((0.006, 0.025, 0.022), key, (front - 0.018, -0.37 * y + d, (0.18 + 0.17 * row) * z))
            for d in (-0.035, 0, 0.035)
        ]
    inside = Area((0, 0, 0.03), (x - 0.1, y - 0.12), z - 0.08, "in", ("food", "tableware"), 10)
    return Body(
        parts,
        [Area((0, 0, z), (x - 0.04, y - 0.06), 0.4, "on", ("food", "tableware", "box"), 8), inside],
    )
