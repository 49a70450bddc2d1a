"""Food and fruit."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Body, Kit, object_class
from semabs_core.data.rooms.parts import turned
from semabs_core.data.rooms.shapes import arc, ball, box, cushion, cylinder, lathe, rod, tube


@object_class("apple", "fruit", "red green yellow", 1.5)
def apple(k: Kit) -> Body:
    """A ball with a dimple and a stalk."""
    r = k.u(0.034, 0.042)
    t = np.linspace(-np.pi / 2, np.pi / 2, 11)
    profile = np.stack([np.cos(t) * (1 + 0.12 * np.sin(t)), np.sin(t) * 0.9], axis=1)
    profile[[0, -1], 0] = 0
    profile[-1, 1] -= 0.2
    paint = (
        k.main("mottled", 0.5, 0.03)
        if k.named
        else k.paint(k.tone("red", (0.45, 0.62, 0.12)), "mottled", 0.5, 0.03)
    )
    stalk = rod((0, 0, r * 1.55), (0.006, 0, r * 2.05), 0.0025, k.paint("brown", "plain"))
    return Body([lathe((profile + np.array([0, 0.9])) * r, paint), stalk])


@object_class("orange", "fruit")
def orange(k: Kit) -> Body:
    """An orange ball."""
    r = k.u(0.036, 0.043)
    return Body(
        [
            ball(r, k.paint((0.95, 0.5, 0.06), "mottled", 0.3, 0.006), (0, 0, r)),
            ball(0.005, k.paint("green", "plain"), (0, 0, 2 * r - 0.002)),
        ]
    )


@object_class("banana", "fruit", weight=1.5)
def banana(k: Kit) -> Body:
    """One to three bent yellow fruits, lying."""
    skin, dark = k.paint((0.93, 0.79, 0.16), "mottled", 0.2, 0.03), k.paint("brown", "plain")
    parts = []
    for i in range(k.pick([1, 2, 3])):
        path = arc((0, 0, 0), 0.11, 200 + 3 * i, 300 + 3 * i, "xy") + np.array(
            [0.03 * i, 0.1, 0.018]
        )
        middle = len(path) // 2
        parts += [
            tube(path[: middle + 1], 0.008, skin, end_radius=0.018),
            tube(path[middle:], 0.018, skin, end_radius=0.007),
            ball(0.008, dark, tuple(path[0])),
        ]
    return Body(turned(parts, "z", k.u(0, 360)))


@object_class("tomato", "fruit")
def tomato(k: Kit) -> Body:
    """A flattened red ball with green leaves."""
    r, leaf = k.u(0.03, 0.038), k.paint("green", "plain")
    leaves = [
        rod(
            (0, 0, 1.62 * r),
            (0.7 * r * np.cos(a), 0.7 * r * np.sin(a), 1.55 * r),
            0.004,
            leaf,
            top=0.001,
        )
        for a in np.arange(5) * 1.257
    ]
    return Body(
        [
            ball((r, r, 0.82 * r), k.paint((0.83, 0.13, 0.07), "plain", 0.6), (0, 0, 0.82 * r)),
            *leaves,
        ]
    )


@object_class("potato", "fruit")
def potato(k: Kit) -> Body:
    """A lumpy brown ellipsoid."""
    r = k.u(0.028, 0.036)
    paint = k.paint((0.63, 0.47, 0.28), "mottled", 0.05, 0.02)
    parts = [
        ball((1.4 * r, r, 0.9 * r), paint, (0, 0, 0.9 * r)),
        ball(0.85 * r, paint, (0.5 * r, 0.2 * r, 0.85 * r)),
    ]
    return Body(turned(parts, "z", k.u(0, 360)))


@object_class("lettuce", "food")
def lettuce(k: Kit) -> Body:
    """A head of green leaves."""
    r = k.u(0.06, 0.08)
    parts = [
        ball((r, r, 0.85 * r), k.paint((0.55, 0.75, 0.3), "mottled", 0.1, 0.02), (0, 0, 0.85 * r))
    ]
    for i in range(7):
        angle, tone = i * 0.9 + k.u(0, 0.4), k.pick([(0.35, 0.62, 0.18), (0.45, 0.7, 0.25)])
        leaf = ball(
            (0.14 * r, 0.72 * r, 0.75 * r),
            k.paint(tone, "mottled", 0.1, 0.02),
            (0.85 * r, 0, 0.8 * r),
        )
        parts.append(
            leaf.turned("y", k.u(5, 25), (0.85 * r, 0, 0.8 * r)).turned("z", np.degrees(angle))
        )
    low = min(part.vertices[:, 2].min() for part in parts)
    return Body([part.moved(z=-low) for part in parts])


@object_class("bread", "food", weight=2.0)
def bread(k: Kit) -> Body:
    """A loaf with a crust and cuts on top, or a sliced one."""
    crust = k.paint((0.68, 0.42, 0.18), "mottled", 0.1, 0.03)
    crumb = k.paint((0.9, 0.8, 0.6), "mottled", 0.02, 0.01)
    y, z = k.u(0.2, 0.28), k.u(0.09, 0.115)
    if k.chance(0.5):
        loaf = cushion((0.115, y, z), crust, roundness=0.7)
        cuts = [
            cushion((0.06, 0.016, 0.012), crumb, (0, d * y, z - 0.011)).turned(
                "z", 25, (0, d * y, 0)
            )
            for d in (-0.22, 0, 0.22)
        ]
        return Body(turned([loaf, *cuts], "z", k.u(0, 360)))
    rest = cushion((0.11, y * 0.8, z), crust, roundness=0.35)
    end = box((0.095, 0.012, z * 0.85), crumb, (0, y * 0.4, 0.006))
    slices = [
        box((0.1, 0.014, z * 0.9), crust, (0, y * 0.4 + 0.02 + 0.022 * i, 0)) for i in range(2)
    ]
    return Body(turned([rest, end, *slices], "z", k.u(0, 360)))


@object_class("egg", "fry")
def egg(k: Kit) -> Body:
    """A fried egg or a whole one."""
    if k.chance(0.5):
        return Body(
            [
                cylinder(0.045, 0.006, k.paint("white", "plain", 0.4), top=0.038),
                ball(
                    (0.018, 0.018, 0.012),
                    k.paint((0.95, 0.65, 0.08), "plain", 0.6),
                    (0.005, 0, 0.006),
                ),
            ]
        )
    return Body(
        [ball((0.022, 0.029, 0.022), k.paint((0.88, 0.72, 0.55), "plain", 0.2), (0, 0, 0.022))]
    )


@object_class("cereal box", "food", "red yellow blue green orange")
def cereal_box(k: Kit) -> Body:
    """A printed carton, tall and flat."""
    x, y, z = k.u(0.055, 0.07), k.u(0.17, 0.2), k.u(0.25, 0.3)
    front = k.main("plain", 0.25)
    label = k.paint("white", "art", 0.2, 0.05, second=k.palette.accent)
    parts = [box((x, y, z), front)]
    for s in (-1, 1):
        parts.append(box((0.004, 0.7 * y, 0.36 * z), label, (s * x / 2, 0, 0.12 * z)))
        parts.append(
            box(
                (0.004, 0.8 * y, 0.16 * z),
                k.paint("white", "pages", 0.2, 0.05, (0.1, 0.1, 0.3)),
                (s * x / 2, 0, 0.68 * z),
            )
        )
    return Body(turned(parts, "z", k.u(-35, 35)))


@object_class("can", "food", "red blue green yellow")
def can(k: Kit) -> Body:
    """A tin with a paper label."""
    r, z = k.u(0.033, 0.042), k.u(0.09, 0.12)
    metal = k.paint((0.78, 0.79, 0.8), "plain", 0.8)
    label = cylinder(r + 0.001, 0.8 * z, k.main("plain", 0.3), (0, 0, 0.1 * z))
    band = cylinder(
        r + 0.002, 0.2 * z, k.paint("white", "pages", 0.2, 0.02, (0.2, 0.1, 0.1)), (0, 0, 0.4 * z)
    )
    return Body([cylinder(r, z, metal), label, band])
