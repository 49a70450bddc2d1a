"""Books, lamps, plants, vases, boxes, and electronics."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Area, Body, Kit, object_class
from semabs_core.data.rooms.parts import Part, moved, turned
from semabs_core.data.rooms.shapes import ball, box, cup, cushion, cylinder, lathe, rod, torus, tube

BRIGHT = "red blue green yellow orange purple white black"


def _book(k: Kit, size: tuple[float, float, float], cover) -> list[Part]:
    """A lying book: two covers, a spine at -y, pages."""
    x, y, z = size
    pages = k.paint((0.93, 0.9, 0.82), "plain", 0.02)
    return [
        box((x, y, 0.004), cover),
        box((x, y, 0.004), cover, (0, 0, z - 0.004)),
        box((x, 0.005, z), cover, (0, -y / 2, 0)),
        box((x - 0.01, y - 0.012, z - 0.006), pages, (0, 0, 0.003)),
    ]


@object_class("book", "book", BRIGHT, 3.0)
def book(k: Kit) -> Body:
    """A lying book."""
    size = (k.u(0.19, 0.26), k.u(0.13, 0.18), k.u(0.02, 0.045))
    parts = _book(k, size, k.main("plain", 0.3))
    title = box(
        (size[0] * 0.5, size[1] * 0.2, 0.001), k.paint("white", "plain"), (0.02, 0, size[2])
    )
    return Body(
        turned([*parts, title], "z", k.pick([0, 90, -90]) + k.u(-25, 25)),
        [Area((0, 0, size[2]), (size[0] * 0.7, size[1] * 0.7), 0.3, "on", ("on book",), 14)],
    )


@object_class("book", "book row", weight=3.0, key="row of books")
def row_of_books(k: Kit) -> Body:
    """A row of standing books of several colours."""
    colors = ["red", "blue", "green", "brown", "black", "white", "yellow", "teal", "purple"]
    parts, y = [], 0.0
    for _ in range(int(k.u(4, 12))):
        x, thick, z = k.u(0.13, 0.19), k.u(0.018, 0.045), k.u(0.18, 0.27)
        lying = _book(k, (z, x, thick), k.paint(k.pick(colors), "plain", 0.25))
        # On its lower edge first, then with its spine to the front.
        standing = turned(turned(lying, "y", 90), "z", -90)
        standing = moved(standing, 0, y + thick, z / 2)
        parts += standing
        y += thick + 0.001
    return Body(moved(parts, y=-y / 2))


@object_class("newspaper", "book")
def newspaper(k: Kit) -> Body:
    """A folded paper."""
    paper = k.paint((0.86, 0.85, 0.8), "pages", 0.02, 0.014, second=(0.35, 0.35, 0.36))
    parts = [box((0.28, 0.2, 0.012), paper), box((0.27, 0.19, 0.008), paper, (0.005, 0.004, 0.012))]
    return Body(turned(parts, "z", k.u(-40, 40)))


@object_class("vase", "decor", "red blue green white yellow teal purple", 1.5)
def vase(k: Kit) -> Body:
    """A thrown vase, sometimes with flowers."""
    r, z = k.u(0.05, 0.08), k.u(0.18, 0.32)
    t = np.linspace(0, 1, 9)
    belly = k.u(0.25, 0.6)
    radius = 0.45 + 0.55 * np.exp(-(((t - belly) / 0.3) ** 2))
    outer = np.stack([radius * r, t * z], axis=1)
    profile = np.concatenate(
        [
            [(0, 0)],
            outer,
            [(outer[-1, 0] - 0.008, z), (outer[-1, 0] - 0.012, 0.7 * z), (0, 0.7 * z)],
        ]
    )
    parts, green = (
        [lathe(profile, k.main(k.pick(["plain", "mottled"]), 0.6))],
        k.paint("green", "plain"),
    )
    if k.chance(0.5):
        bloom = k.pick(["red", "yellow", "pink", "white", "purple"])
        for _ in range(5):
            a, tilt, reach = k.u(0, 6.28), k.u(0.02, 0.1), z + k.u(0.1, 0.2)
            end = (tilt * np.cos(a), tilt * np.sin(a), reach)
            parts += [
                rod((0, 0, 0.72 * z), end, 0.003, green),
                ball(k.u(0.018, 0.03), k.paint(bloom), end),
            ]
    return Body(parts)


@object_class("candle", "decor", "red white yellow green")
def candle(k: Kit) -> Body:
    """A wax cylinder with a wick on a dish."""
    r, z = k.u(0.025, 0.04), k.u(0.08, 0.16)
    return Body(
        [
            cylinder(r * 1.5, 0.008, k.metal()),
            cylinder(r, z, k.main("plain", 0.2), (0, 0, 0.006)),
            cylinder(0.002, 0.015, k.paint("black", "plain"), (0, 0, z)),
            ball(
                (0.006, 0.006, 0.014),
                k.paint((1.0, 0.75, 0.25), "plain", glow=1.0),
                (0, 0, z + 0.022),
            ),
        ]
    )


@object_class("statue", "decor")
def statue(k: Kit) -> Body:
    """A bust on a plinth."""
    stone = k.paint(
        k.pick([(0.85, 0.84, 0.8), (0.45, 0.33, 0.16), (0.3, 0.3, 0.32)]), "marble", 0.4, 0.1
    )
    s = k.u(0.85, 1.2)
    parts = [
        box((0.1 * s, 0.12 * s, 0.05 * s), stone),
        cylinder(0.05 * s, 0.06 * s, stone, (0, 0, 0.045 * s), top=0.03 * s),
        ball((0.05 * s, 0.085 * s, 0.045 * s), stone, (0, 0, 0.12 * s)),
        cylinder(0.025 * s, 0.06 * s, stone, (0, 0, 0.15 * s)),
        ball((0.043 * s, 0.038 * s, 0.052 * s), stone, (0, 0, 0.235 * s)),
        ball(0.012 * s, stone, (-0.045 * s, 0, 0.23 * s)),
    ]
    return Body(parts)


@object_class("picture frame", "decor")
def picture_frame(k: Kit) -> Body:
    """A small photograph, leaning back on its foot."""
    y, z = k.u(0.12, 0.2), k.u(0.15, 0.22)
    art = k.paint((0.5, 0.6, 0.75), "art", 0.3, 0.06, second=(0.85, 0.7, 0.55))
    frame = k.pick([k.wood(), k.paint("black", "plain"), k.metal()])
    plate = [
        box((0.015, y, z), frame),
        box((0.004, y - 0.035, z - 0.035), art, (-0.008, 0, 0.0175)),
    ]
    foot = box((0.006, 0.05, 0.8 * z), frame).turned("y", -22).moved(0.085 * z / 0.2, 0, 0.004)
    return Body([*turned(plate, "y", 12), foot])


def _foliage(k: Kit, base: float, spread: float, count: int) -> list[Part]:
    parts: list[Part] = []
    for i in range(count):
        angle, lift = 2.4 * i + k.u(-0.3, 0.3), k.u(0.35, 1.25)
        reach = spread * k.u(0.7, 1.1)
        green = k.paint((k.u(0.08, 0.22), k.u(0.34, 0.52), k.u(0.1, 0.2)), "mottled", 0.25, 0.03)
        leaf = ball((0.5 * reach, 0.15 * reach, 0.012), green, (0.55 * reach, 0, 0))
        parts.append(
            leaf.turned("y", -np.degrees(lift)).turned("z", np.degrees(angle)).moved(z=base)
        )
    return parts


@object_class("house plant", "decor", weight=1.5)
def house_plant(k: Kit) -> Body:
    """Leaves in a pot, for a table or shelf."""
    r, z = k.u(0.06, 0.09), k.u(0.09, 0.13)
    clay = k.paint(k.tone((0.7, 0.36, 0.22), "white", "teal", "gray"), "plain", 0.2)
    parts = [
        cup(0.75 * r, z, 0.008, clay, top=r),
        cylinder(0.9 * r, 0.01, k.paint((0.2, 0.13, 0.08)), (0, 0, 0.85 * z)),
    ]
    return Body(parts + _foliage(k, 0.85 * z, k.u(0.14, 0.2), 14))


@object_class("house plant", "floor", weight=2.0, key="tall plant")
def tall_plant(k: Kit) -> Body:
    """A larger plant in a pot, for the floor."""
    r, z = k.u(0.13, 0.17), k.u(0.24, 0.32)
    clay = k.paint(k.tone((0.7, 0.36, 0.22), "white", "black", "gray"), "plain", 0.2)
    parts = [
        cup(0.75 * r, z, 0.012, clay, top=r),
        cylinder(0.9 * r, 0.02, k.paint((0.2, 0.13, 0.08)), (0, 0, 0.85 * z)),
    ]
    stem = k.u(0.15, 0.5)
    parts.append(
        rod((0, 0, 0.8 * z), (0, 0, z + stem), 0.016, k.paint("brown", "mottled", 0.05, 0.03))
    )
    return Body(
        parts
        + _foliage(k, z + stem * 0.85, k.u(0.28, 0.4), 18)
        + _foliage(k, z + stem * 0.4, 0.25, 8)
    )


@object_class("table lamp", "lamp", "red blue white yellow green", 2.0)
def table_lamp(k: Kit) -> Body:
    """A foot and a glowing shade."""
    z, r = k.u(0.32, 0.45), k.u(0.1, 0.15)
    foot = k.pick([k.metal(), k.ceramic(), k.wood()])
    shade = k.main("plain", 0.1) if k.named else k.paint((0.95, 0.88, 0.7), "plain", 0.1)
    shade = k.paint(shade.color, "plain", 0.1, glow=0.45) if not k.named else shade
    body = [ball((0.06, 0.06, 0.09), foot, (0, 0, 0.1))] if k.chance(0.4) else []
    return Body(
        [
            cylinder(0.07, 0.02, foot),
            cylinder(0.011, z - 0.1, foot, (0, 0, 0.01)),
            *body,
            cup(r, 0.18, 0.006, shade, (0, 0, z - 0.16), top=0.6 * r),
        ]
    )


@object_class("floor lamp", "floor")
def floor_lamp(k: Kit) -> Body:
    """A tall stand with a shade."""
    z, metal = k.u(1.4, 1.65), k.metal()
    shade = k.paint((0.95, 0.9, 0.75), "plain", 0.1, glow=0.5)
    return Body(
        [
            cylinder(0.14, 0.025, metal),
            cylinder(0.014, z - 0.1, metal, (0, 0, 0.02)),
            cup(0.2, 0.26, 0.006, shade, (0, 0, z - 0.22), top=0.13),
        ]
    )


@object_class("box", "box", "brown white blue red", 1.5)
def cardboard_box(k: Kit) -> Body:
    """An open carton, or a closed one with tape."""
    x, y, z = k.u(0.2, 0.34), k.u(0.24, 0.4), k.u(0.14, 0.28)
    card = (
        k.main("mottled", 0.02, 0.05)
        if k.named
        else k.paint((0.68, 0.5, 0.32), "mottled", 0.02, 0.05)
    )
    if k.chance(0.45):
        tape = k.paint((0.8, 0.7, 0.5), "plain", 0.4)
        return Body(
            [box((x, y, z), card), box((0.05, y + 0.002, 0.002), tape, (0, 0, z))],
            [Area((0, 0, z + 0.002), (x, y), 0.5, "on", (), 8, open_sides=True)],
        )
    wall = 0.008
    sides = [box((x, wall, z), card, (0, s * (y - wall) / 2, 0)) for s in (-1, 1)]
    sides += [box((wall, y, z), card, (s * (x - wall) / 2, 0, 0)) for s in (-1, 1)]
    flaps = [
        box((x, 0.1, 0.005), card, (0, s * (y / 2 + 0.045), z - 0.003)).turned(
            "x", s * -35, (0, s * y / 2, z)
        )
        for s in (-1, 1)
    ]
    inside = Area(
        (0, 0, 0.01), (x - 0.04, y - 0.04), 0.4, "in", ("toy", "book", "sport", "soft"), 14
    )
    return Body([box((x, y, wall), card), *sides, *flaps], [inside])


@object_class("basket", "box", "brown white")
def basket(k: Kit) -> Body:
    """A low round wicker basket with a bow."""
    r, z = k.u(0.14, 0.19), k.u(0.12, 0.18)
    cane = (
        k.main("weave", 0.05, 0.03) if k.named else k.paint((0.66, 0.47, 0.25), "weave", 0.05, 0.03)
    )
    bow = np.stack(
        [0 * (t := np.linspace(0, np.pi, 11)), r * np.cos(t), z + 0.8 * r * np.sin(t)], axis=1
    )
    parts = [
        cup(0.85 * r, z, 0.012, cane, top=r),
        torus(r, 0.012, cane, (0, 0, z)),
        tube(bow, 0.009, cane),
    ]
    inside = Area(
        (0, 0, 0.015), (1.1 * r, 1.1 * r), 0.4, "in", ("fruit", "toy", "soft laundry"), 40
    )
    return Body(turned(parts, "z", k.u(0, 180)), [inside])


@object_class("pillow", "pillow", "red blue green yellow white orange", 2.0)
def pillow(k: Kit) -> Body:
    """A pillow that lies, or stands leaning back."""
    y, x, z = k.u(0.4, 0.6), k.u(0.32, 0.42), k.u(0.11, 0.15)
    pattern = "cloth" if k.named else k.pick(["cloth", "stripes", "dots", "checks"])
    paint = k.main(pattern, 0.02, k.u(0.03, 0.07))
    return Body(turned([cushion((x, y, z), paint, roundness=0.55)], "z", k.u(-15, 15)))
