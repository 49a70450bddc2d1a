"""Kitchens: units in a run along the back wall, and what is above and before them."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.arranging import (
    SIDES,
    chance,
    decorate,
    put_chairs,
)
from semabs_core.data.rooms.plan import GAP_M, Plan
from semabs_core.data.rooms.storage import closed_cabinet
from semabs_core.data.rooms.units import (
    BASIN,
    COUNTER_DEPTH,
    COUNTER_Z,
    base_cabinet,
    countertop,
    kitchen_sink,
)


def kitchen(plan: Plan) -> None:
    """A run of units along the back wall, cupboards or shelves above, sometimes a table."""
    rng = plan.rng
    kinds = ["cabinet", "sink", "stove", "cabinet"][: int(rng.integers(3, 5))]
    rng.shuffle(kinds)
    if "stove" in kinds and chance(plan, 0.25):
        kinds[kinds.index("stove")] = "washing machine"
    widths = [
        0.6 if kind in ("stove", "washing machine") else float(rng.uniform(0.6, 0.8))
        for kind in kinds
    ]
    fridge = plan.make("fridge") if chance(plan, 0.75) else None
    fridge_width = 0.0 if fridge is None else float(np.ptp(fridge[1].bounds[:, 1])) + 0.02
    while sum(widths) + fridge_width > plan.left - plan.right - 0.03:
        kinds.pop(), widths.pop()
    span = sum(widths) + fridge_width
    y = float(np.clip(rng.normal(span / 2, 0.25), plan.right + span + 0.01, plan.left - 0.01))
    if fridge is not None and chance(plan, 0.5):
        _unit_at(plan, fridge, y - fridge_width / 2)
        y -= fridge_width
        fridge = None
    _run(plan, kinds, widths, y)
    end = y - sum(widths)
    if fridge is not None:
        _unit_at(plan, fridge, end - fridge_width / 2)
    for kind, centre in zip(kinds, y - np.cumsum(widths) + np.array(widths) / 2):
        if kind != "sink" and chance(plan, 0.5):
            upper = closed_cabinet(plan.kit("cabinet"), (0.33, 0.58, float(rng.uniform(0.5, 0.65))))
            _unit_at(plan, ("cabinet", upper), float(centre), z=float(rng.choice([1.45, 1.5])))
        elif chance(plan, 0.6):
            _unit_at(plan, plan.make("shelf"), float(centre), z=float(rng.uniform(1.35, 1.5)))
    if chance(plan, 0.7):
        table = plan.on_floor("table", float(rng.choice([0, 90])) + float(rng.normal(0, 5)))
        if table is not None:
            put_chairs(plan, table, int(rng.integers(1, 4)))
    if chance(plan, 0.35):
        plan.at_wall(str(rng.choice(["cabinet", "bookcase", "tv stand"])), SIDES)
    decorate(plan, 1)


def _unit_at(plan: Plan, built: tuple, y: float, z: float = 0.0) -> None:
    name, body = built
    plan.try_put(name, body, np.array([-body.bounds[1, 0] - GAP_M, y, z - body.bounds[0, 2]]), 0.0)


def _run(plan: Plan, kinds: list[str], widths: list[float], y: float) -> None:
    """Units side by side from +y down, a counter over those that have no top of their own."""
    x, start = -COUNTER_DEPTH / 2 - GAP_M, y
    stone = plan.kit("cabinet").paint(
        [(0.85, 0.84, 0.8), (0.25, 0.25, 0.27), plan.palette.wood][int(plan.rng.integers(3))],
        "marble",
        0.5,
        0.25,
    )
    pending: list[tuple[str, float]] = []

    def close() -> None:
        nonlocal start
        if pending:
            total = sum(width for _, width in pending)
            sink = next((i for i, (kind, _) in enumerate(pending) if kind == "sink"), None)
            slab = countertop(plan.kit("cabinet"), [width for _, width in pending], sink, stone)
            plan.put("countertop", slab, np.array([x, start - total / 2, COUNTER_Z - 0.04]))
        pending.clear()

    for kind, width in zip(kinds, widths):
        centre = y - width / 2
        if kind in ("stove", "washing machine"):
            close()
            name, body = plan.make(kind)
            plan.put(name, body, np.array([x, centre, 0.0]))
            start = y - width
        else:
            base = base_cabinet(plan.kit("cabinet"), width, kind == "sink")
            plan.put("cabinet", base, np.array([x + 0.02, centre, 0.0]))
            if kind == "sink":
                basin = kitchen_sink(plan.kit("sink"))
                plan.put("sink", basin, np.array([x, centre, COUNTER_Z - BASIN[2]]), solid=False)
            pending.append((kind, width))
        y -= width
    close()
