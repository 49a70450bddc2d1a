"""Small things on tables, shelves and floors, in containers, behind each other."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.blocks import Blocks
from semabs_core.data.rooms.bodies import CATALOGUE, Area
from semabs_core.data.rooms.classes import base_class
from semabs_core.data.rooms.plan import Plan

SURFACES: dict[str, dict[str, float]] = {
    "kitchen": {
        "tableware": 5,
        "food": 3,
        "fruit": 2.5,
        "bottle": 2.5,
        "appliance": 2.5,
        "hob": 1.5,
        "cutlery": 1.5,
        "decor": 0.7,
        "device": 0.4,
        "book": 0.3,
    },
    "living room": {
        "decor": 4,
        "book": 3,
        "device": 3,
        "tableware": 1.5,
        "lamp": 1.5,
        "toy": 0.8,
        "bottle": 1,
        "fruit": 0.7,
        "box": 0.3,
        "audio": 0.7,
    },
    "bedroom": {
        "decor": 3,
        "book": 3,
        "device": 3,
        "lamp": 2,
        "tableware": 0.8,
        "toy": 1,
        "soft": 1,
        "bath": 0.3,
    },
    "bathroom": {"bath": 2.5, "bath small": 4, "soft laundry": 2, "decor": 1, "bath toy": 0.7},
}
"""What stands on surfaces that have no preference, by room."""
FLOORS: dict[str, dict[str, float]] = {
    "kitchen": {"bin": 2, "box": 2, "lean": 1, "bath floor": 0.7, "ball": 0.4, "safe": 0.4},
    "living room": {
        "ball": 1.5,
        "floor": 2,
        "lean": 2,
        "box": 2,
        "toy": 1,
        "sport": 1.5,
        "safe": 1.2,
        "bin": 0.7,
        "floor toy": 0.5,
        "soft": 0.5,
    },
    "bedroom": {
        "ball": 1.2,
        "floor toy": 2,
        "floor": 2,
        "lean": 1.5,
        "sport": 2,
        "safe": 1.2,
        "box": 2,
        "bin": 1,
        "toy": 1,
        "soft": 0.7,
    },
    "bathroom": {"bin": 1.5, "bath floor": 2, "floor": 1.0, "box": 1, "floor toy": 0.5},
}
"""What stands on the floor, by room."""
ALIASES: dict[str, dict[str, float]] = {
    "soft": {"soft": 1, "pillow": 1.5},
    "cookware": {"hob": 1},
    "on book": {"device": 1, "decor": 0.5},
    "floor toy": {"floor toy": 1, "ball": 1, "toy": 0.5},
    "desk": {"desk": 2, "lamp": 1},
}
"""Groups that stand for others."""
MAX_ITEMS = 95
AGAIN = 0.6
"""A class is drawn so much less often for each object of it that is there already."""
HIDDEN_SHARE = 0.35
"""How often a thing is put behind another on purpose."""


def draw_class(plan: Plan, weights: dict[str, float]) -> str | None:
    """The key of a random class of some groups, or None if none of them may occur here."""
    groups = list(weights)
    chances = np.array([weights[group] for group in groups])
    group = str(plan.rng.choice(groups, p=chances / chances.sum()))
    if group in ALIASES:
        names = list(ALIASES[group])
        chances = np.array([ALIASES[group][name] for name in names])
        group = str(plan.rng.choice(names, p=chances / chances.sum()))
    keys = [
        key
        for key, entry in sorted(CATALOGUE.items())
        if entry.group == group and key in plan.allowed
    ]
    if not keys:
        return None
    there = [base_class(item.name) for item in plan.items]
    chances = np.array(
        [CATALOGUE[key].weight * AGAIN ** there.count(CATALOGUE[key].name) for key in keys]
    )
    return str(plan.rng.choice(keys, p=chances / chances.sum()))


def put_on(plan: Plan, index: int, area: Area, key: str) -> int | None:
    """Put a thing on (or in, or under) an item; its index, or None if it does not fit."""
    name, body = plan.make(key)
    low, high = body.bounds
    if high[2] - low[2] > area.clearance:
        return None
    family, above = [index], plan.items[index].parent
    while above is not None:
        family.append(above)
        above = plan.items[above].parent
    ignore = tuple(family)
    hide, best = plan.rng.random() < HIDDEN_SHARE, None
    for position, yaw in plan.area_candidates(index, area, body):
        if not plan.is_free(Blocks.around(body, position, yaw, len(plan.items)), ignore):
            continue
        cover = plan.cover(position, body) if hide else 1.0
        if best is None or cover > best[0]:
            best = (cover, position, yaw)
        if cover > 0.5:
            break
    if best is None:
        return None
    parent = index if area.relation else None
    return plan.put(name, body, best[1], best[2], parent, area.relation)


def fill_areas(plan: Plan, room: str, fullness: float) -> None:
    """Put things on all areas of all items, also of the things themselves."""
    index = 0
    while index < len(plan.items) and len(plan.items) < MAX_ITEMS:
        for area in plan.items[index].body.areas:
            mean = area.density * area.size[0] * area.size[1] * fullness
            wanted = min(int(plan.rng.poisson(mean)), 9)
            weights = {g: float(area.groups.count(g)) for g in area.groups} or SURFACES[room]
            for _ in range(wanted):
                key = draw_class(plan, weights)
                if key is not None:
                    put_on(plan, index, area, key)
        index += 1


def strew_floor(plan: Plan, room: str, count: int) -> None:
    """Put things on the floor, some of them behind furniture, long ones against a wall."""
    for _ in range(count):
        key = draw_class(plan, FLOORS[room])
        if key is None:
            continue
        group = CATALOGUE[key].group
        if group in ("lean", "bin", "floor", "safe", "bath floor") and plan.rng.random() < 0.85:
            plan.at_wall(key)
        elif group != "lean":
            turn = float(plan.rng.normal(0, 20)) + plan.heading_deg
            plan.on_floor(key, turn, hidden=bool(plan.rng.random() < HIDDEN_SHARE))
