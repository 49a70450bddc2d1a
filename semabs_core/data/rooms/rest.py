"""What stands where the viewpoint that a room is furnished for does not look."""

from __future__ import annotations

from semabs_core.data.rooms.arranging import chance, hang, put_chairs
from semabs_core.data.rooms.plan import WALLS, Plan

FURNITURE = {
    "kitchen": ("cabinet", "bookcase", "fridge", "washing machine", "stool", "tall plant"),
    "living room": ("bookcase", "cabinet", "arm chair", "desk", "dresser", "tall plant", "sofa"),
    "bedroom": ("dresser", "bookcase", "desk", "cabinet", "arm chair", "laundry hamper"),
    "bathroom": ("cabinet", "laundry hamper", "washing machine", "stool", "bookcase"),
}


def furnish_rest(plan: Plan, kind: str) -> None:
    """Furniture, pictures and sockets at all four walls; from here on things go everywhere.

    Args:
        plan: a room whose part in view is furnished.
        kind: of the room.
    """
    rng, walls = plan.rng, ("front", "front", *WALLS)
    plan.everywhere = True
    for key in rng.choice(FURNITURE[kind], int(rng.integers(2, 6))):
        plan.at_wall(str(key), walls)
    if kind in ("kitchen", "living room") and chance(plan, 0.35):
        table = plan.on_floor("table", float(rng.choice([0, 90])))
        if table is not None:
            put_chairs(plan, table, int(rng.integers(1, 4)))
    for key, low, high, share in (
        ("painting", 1.15, 1.45, 0.7),
        ("painting", 1.15, 1.45, 0.4),
        ("window", 0.95, 1.15, 0.35),
        ("door", 0.0, 0.0, 0.25),
        ("mirror", 0.8, 1.1, 0.2),
        ("light switch", 1.05, 1.15, 0.4),
        ("outlet", 0.25, 0.35, 0.5),
    ):
        if chance(plan, share):
            hang(plan, key, low, high, walls)
