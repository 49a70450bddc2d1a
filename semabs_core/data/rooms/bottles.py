"""Bottles and cartons."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Body, Kit, object_class
from semabs_core.data.rooms.shapes import (
    box,
    cylinder,
    lathe,
    prism,
)


def _bottle(radius: float, height: float, neck: float, shoulder: float) -> np.ndarray:
    """Profile of a bottle; ``shoulder`` is the share of its height below the neck."""
    t = np.linspace(0, np.pi / 2, 6)
    curve = np.stack(
        [neck + (radius - neck) * np.cos(t), np.sin(t) * 0.14 * height + shoulder * height], axis=1
    )
    ends = [(0, 0), (radius, 0)], [(neck, height), (0, height)]
    return np.concatenate([ends[0], curve, ends[1]])


@object_class("wine bottle", "bottle", "green black red", 2.0)
def wine_bottle(k: Kit) -> Body:
    """Dark glass, long neck, a label and a capsule."""
    r, z = k.u(0.036, 0.042), k.u(0.29, 0.33)
    body = k.main("plain", 0.8)
    if not k.named:
        body = k.paint(k.pick([(0.06, 0.16, 0.07), (0.12, 0.05, 0.05)]), "plain", 0.85)
    label = k.paint((0.9, 0.87, 0.76), "pages", 0.05, 0.018, second=(0.35, 0.1, 0.12))
    capsule = k.paint(k.tone("red", "black", (0.7, 0.55, 0.2)), "plain", 0.5)
    return Body(
        [
            lathe(_bottle(r, z, 0.014, 0.58), body),
            cylinder(r + 0.001, 0.28 * z, label, (0, 0, 0.16 * z)),
            cylinder(0.0155, 0.18 * z, capsule, (0, 0, 0.83 * z)),
        ]
    )


@object_class("water bottle", "bottle", "blue green red black")
def water_bottle(k: Kit) -> Body:
    """A sports bottle with a cap."""
    r, z = k.u(0.032, 0.04), k.u(0.19, 0.24)
    body = k.main("plain", 0.5) if k.named else k.paint((0.55, 0.75, 0.88), "plain", 0.8)
    cap = k.paint(k.pick(["white", "black", "blue"]), "plain", 0.3)
    return Body(
        [
            lathe(_bottle(r, 0.9 * z, 0.015, 0.72), body),
            cylinder(0.02, 0.14 * z, cap, (0, 0, 0.87 * z)),
        ]
    )


@object_class("ketchup bottle", "bottle")
def ketchup_bottle(k: Kit) -> Body:
    """A red squeeze bottle with a white cap and a label."""
    z, r = k.u(0.18, 0.22), k.u(0.03, 0.036)
    red, label = (
        k.paint((0.72, 0.05, 0.04), "plain", 0.5),
        k.paint("white", "pages", 0.1, 0.02, (0.7, 0.1, 0.1)),
    )
    return Body(
        [
            lathe(_bottle(r, 0.85 * z, 0.014, 0.6), red),
            cylinder(r + 0.001, 0.3 * z, label, (0, 0, 0.15 * z)),
            cylinder(0.018, 0.18 * z, k.paint("white", "plain", 0.3), (0, 0, 0.83 * z), top=0.01),
        ]
    )


@object_class("milk carton", "bottle")
def milk_carton(k: Kit) -> Body:
    """A carton with a gable top."""
    a, z = 0.07, k.u(0.17, 0.2)
    white = k.paint("white", "plain", 0.2)
    blue = k.paint(k.pick(["blue", "green", "red"]), "plain", 0.2)
    gable = prism(np.array([(-a / 2, 0), (a / 2, 0), (0, 0.045)]), a, white).turned("x", 90)
    parts = [
        box((a, a, z), white),
        box((a + 0.002, a + 0.002, 0.3 * z), blue, (0, 0, 0.15 * z)),
        gable.moved(0, a / 2, z),
        box((0.008, a, 0.02), blue, (0, 0, z + 0.038)),
    ]
    return Body(parts)
