"""Floor, ceiling and walls."""

from __future__ import annotations

import numpy as np

from semabs_core.data.rooms.bodies import Body
from semabs_core.data.rooms.doorway import SLAB_M, WALL_M, Doorway
from semabs_core.data.rooms.paints import Paint, jittered, shaded
from semabs_core.data.rooms.parts import Part
from semabs_core.data.rooms.plan import HEIGHT_M, Plan
from semabs_core.data.rooms.shapes import box


def build_shell(plan: Plan, kind: str, doorway: Doorway | None = None) -> None:
    """Floor, ceiling and walls, as items that take no space; and what is behind a doorway."""
    rng, kit = plan.rng, plan.kit("cabinet")
    wet = kind in ("kitchen", "bathroom")
    tone = jittered(
        [
            (0.87, 0.85, 0.8),
            (0.8, 0.84, 0.86),
            (0.86, 0.82, 0.7),
            (0.76, 0.82, 0.76),
            (0.84, 0.77, 0.75),
        ][int(rng.integers(5))],
        rng,
    )
    if (wet and rng.random() < 0.6) or rng.random() < 0.08:
        tile = [(0.75, 0.73, 0.7), (0.55, 0.53, 0.5), (0.82, 0.8, 0.75), (0.4, 0.42, 0.45)][
            int(rng.integers(4))
        ]
        floor = kit.paint(tile, "tiles", 0.35, float(rng.uniform(0.2, 0.45)), shaded(tile, 0.7))
    elif rng.random() < 0.7:
        wood = [(0.6, 0.43, 0.27), (0.45, 0.3, 0.19), (0.72, 0.58, 0.42), (0.55, 0.5, 0.45)][
            int(rng.integers(4))
        ]
        floor = kit.paint(wood, "planks", 0.25, float(rng.uniform(0.08, 0.15)), shaded(wood, 0.65))
    else:
        carpet = [(0.6, 0.57, 0.52), (0.45, 0.47, 0.5), (0.62, 0.52, 0.42)][int(rng.integers(3))]
        floor = kit.paint(carpet, "cloth", 0.0, 0.1)
    wall = kit.paint(tone, "mottled", 0.05, 0.6, shaded(tone, 0.95))
    if kind == "bathroom" and rng.random() < 0.6:
        wall = kit.paint(tone, "tiles", 0.4, float(rng.uniform(0.12, 0.25)), shaded(tone, 0.85))
    elif rng.random() < 0.15:
        wall = kit.paint(tone, "stripes", 0.02, float(rng.uniform(0.08, 0.2)), shaded(tone, 0.93))
    ceiling = kit.paint("white", "plain", 0.0)
    for name, body in _shell_bodies(plan, floor, wall, ceiling, doorway):
        plan.put(name, body, np.zeros(3), solid=False)
    if doorway is not None:
        doorway.keep_clear(plan)
        other = kit.paint(jittered((0.85, 0.83, 0.78), rng, 2.0), "mottled", 0.05, 0.6)
        doorway.build(plan, floor, other if rng.random() < 0.6 else wall, ceiling)


def _shell_bodies(
    plan: Plan, floor: Paint, wall: Paint, ceiling: Paint, doorway: Doorway | None
) -> list[tuple[str, Body]]:
    depth, width = -plan.front, plan.left - plan.right
    middle = (plan.front / 2, (plan.left + plan.right) / 2)
    broad = (depth + 2 * WALL_M, width + 2 * WALL_M)
    side, end = (depth, WALL_M, HEIGHT_M), (WALL_M, broad[1], HEIGHT_M)
    walls = {
        "back": (end, (WALL_M / 2, middle[1], 0.0)),
        "left": (side, (middle[0], plan.left + WALL_M / 2, 0.0)),
        "right": (side, (middle[0], plan.right - WALL_M / 2, 0.0)),
        "front": (end, (plan.front - WALL_M / 2, middle[1], 0.0)),
    }
    return [
        ("floor", Body([box((*broad, SLAB_M), floor, (*middle, -SLAB_M))])),
        ("ceiling", Body([box((*broad, SLAB_M), ceiling, (*middle, HEIGHT_M))])),
        *(
            ("wall", Body(_pierced(size, wall, at, doorway)))
            if doorway is not None and doorway.wall == key
            else ("wall", Body([box(size, wall, at)]))
            for key, (size, at) in walls.items()
        ),
    ]


def _pierced(
    size: tuple[float, float, float], paint: Paint, at: tuple[float, float, float], hole: Doorway
) -> list[Part]:
    """A wall beside and above an opening."""
    axis = int(size[1] > size[0])
    low, high = at[axis] - size[axis] / 2, at[axis] + size[axis] / 2
    left, right = hole.along - hole.width / 2, hole.along + hole.width / 2
    parts = []
    for start, stop, bottom in (
        (low, left, 0.0),
        (right, high, 0.0),
        (left, right, hole.height),
    ):
        extent, place = list(size), [*at[:2], bottom]
        extent[axis], place[axis] = stop - start, (start + stop) / 2
        extent[2] = size[2] - bottom
        parts.append(box(extent, paint, place))
    return parts
