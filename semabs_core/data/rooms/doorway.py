"""Openings in walls, with or without a door leaf, and the space behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semabs_core.data.rooms.blocks import Blocks
from semabs_core.data.rooms.bodies import Body, Kit
from semabs_core.data.rooms.paints import Paint
from semabs_core.data.rooms.parts import Part, moved, rotation, turned
from semabs_core.data.rooms.plan import HEIGHT_M, VIEWER, WALLS, Plan
from semabs_core.data.rooms.shapes import ball, box
from semabs_core.geometry import transform_points

WALL_M = 0.12
SLAB_M = 0.1
CORNER_M = 0.25
"""How near a corner of the room an opening may begin."""
WIDE_SHARE = 0.25
LEAF_SHARE = 0.5
CLEAR_M = 0.9
"""How far into the room the floor before an opening is kept free."""
THINGS = ("cabinet", "bookcase", "tall plant", "floor lamp", "chair", "painting", "dresser")
"""What may stand or hang at the far wall of the space behind."""


@dataclass(frozen=True)
class Doorway:
    """An opening. Its frame: the middle of the threshold, x out of the room, z up.

    Attributes:
        wall: a key of :data:`WALLS`.
        along: where its middle is along the wall, on the room's x or y axis, metres.
        width: metres.
        height: metres.
        depth: of the space behind, from the outer face of the wall, metres.
        reach: how far that space goes to the right and to the left of the middle, metres.
    """

    wall: str
    along: float
    width: float
    height: float
    depth: float
    reach: tuple[float, float]

    @classmethod
    def draw(cls, plan: Plan, walls: Sequence[str]) -> Doorway | None:
        """An opening in one of some walls; None where that is too short."""
        rng = plan.rng
        wide = rng.random() < WIDE_SHARE
        width = float(rng.uniform(1.3, 2.0) if wide else rng.uniform(0.75, 1.05))
        wall = str(rng.choice(list(walls)))
        low, high = (plan.right, plan.left) if wall in ("back", "front") else (plan.front, 0.0)
        margin = CORNER_M + width / 2
        if high - low < 2 * margin:
            return None
        along = float(rng.uniform(low + margin, high - margin))
        reach = tuple(float(width / 2 + rng.uniform(0.1, 1.6)) for _ in range(2))
        height = float(rng.uniform(2.0, 2.15))
        return cls(wall, along, width, height, float(rng.uniform(1.3, 3.2)), (reach[0], reach[1]))

    def origin(self, plan: Plan) -> NDArray[np.float64]:
        """The middle of the threshold (3,), room frame, metres."""
        return {
            "back": np.array([0.0, self.along, 0.0]),
            "front": np.array([plan.front, self.along, 0.0]),
            "left": np.array([self.along, plan.left, 0.0]),
            "right": np.array([self.along, plan.right, 0.0]),
        }[self.wall]

    def keep_clear(self, plan: Plan) -> None:
        """Take the space before and in the opening, so that nothing is put there."""
        yaw = WALLS[self.wall]
        middle = self.origin(plan) - rotation("z", yaw) @ np.array([CLEAR_M / 2 - WALL_M / 2, 0, 0])
        half = np.array([(CLEAR_M + WALL_M) / 2, self.width / 2])
        plan.blocks = plan.blocks + Blocks.one(middle[:2], half, yaw, (0, HEIGHT_M), VIEWER)

    def build(self, plan: Plan, floor: Paint, wall: Paint, ceiling: Paint) -> None:
        """Add the space behind, what is in it, and perhaps a leaf."""
        rng, yaw, at = plan.rng, WALLS[self.wall], self.origin(plan)
        right, left = self.reach
        length, middle = right + left, (left - right) / 2
        start, end = WALL_M, WALL_M + self.depth
        side = (self.depth, WALL_M, HEIGHT_M)
        slab = (self.depth, length, SLAB_M)
        for name, part in (
            ("floor", box(slab, floor, (start + self.depth / 2, middle, -SLAB_M))),
            ("ceiling", box(slab, ceiling, (start + self.depth / 2, middle, HEIGHT_M))),
            (
                "wall",
                box((WALL_M, length + 2 * WALL_M, HEIGHT_M), wall, (end + WALL_M / 2, middle, 0)),
            ),
            ("wall", box(side, wall, (start + self.depth / 2, left + WALL_M / 2, 0))),
            ("wall", box(side, wall, (start + self.depth / 2, -right - WALL_M / 2, 0))),
        ):
            plan.put(name, Body([part]), at, yaw, solid=False)
        turn = rotation("z", yaw)
        corners = np.array([[0.0, -right, 0.0], [end, left, HEIGHT_M]]) @ turn.T + at
        plan.beyond.append(np.stack([corners.min(axis=0), corners.max(axis=0)]))
        lamp = np.array([start + self.depth / 2, middle, HEIGHT_M - 0.3])
        plan.lamps.append((turn @ lamp + at, float(rng.choice([0.2, 0.6, 1.2, 2.0]))))
        self._put_things(plan, end)
        if rng.random() < LEAF_SHARE and self.width < 1.2:
            plan.put("door", self._leaf(plan.kit("door")), at, yaw, solid=False)

    def _put_things(self, plan: Plan, end: float) -> None:
        """A few things at the far wall, from right to left."""
        rng, T = plan.rng, np.eye(4)
        T[:3, :3], T[:3, 3] = rotation("z", WALLS[self.wall]), self.origin(plan)
        y = -self.reach[0] + float(rng.uniform(0.02, 0.5))
        for key in rng.choice(THINGS, int(rng.integers(1, 4)), replace=False):
            if key not in plan.allowed:
                continue
            name, body = plan.make(str(key))
            low, high = body.bounds
            y += -low[1]
            if y + high[1] > self.reach[1] or high[0] - low[0] > self.depth - 0.5:
                break
            z = float(rng.uniform(1.2, 1.5)) if key == "painting" else 0.0
            spot = np.array([end - high[0] - 0.005, y, z - low[2]])
            plan.put(name, body, transform_points(T, spot), WALLS[self.wall], solid=False)
            y += high[1] + float(rng.uniform(0.05, 0.5))

    def _leaf(self, k: Kit) -> Body:
        """A door that stands open away from the room, and its frame."""
        y, z, side = self.width - 0.02, self.height - 0.02, k.pick([-1.0, 1.0])
        leaf = k.wood() if k.chance(0.5) else k.paint("white", "plain", 0.25)
        metal, white = k.metal(), k.paint("white")
        knob = [ball(0.028, metal, (s * 0.06, y - 0.07, 1.0)) for s in (-1, 1)]
        spindle = box((0.12, 0.02, 0.02), metal, (0, y - 0.07, 0.99))
        parts: list[Part] = [box((0.04, y, z), leaf, (0, y / 2, 0.005)), spindle, *knob]
        swung = turned(parts, "z", -k.u(55, 100))
        hinged = moved(swung, WALL_M + 0.025, -self.width / 2 + 0.03, 0.0)
        frame = [
            box(
                (WALL_M + 0.03, 0.02, self.height),
                white,
                (WALL_M / 2, s * (self.width / 2 - 0.01), 0),
            )
            for s in (-1, 1)
        ]
        lintel = (WALL_M / 2, 0, self.height - 0.02)
        frame.append(box((WALL_M + 0.03, self.width - 0.04, 0.02), white, lintel))
        body = [*hinged, *frame]
        return Body([_mirrored(part) for part in body] if side < 0 else body)


def _mirrored(part: Part) -> Part:
    """The part with y and -y exchanged, still closed and facing outwards."""
    flip = np.array([1.0, -1.0, 1.0])
    return Part(
        part.vertices * flip, part.triangles[:, ::-1], part.normals[:, ::-1] * flip, part.paint
    )
