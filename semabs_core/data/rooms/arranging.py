"""How furniture goes together: next to, in front of, around and above each other."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.parts import rotation
from semabs_core.data.rooms.plan import Plan

SIDES = ("left", "right")


def chance(plan: Plan, probability: float) -> bool:
    """True with a probability."""
    return bool(plan.rng.random() < probability)


def before(plan: Plan, index: int, distance: float, aside: float = 0.0) -> np.ndarray:
    """The spot on the floor in front of an item, metres from its middle, room frame."""
    item = plan.items[index]
    offset = rotation("z", item.yaw_deg) @ np.array([-distance, aside, 0.0])
    return np.array([*(np.array(item.position) + offset)[:2], 0.0])


def beside(plan: Plan, index: int, key: str) -> int | None:
    """Place furniture next to an item that stands at a wall, back to the same wall."""
    item, (name, body) = plan.items[index], plan.make(key)
    low, high = item.body.bounds
    for side in plan.rng.permutation([-1, 1]):
        aside = side * ((high[1] - low[1]) / 2 + (body.bounds[1, 1] - body.bounds[0, 1]) / 2 + 0.05)
        at = before(plan, index, body.bounds[1, 0] - high[0], float(aside))
        if plan.in_view(at[0], at[1]):
            placed = plan.try_put(name, body, at, item.yaw_deg)
            if placed is not None:
                return placed
    return None


def put_chairs(plan: Plan, index: int, count: int) -> None:
    """Chairs around a table, pushed in a little, facing it."""
    table = plan.items[index]
    half = (table.body.bounds[1] - table.body.bounds[0])[:2] / 2
    keys = ["chair", "chair", "stool"]
    key = str(plan.rng.choice(keys))
    for turn in plan.rng.permutation([0.0, 90.0, 180.0, 270.0])[:count]:
        name, body = plan.make(key)
        reach = (half[0] if turn in (0.0, 180.0) else half[1]) + body.bounds[1, 0]
        yaw = table.yaw_deg + turn + float(plan.rng.normal(0, 6))
        direction = rotation("z", table.yaw_deg + turn) @ np.array([1.0, 0, 0])
        at = np.array(table.position) + direction * (reach + plan.rng.uniform(0.0, 0.12))
        plan.try_put(name, body, np.array([at[0], at[1], 0.0]), yaw)


def hang(
    plan: Plan, key: str, low: float, high: float, walls: tuple[str, ...] = ("back", *SIDES)
) -> None:
    """Hang something on a wall with its lower edge between two heights."""
    plan.at_wall(key, walls, z=float(plan.rng.uniform(low, high)))


def decorate(plan: Plan, pictures: int) -> None:
    """Windows with curtains, doors, pictures, sockets."""
    if chance(plan, 0.55):
        window = plan.at_wall("window", z=float(plan.rng.uniform(0.95, 1.15)))
        if window is not None and chance(plan, 0.5):
            _curtains(plan, window)
    if chance(plan, 0.3):
        plan.at_wall("door")
    for _ in range(pictures):
        hang(plan, "painting", 1.15, 1.45)
    for key, low, high, share in (
        ("outlet", 0.25, 0.35, 0.7),
        ("outlet", 1.0, 1.1, 0.3),
        ("light switch", 1.05, 1.15, 0.5),
        ("wall clock", 1.6, 1.8, 0.3),
    ):
        if chance(plan, share):
            hang(plan, key, low, high)


def _curtains(plan: Plan, window: int) -> None:
    item = plan.items[window]
    name, body = plan.make("curtain")
    width = item.body.bounds[1, 1] + body.bounds[1, 1] * 0.7
    for side in (-1, 1):
        at = before(plan, window, 0.1, side * width)
        top = item.position[2] + item.body.bounds[1, 2] + 0.12
        at[2] = max(top - body.bounds[1, 2], 0.02)
        plan.try_put(name, body, at, item.yaw_deg, ignore=(window,))


def put_rug(plan: Plan, x: float, y: float) -> None:
    """A rug around a spot, as far as the walls let it; other things may stand on it."""
    name, body = plan.make("rug")
    half = max(body.bounds[1, :2])
    spot = np.array([min(x, -half), np.clip(y, plan.right + half, plan.left - half), 0.0])
    plan.put(name, body, spot, float(plan.rng.choice([0, 90])), solid=False)
