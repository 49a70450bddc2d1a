"""Where the furniture of kitchens, living rooms, bedrooms and bathrooms stands."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semabs_core.data.rooms.arranging import (
    SIDES,
    before,
    beside,
    chance,
    decorate,
    hang,
    put_chairs,
    put_rug,
)
from semabs_core.data.rooms.clutter import put_on
from semabs_core.data.rooms.kitchens import kitchen
from semabs_core.data.rooms.plan import Plan


def living_room(plan: Plan) -> None:
    """A sofa at a wall or free-standing, a low table and a rug, a television, shelves, a lamp."""
    rng = plan.rng
    wall = str(rng.choice(["back", "left", "right"], p=[0.5, 0.25, 0.25]))
    gap = float(rng.uniform(0.35, 0.7)) if chance(plan, 0.3) else 0.0
    sofa = plan.at_wall("sofa", (wall,), gap=gap)
    if sofa is None:
        sofa = plan.at_wall("arm chair")
    if sofa is not None:
        spot = before(plan, sofa, 1.0 + float(rng.uniform(0, 0.15)))
        if chance(plan, 0.6):
            put_rug(plan, spot[0], spot[1])
        name, body = plan.make(str(rng.choice(["coffee table", "coffee table", "ottoman"])))
        plan.try_put(name, body, spot, plan.items[sofa].yaw_deg + float(rng.normal(0, 4)))
        if chance(plan, 0.5):
            beside(plan, sofa, "side table")
    others = tuple(side for side in ("back", "left", "right") if side != wall)
    stand = plan.at_wall("tv stand", others) if chance(plan, 0.7) else None
    if stand is not None and chance(plan, 0.9):
        put_on(plan, stand, plan.items[stand].body.areas[0], "television")
    for key, share in (
        ("bookcase", 0.6),
        ("arm chair", 0.5),
        ("floor lamp", 0.45),
        ("tall plant", 0.4),
        ("cabinet", 0.35),
        ("side table", 0.3),
        ("dresser", 0.15),
        ("desk", 0.15),
    ):
        if chance(plan, share) and plan.at_wall(key) is None and key == "arm chair":
            plan.on_floor(key, plan.heading_deg + float(rng.uniform(-70, 70)))
    if chance(plan, 0.3):
        table = plan.on_floor("table", float(rng.choice([0, 90])))
        if table is not None:
            put_chairs(plan, table, 2)
    if chance(plan, 0.4):
        hang(plan, "shelf", 1.2, 1.5)
    decorate(plan, 2)


BEDROOM_SHARES = (
    ("dresser", 0.6),
    ("desk", 0.55),
    ("bookcase", 0.4),
    ("arm chair", 0.25),
    ("laundry hamper", 0.25),
    ("floor lamp", 0.2),
    ("tv stand", 0.2),
    ("cabinet", 0.2),
)
"""What else may stand at the walls of a bedroom."""


def bedroom(plan: Plan) -> None:
    """A bed with its head at a wall, small tables beside it, a dresser, sometimes a desk."""
    rng = plan.rng
    bed = plan.at_wall("bed", ("back", "back", *SIDES))
    if bed is not None:
        width = float(np.ptp(plan.items[bed].body.bounds[:, 1]))
        for _ in range(1 if width < 1.1 else 2):
            put_on(plan, bed, plan.items[bed].body.areas[0], "pillow")
        for _ in range(2):
            table = beside(plan, bed, "side table") if chance(plan, 0.8) else None
            if table is not None and chance(plan, 0.6):
                put_on(plan, table, plan.items[table].body.areas[0], "table lamp")
        if chance(plan, 0.5):
            spot = before(plan, bed, 0.6, float(rng.choice([-1, 1])) * 0.9)
            put_rug(plan, spot[0], spot[1])
    for key, share in BEDROOM_SHARES:
        placed = plan.at_wall(key) if chance(plan, share) else None
        if placed is not None and key == "desk":
            name, body = plan.make("chair")
            spot = before(
                plan, placed, 0.75 + float(rng.uniform(0, 0.2)), float(rng.normal(0, 0.1))
            )
            plan.try_put(
                name, body, spot, plan.items[placed].yaw_deg + 180 + float(rng.normal(0, 20))
            )
        if placed is not None and key == "tv stand":
            put_on(plan, placed, plan.items[placed].body.areas[0], "television")
    if chance(plan, 0.5):
        hang(plan, "shelf", 1.2, 1.5)
    if chance(plan, 0.3):
        hang(plan, "mirror", 0.8, 1.1)
    decorate(plan, 2)


def bathroom(plan: Plan) -> None:
    """A tub, a toilet, a basin with its mirror, a washing machine, things to wash with."""
    rng = plan.rng
    plan.at_wall("bath tub", SIDES if chance(plan, 0.5) else ("back",))
    sink = plan.at_wall("sink", ("back", "back", *SIDES))
    if sink is not None and chance(plan, 0.8):
        item, (name, body) = plan.items[sink], plan.make("mirror")
        at = before(plan, sink, body.bounds[1, 0] - item.body.bounds[1, 0])
        at[2] = float(rng.uniform(1.15, 1.3)) - body.bounds[0, 2]
        plan.try_put(name, body, at, item.yaw_deg)
    plan.at_wall("toilet")
    for key, share in (
        ("washing machine", 0.45),
        ("laundry hamper", 0.5),
        ("cabinet", 0.4),
        ("stool", 0.35),
        ("bookcase", 0.15),
    ):
        if chance(plan, share):
            plan.at_wall(key)
    if chance(plan, 0.6):
        hang(plan, "shelf", 1.1, 1.5)
    if chance(plan, 0.6):
        hang(plan, "towel rack", 0.8, 1.0)
    if chance(plan, 0.5):
        put_rug(plan, float(rng.uniform(-1.6, -0.9)), float(rng.uniform(-0.6, 0.6)))
    decorate(plan, 1)


LAYOUTS: dict[str, Callable[[Plan], None]] = {
    "kitchen": kitchen,
    "living room": living_room,
    "bedroom": bedroom,
    "bathroom": bathroom,
}
